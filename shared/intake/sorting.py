"""Tells events that are believed from whatever else comes off the bus."""

import structlog

from shared.bus.wire import EventVerifier, Flaw, Received, Refused
from shared.intake.measures import Measures

log = structlog.stdlib.get_logger(__name__)


class Sorter:
    """Believes what a known source has signed."""

    def __init__(self, verifier: EventVerifier, measures: Measures) -> None:
        self._verifier = verifier
        self._measures = measures

    def judge(self, body: bytes) -> Received | Flaw:
        """Return the event in a message, or what is wrong with it. It never raises."""
        try:
            return self._verifier.verify(body)
        except Refused as refusal:
            return refusal.flaw
        except Exception:  # whatever it is, the messages behind this one must not wait for it
            log.exception("event_not_judged", intake=self._measures.name)
            return Flaw.UNEXPECTED

    def raise_alarm(self, flaw: Flaw) -> None:
        """Count and log a message that was refused; but nothing of what it says."""
        self._measures.refused.labels(flaw).inc()
        log.error("event_refused", intake=self._measures.name, flaw=str(flaw))
