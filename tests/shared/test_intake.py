"""What an intake believes: what is signed, and is in the catalogue of who has signed it."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.auth import PrivateKey, PublicKey
from shared.bus.wire import EventSigner, EventVerifier, Flaw, Received
from shared.intake import Measures
from shared.intake.sorting import Sorter
from tests import trail

KEY = PrivateKey("totp-1", "totp", Ed25519PrivateKey.generate())
KEYS = {"totp-1": PublicKey("totp", KEY.key.public_key()), **trail.PUBLIC_KEYS}
SORTER = Sorter(EventVerifier(KEYS), Measures("sorting"))


def test_an_event_that_the_catalogue_has_not_is_refused() -> None:
    """Section 3, bus: whoever holds a service's key cannot invent what the service never says."""
    facts = trail.event(source="totp", type="mfa.totp.accepted")

    assert isinstance(SORTER.judge(EventSigner(KEY).sign(facts)), Received)
    invented = EventSigner(KEY).sign({**facts, "type": "mfa.totp.invented"})
    assert SORTER.judge(invented) is Flaw.UNKNOWN_TYPE


def test_a_source_of_others_speaks_for_itself() -> None:
    """As a factor that somebody else has written, with a key of its own."""
    assert isinstance(SORTER.judge(trail.signed(type="mfa.demo.whatever")), Received)


def test_what_cannot_be_read_is_refused_without_an_error() -> None:
    assert SORTER.judge(b"no JSON") is Flaw.UNREADABLE
