"""What a verification costs beside the signature in it: a ratio in one run, of processor time.

Other work on the machine takes wall time and not that, and the best of many rounds is compared; so
this holds where a benchmark's figures would not.
"""

import time
from collections.abc import Callable

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from services.webauthn.domain.assertion import Assertion
from services.webauthn.domain.options import request_options
from services.webauthn.domain.policy import Use
from tests.webauthn.authenticator import Device
from tests.webauthn.ceremony import CHALLENGE, KEY, asserted
from tests.webauthn.conftest import RULES

LIMIT = 10  # times a bare verification; nearer to 2.5 is aimed for
ROUNDS, TIMES = 30, 20
MESSAGE = b"m" * 69  # as long as what is signed: 37 bytes and a hash


def best(work: Callable[[], object]) -> float:
    """Return the processor time, in seconds, of the fastest round."""
    took = []
    for _ in range(ROUNDS):
        begun = time.thread_time()
        for _ in range(TIMES):
            work()
        took.append(time.thread_time() - begun)
    return min(took)


def asserted_and_bare() -> tuple[float, float]:
    """Return the best of a whole verification, and of that of the bare signature in it."""
    options = request_options(CHALLENGE, Use.LOGIN, [], RULES)
    answer = Device(credentials={KEY.id: KEY}).get(options)
    signature = KEY.sign(MESSAGE)
    key = KEY.key.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)

    def whole() -> None:
        assert isinstance(asserted(credential=answer), Assertion)

    bare = best(lambda: key.verify(signature, MESSAGE, ec.ECDSA(SHA256())))
    return best(whole) / TIMES, bare / TIMES


def test_a_verification_takes_a_few_times_what_its_signature_does() -> None:
    """performance.md: whole, from the browser's JSON to the judgement, with every check."""
    whole, bare = asserted_and_bare()

    assert whole <= LIMIT * bare
