"""What people are told by mail."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class MailKind(StrEnum):
    """Which text is sent."""

    VERIFICATION_CODE = "verification_code"
    ACCOUNT_EXISTS = "account_exists"


@dataclass(frozen=True, kw_only=True)
class Mail:
    """One message to one canonical address. `facts` go into the text and may be secret."""

    id: str
    kind: MailKind
    to: str
    facts: Mapping[str, str] = field(default_factory=dict, repr=False)
