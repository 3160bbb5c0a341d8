"""Tells facts for the ledger from whatever else comes off the bus."""

import structlog
from prometheus_client import Counter

from services.audit.domain import Fact
from shared.bus.wire import EventVerifier, Flaw, Refused

log = structlog.stdlib.get_logger(__name__)

refused = Counter(
    "countersign_ledger_refused_total",
    "Messages that were no event of ours and went to the dead letters.",
    ["flaw"],
)


class Sorter:
    """Believes what a known source has signed."""

    def __init__(self, verifier: EventVerifier) -> None:
        self._verifier = verifier

    def judge(self, body: bytes) -> Fact | Flaw:
        """Return the fact in a message, or what is wrong with it. It never raises."""
        try:
            event = self._verifier.verify(body)
        except Refused as refusal:
            return refusal.flaw
        except Exception:  # whatever it is, the messages behind this one must not wait for it
            log.exception("event_not_judged")
            return Flaw.UNEXPECTED
        return Fact(
            id=event.id,
            type=event.type,
            source=event.source,
            number=event.number,
            occurred_at=event.occurred_at,
            subject=event.subject,
            text=event.text,
        )

    def raise_alarm(self, flaw: Flaw) -> None:
        """Count and log a message that was refused; but nothing of what it says."""
        refused.labels(flaw).inc()
        log.error("event_refused", flaw=str(flaw))
