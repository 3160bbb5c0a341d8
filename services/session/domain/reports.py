"""What other services find out that a person has to be told of."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from services.session.domain.factors import RECOVERY_CODES, WEBAUTHN, service_of
from services.session.domain.mails import MailKind

REPORTED: Mapping[str, MailKind] = {
    f"mfa.{service_of(WEBAUTHN)}.clone_suspected": MailKind.CLONE_SUSPECTED,
    f"mfa.{service_of(RECOVERY_CODES)}.trust_replayed": MailKind.TRUST_REPLAYED,
}
"""The mail that tells of each type of event."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """An event of another service, as far as it is told: what, of whom, when and from where.

    `source` is the service that has signed it; of one source each `id` is one event.
    """

    id: str
    source: str
    type: str
    user_id: str
    at: datetime
    address: str | None = None
    user_agent: str | None = None
    authenticator_id: str | None = None
