"""Tells events that are believed from whatever else comes off the bus."""

import structlog

from countersign_events.types import TYPES
from shared.bus.wire import EventVerifier, Flaw, Received, Refused
from shared.intake.measures import Measures

SOURCES = frozenset(kind.split(".")[1] for kind in TYPES)
"""Whose events the catalogue has; what it has not of them is none. Others speak for themselves."""

log = structlog.stdlib.get_logger(__name__)


def judged(verifier: EventVerifier, body: bytes) -> Received | Flaw:
    """Return the event in a message, or what is wrong with it."""
    try:
        event = verifier.verify(body)
    except Refused as refusal:
        return refusal.flaw
    is_invented = event.source in SOURCES and event.type not in TYPES
    return Flaw.UNKNOWN_TYPE if is_invented else event


class Sorter:
    """Believes what a known source has signed, if it is one of the events that there are."""

    def __init__(self, verifier: EventVerifier, measures: Measures) -> None:
        self._verifier = verifier
        self._measures = measures

    def judge(self, body: bytes) -> Received | Flaw:
        """Return the event in a message, or what is wrong with it. It never raises."""
        try:
            return judged(self._verifier, body)
        except Exception:  # whatever it is, the messages behind this one must not wait for it
            log.exception("event_not_judged", intake=self._measures.name)
            return Flaw.UNEXPECTED

    def raise_alarm(self, flaw: Flaw) -> None:
        """Count and log a message that was refused; but nothing of what it says."""
        self._measures.refused.labels(flaw).inc()
        log.error("event_refused", intake=self._measures.name, flaw=str(flaw))
