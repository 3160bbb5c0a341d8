"""Both ceremonies as the rules judge them: without a service around them."""

from typing import Any

from fido2 import cbor

from services.webauthn.domain import assertion, registration
from services.webauthn.domain.assertion import Assertion, Challenge, Response
from services.webauthn.domain.options import request_options
from services.webauthn.domain.policy import Rules, Use
from services.webauthn.domain.refusal import Reason
from services.webauthn.domain.registration import Enrolment, Registration, creation_options
from tests.hands import START
from tests.webauthn.authenticator import HONEST, Credential, Device, Json, Lies, new_key
from tests.webauthn.conftest import RULES

CHALLENGE = b"c" * 32
HANDLE = b"h" * 64


def registered(
    lies: Lies = HONEST, rules: Rules = RULES, device: Device | None = None, **attesting: Any
) -> Registration | Reason:
    """Return what becomes of a registration."""
    enrolment = Enrolment(CHALLENGE, passwordless=False)
    options = creation_options(
        enrolment, handle=HANDLE, account_name="ada", registered=[], rules=rules
    )
    answer = (device or Device()).create(options, lies, **attesting)
    return registration.judge(answer, enrolment, rules, START)


KEY = Credential(b"i" * 32, "ES256", new_key("ES256"), "example.com", HANDLE)

REGISTERED = assertion.Credential(
    id="a1",
    user_id="ada",
    handle=HANDLE,
    public_key=cbor.encode(KEY.public()),
    sign_count=0,
    aaguid="00000000-0000-0000-0000-000000000000",
    serves_alone=True,
    backup_eligible=False,
    backed_up=False,
    is_attested=False,
)
"""`KEY` as it is registered."""


def asserted(
    lies: Lies = HONEST,
    rules: Rules = RULES,
    credential: Json | None = None,
    asked: str | None = None,
) -> Assertion | Reason:
    """Return what becomes of a login with `KEY`, or with the answer `credential`.

    `asked` is whom the question was for, if that was known.
    """
    challenge = Challenge(CHALLENGE, Use.LOGIN, asked, True)
    device = Device(credentials={KEY.id: KEY})
    options = request_options(CHALLENGE, Use.LOGIN, [], rules)
    response = Response.read(device.get(options, lies) if credential is None else credential)
    if isinstance(response, Reason):
        return response
    return assertion.judge(response, challenge, REGISTERED, None, rules)
