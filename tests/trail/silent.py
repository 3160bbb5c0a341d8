"""What is written without an event, and why that is right; everything else is a fault."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Silent:
    """A use case, as `service: Class.method`, that may answer without an event, and why."""

    flow: str
    why: str


ASKED = "anybody may have a challenge made: nothing has happened by that"
COUNTED = "a caller's mistake changes nothing but the counter of such requests"
FORGOTTEN = "what never came to count was no fact, and its end is none"
NOTHING_LEFT = "an enrolment is dropped that never counted, or nothing was there any more"
RECORD = "it passes on what another service has put on record"
OVER = "what is over by itself is thrown away"
TOLD_THERE = "the factor that does it tells"
SENT = "a mail that is sent was told of by what it tells; one that is given up is told"

SILENT = (
    Silent("session: ChangePasswordFlow.change", COUNTED),
    Silent("session: CodeFactorFlow.deactivate", "whoever overtook it has told"),
    Silent("session: Delivery.deliver_due", SENT),
    Silent("session: Erasing.erase_due", "each attempt is counted, and the end is told"),
    Silent("session: EmailsFlow.add", COUNTED),
    Silent("session: EmailsFlow.ask", COUNTED),
    Silent("session: EmailsFlow.make_primary", COUNTED),
    Silent("session: EmailsFlow.remove", COUNTED),
    Silent("session: PasskeyLoginFlow.ask", ASKED),
    Silent("session: PasskeySignupFlow.complete", TOLD_THERE),
    Silent("session: PasskeySignupFlow.options", ASKED),
    Silent("session: RecoveryCodesFlow.show", "the register learns how many are left"),
    Silent("session: Reports.forget_old", OVER),
    Silent("session: Reports.take_in", RECORD),
    Silent("session: ResetPasswordFlow.reset", COUNTED),
    Silent("session: ResetPasswordFlow.show", "a right code is good for longer; the reset is told"),
    Silent("session: Sweeps.collect_dead", TOLD_THERE),
    Silent("session: Sweeps.delete_expired", OVER),
    Silent("session: Sweeps.repair_registers", "what it takes up and cannot finish is yet to come"),
    Silent("session: TokensFlow.refresh", "tokens that follow on others are the same session's"),
    Silent("session: Visits.recognise", "that a session is used is noted once a minute"),
    Silent("session: WebAuthnFlow.add", TOLD_THERE),
    Silent("session: WebAuthnFlow.options", ASKED),
    Silent("session: WebAuthnFlow.rename", TOLD_THERE),
    Silent("totp: TotpFlows.forget", NOTHING_LEFT),
    Silent("totp: TotpFlows.remove", NOTHING_LEFT),
    Silent("totp: TotpFlows.sweep", FORGOTTEN),
    Silent("recovery: CodeFlows.erase_viewed", OVER),
    Silent("recovery: CodeFlows.remove", NOTHING_LEFT),
    Silent("recovery: TrustFlows.sweep", OVER),
    Silent("webauthn: WebAuthnFlows.challenge", ASKED),
    Silent("webauthn: WebAuthnFlows.challenge_anybody", ASKED),
    Silent("webauthn: WebAuthnFlows.forget", NOTHING_LEFT),
    Silent("webauthn: WebAuthnFlows.remove", NOTHING_LEFT),
    Silent("webauthn: WebAuthnFlows.sweep", FORGOTTEN),
)
