"""Which kinds of authenticators there are, and what is true of each: the one list of them."""

from dataclasses import dataclass

TOTP = "totp"
RECOVERY_CODES = "recovery_codes"
WEBAUTHN = "webauthn"


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of authenticator, by the name that clients know it by.

    `service` is the factor that keeps and judges those of it. What is not `is_real` is of use only
    beside something that is: alone it makes no second factor, and goes with the last that does.
    Where it `takes_code`, people type something that is sent to it; all else is a ceremony. Where
    it `is_waited_for`, what was half done is undone there before anybody logs in; all else is left
    to the sweep, so that no login by another kind needs it.
    """

    type: str
    service: str
    is_real: bool = True
    takes_code: bool = True
    is_waited_for: bool = True


KINDS = (
    Kind(type=TOTP, service="totp"),
    Kind(type=RECOVERY_CODES, service="recovery", is_real=False, is_waited_for=False),
    Kind(type=WEBAUTHN, service="webauthn", takes_code=False, is_waited_for=False),
)
"""In the order in which they are asked about a code that may be one of several kinds."""

TYPES = tuple(kind.type for kind in KINDS)
_BY_TYPE = {kind.type: kind for kind in KINDS}


def is_real(type: str) -> bool:
    """Tell whether authenticators of a kind make a second factor. Of what is unknown, they do."""
    return _kind(type).is_real


def takes_code(type: str) -> bool:
    """Tell whether codes are sent to the factor of a kind. To that of what is unknown, they are."""
    return _kind(type).takes_code


def is_waited_for(type: str) -> bool:
    """Tell whether a login waits until a half-made change is undone. Of what is unknown, it does.

    Nothing counts for being held by a factor: only the register says what does.
    """
    return _kind(type).is_waited_for


def service_of(type: str) -> str:
    """Return the service that keeps authenticators of a kind; that of the same name if unknown."""
    return _kind(type).service


def _kind(type: str) -> Kind:
    return _BY_TYPE.get(type) or Kind(type=type, service=type)
