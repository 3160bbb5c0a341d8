"""Which answers of use cases tell somebody no, and what of that nobody else has to be told."""

from dataclasses import dataclass
from typing import Any

from services.recovery.domain.codes import Judgement as RecoveryJudgement
from services.recovery.domain.codes import Verdict as RecoveryVerdict
from services.session.flows.outcomes import Refused, Throttled
from services.totp.domain.codes import Judgement as TotpJudgement
from services.totp.domain.codes import Verdict as TotpVerdict
from services.webauthn.flows import Judgement as WebAuthnJudgement

FORM = frozenset(
    {
        "invalid",
        "invalid_choice",
        "max_length",
        "min_length",
        "required",
        *("password_entirely_numeric", "password_mismatch", "password_too_common"),
        *("password_too_short", "password_too_similar"),
    }
)
"""Codes of mistakes in a form, by which nothing is judged and nothing learned."""
STATE = frozenset(
    {
        "add_email_blocked",
        "cannot_delete_authenticator",
        "cannot_generate_recovery_codes",
        "cannot_remove_primary_email",
        "duplicate_email",
        "max_email_addresses",
        "same_as_current",
        "too_many_authenticators",
        "unverified_email",
        "unverified_primary_email",
        "username_blacklisted",
    }
)
"""Codes by which people are told what they have, or may have, themselves."""
LIMITED, NO_REASON = "too many of them", "no reason given"
ENROLLING = ("totp: TotpFlows.complete", "webauthn: WebAuthnFlows.complete")
"""Use cases whose answer is None if a proof was wrong."""


@dataclass(frozen=True)
class Unspoken:
    """What a use case, as `service: Class.method`, may refuse without an event, and why."""

    flow: str
    code: str
    why: str


OLD_LINK = "a link is signed and guessed by nobody: it is an old one, opened again, or noise"
LOOKED = "to look is no try: what is set by the link is told, and so is one that will not do"
UNREAD = "what was given could not be read, and is no address"
OWN = "a person asks of their own addresses"
THERE_IS_ONE = "nothing is judged: there is such an authenticator already"
TOLD_THERE = "the factor that judges it tells"
OVER = "it is not signed, too old, or of a session that is over; one that was copied is told"

UNSPOKEN = (
    Unspoken("session: CodeFactorFlow.activate", "incorrect_code", THERE_IS_ONE),
    Unspoken("session: EmailsFlow.ask", "unknown_email", OWN),
    Unspoken("session: EmailsFlow.make_primary", "unknown_email", OWN),
    Unspoken("session: EmailsFlow.remove", "unknown_email", OWN),
    Unspoken("session: PasskeySignupFlow.complete", "incorrect_code", TOLD_THERE),
    Unspoken("session: ResetPasswordFlow.show", "invalid_password_reset", LOOKED),
    Unspoken("session: ResetPasswordFlow.show", NO_REASON, LOOKED),
    Unspoken("session: SignupAddressFlow.change", NO_REASON, UNREAD),
    Unspoken("session: TokensFlow.refresh", NO_REASON, OVER),
    Unspoken("session: VerifyEmailFlow.show", "invalid_or_expired_key", OLD_LINK),
    Unspoken("session: VerifyEmailFlow.verify", "invalid_or_expired_key", OLD_LINK),
    Unspoken("session: WebAuthnFlow.add", "incorrect_code", TOLD_THERE),
)
PERMITTED = {(unspoken.flow, unspoken.code) for unspoken in UNSPOKEN}


def refusals(flow: str, answer: Any) -> list[str]:
    """Return what `answer` refuses, by codes, and would have to be on record."""
    return [code for code in _codes(flow, answer) if (flow, code) not in PERMITTED]


def _codes(flow: str, answer: Any) -> list[str]:
    match answer:
        case Throttled():
            return [LIMITED]
        case Refused(faults=()):
            return [NO_REASON]
        case Refused(faults=faults, retry_after=wait):
            codes = {fault.code for fault in faults}
            return sorted(codes if wait else codes - FORM - STATE)
        case TotpJudgement(verdict=verdict):
            return [] if verdict is TotpVerdict.ACCEPTED else [str(verdict)]
        case RecoveryJudgement(verdict=verdict):
            return [] if verdict is RecoveryVerdict.ACCEPTED else [str(verdict)]
        case WebAuthnJudgement(reason=reason):
            return [] if reason is None else [str(reason)]
        case None if flow in ENROLLING:
            return [NO_REASON]
        case _:
            return []
