"""Holds entries against what their sources have signed, whose keys the ledger does not have."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from countersign_events import EventVerifier, Flaw, PublicKey, Refused
from services.audit.domain.entries import Entry

WHY = {
    Flaw.UNSIGNED: "its event has no signature",
    Flaw.UNKNOWN_KEY: "no key is at hand by which its event is signed",
    Flaw.ALTERED: "the signature of its event does not fit",
    Flaw.FOREIGN: "its event is signed by another source than it names",
}
"""What is said of an event that no source has signed like this."""


@dataclass
class Signatures:
    """Judges events by the public keys of their sources, by key id."""

    keys: Mapping[str, PublicKey]
    fitting: int = 0
    unopened: int = 0  # of which nobody can say what their source has signed
    _verifier: EventVerifier = field(init=False)

    def __post_init__(self) -> None:
        self._verifier = EventVerifier(self.keys)

    def fault(self, entry: Entry, text: str | None) -> str | None:
        """Return what is wrong with an entry whose event was signed as `text`.

        None is the text of an event that cannot be opened, as one of a person who is forgotten.
        """
        if text is None:
            self.unopened += 1
            return None
        try:
            event = self._verifier.verify(text.encode(errors="replace"))
        except Refused as refusal:
            return WHY.get(refusal.flaw, "its event is none that a source could have signed")
        signed = (event.id, event.type, event.source, event.number, event.occurred_at)
        if signed != (entry.id, entry.type, entry.source, entry.sequence, entry.occurred_at):
            return "it tells something else of its event than the source has signed"
        self.fitting += 1
        return None
