"""Why a proof is refused. The audit trail is told; whoever offered the proof is not."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")

log = logging.getLogger(__name__)


class Reason(StrEnum):
    """What was wrong with a proof: the first thing that was found."""

    UNREADABLE = "unreadable"  # its shape, sizes, encoding, or whatever made a parser stumble
    NO_CHALLENGE = "no_challenge"  # none was made, or it is spent, too old, or for another use
    TYPE = "type"
    CHALLENGE = "challenge"
    ORIGIN = "origin"
    CROSS_ORIGIN = "cross_origin"
    TOP_ORIGIN = "top_origin"
    RP_ID = "rp_id"
    USER_PRESENT = "user_present"
    USER_VERIFIED = "user_verified"
    BACKUP_STATE = "backup_state"  # backed up, but not eligible
    BACKUP_ELIGIBILITY = "backup_eligibility"  # not what it was at registration
    ALGORITHM = "algorithm"
    KEY = "key"
    CREDENTIAL_ID = "credential_id"
    TAKEN = "taken"  # the credential is registered already, by whomever
    ATTESTATION = "attestation"
    UNTRUSTED = "untrusted"
    REVOKED = "revoked"
    AAGUID = "aaguid"
    SYNCED = "synced"
    UNKNOWN_CREDENTIAL = "unknown_credential"
    NOT_ALLOWED = "not_allowed"  # the credential is not among those that were asked for
    USER_HANDLE = "user_handle"
    NOT_ALONE = "not_alone"  # not registered as a passkey: a second factor only
    SIGNATURE = "signature"
    COUNTER = "counter"


class Refused(Exception):
    """A proof does not hold. It stays within the rules, which return the reason as a value."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason)
        self.reason = reason


def require(condition: object, reason: Reason) -> None:
    """Raise Refused unless `condition` is true."""
    if not condition:
        raise Refused(reason)


@contextmanager
def refusing(reason: Reason = Reason.UNREADABLE) -> Iterator[None]:
    """Turn whatever is raised inside into Refused.

    For what others wrote and feed on bytes that a stranger chose: a parser's KeyError, IndexError,
    AssertionError or RecursionError says no more than that the bytes are not what they should be.
    """
    try:
        yield
    except Refused:
        raise
    except Exception:
        raise Refused(reason) from None


def settled(judge: Callable[[], T]) -> T | Reason:
    """Return what `judge` finds, or why it refuses. Nothing else comes out of it.

    An exception that nobody has thought of must not leave a challenge alive, nor be told of in the
    words of whoever sent the proof: its type is logged, for us to mend what has let it through.
    """
    try:
        return judge()
    except Refused as refused:
        return refused.reason
    except Exception as error:
        # Not the message or the traceback, which may have what was sent.
        log.error("a proof could not be judged: %s", type(error).__name__)  # noqa: TRY400
        return Reason.UNREADABLE
