"""Facts for the ledger, made as tests need them."""

from typing import Any

from services.audit.domain.facts import Fact
from tests import trail


def fact(number: int = 1, **changes: Any) -> Fact:
    """Return the `number`th fact of the source `demo`."""
    values: dict[str, Any] = {
        "id": f"event-{number}",
        "type": "mfa.demo.happened",
        "source": "demo",
        "number": number,
        "occurred_at": trail.NOON,
        "subject": "ada",
        "text": trail.signed(number, subject=changes.get("subject", "ada")).decode(),
    }
    return Fact(**{**values, **changes})
