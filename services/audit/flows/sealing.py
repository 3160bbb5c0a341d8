"""Events sealed under the key of their person, as they are kept, and opened, as they are shown."""

import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping

import structlog

from services.audit.domain.entries import Entry
from services.audit.domain.reading import Shown, remnant
from services.audit.domain.sealing import (
    NOBODY,
    NOT_KEPT,
    join,
    sealed_form,
    sealed_part,
    split,
    without_personal,
)
from shared.cipher import KEY_BYTES, CannotOpen, Cipher, KeyRing

PURPOSE = "audit.event"

log = structlog.stdlib.get_logger(__name__)


def new_key() -> bytes:
    """Return a key for a person."""
    return secrets.token_bytes(KEY_BYTES)


class Seals:
    """Seals and opens the events of some people, whose keys it has for that time."""

    def __init__(self, keys: Mapping[str, bytes | None]) -> None:
        """Take the keys by person; None is the key of who is forgotten."""
        self._ciphers = {
            person: None if key is None else Cipher(KeyRing("1", {"1": key}), PURPOSE)
            for person, key in keys.items()
        }

    def seal(self, text: str, *, id: str, subject: str | None, redacted: bool = False) -> str:
        """Return the sealed form of an event. Without a key, what is personal is not kept."""
        event, personal = split(text)
        if personal is None:
            return sealed_form(event, NOT_KEPT if redacted else None)
        cipher = self._ciphers[subject or NOBODY]
        if cipher is None:
            return sealed_form(event, NOT_KEPT)
        sealed = cipher.seal(personal.encode(), bound_to=_place(id, subject))
        return sealed_form(event, urlsafe_b64encode(sealed).decode())

    def shown(self, entry: Entry) -> Shown:
        """Return an entry with its event as it was signed, or what is left of that."""
        if entry.event is None:
            return Shown(entry, remnant(entry), redacted=True, dropped=True)
        sealed = sealed_part(entry.event)
        if sealed is None:
            return Shown(entry, entry.event)
        personal = self._open(entry, sealed)
        if personal is None:
            return Shown(entry, without_personal(entry.event), redacted=True)
        return Shown(entry, join(entry.event, personal))

    def _open(self, entry: Entry, sealed: str) -> str | None:
        cipher = self._ciphers.get(entry.subject or NOBODY)
        if cipher is None or sealed == NOT_KEPT:
            return None
        try:
            raw = urlsafe_b64decode(sealed)
            return cipher.open(raw, bound_to=_place(entry.id, entry.subject)).decode()
        except (CannotOpen, ValueError):
            # Sealed under a key that was destroyed meanwhile, or somebody has been at the table:
            # `countersign audit verify` tells which.
            log.warning("event_not_opened", entry=entry.number)
            return None


def _place(id: str, subject: str | None) -> tuple[str, ...]:
    return ("audit", "entries", "event", id, subject or NOBODY)
