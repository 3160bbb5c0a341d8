"""Keys that are mailed in links: signed, good for one purpose and a time, and kept nowhere."""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hmac import compare_digest

from shared.cipher import KeyRing
from shared.hashing import HashingKeys
from shared.token import keyed_hash

MAC_BYTES = 20  # of HMAC-SHA-256, which may be cut short (RFC 2104 section 5)
FORM = re.compile(r"([A-Za-z0-9_-]{1,64})\.([0-9a-f]{1,10})\.([0-9a-f]{40})")


@dataclass(frozen=True, kw_only=True)
class LinkKey:
    """What a key says of itself: believed only once it `fits`.

    The address that it was mailed to is not in it, for links are seen by many.
    """

    user_id: str
    expires: int  # seconds since 1970
    mac: bytes = field(repr=False)


class LinkKeys:
    """Makes and reads the keys of one purpose.

    The primary key of the ring signs, and all of them are believed: links outlive a turn of keys.
    """

    def __init__(self, ring: KeyRing, purpose: str) -> None:
        self._keys = HashingKeys.of(ring, "session.links", purpose)

    def make(self, user_id: str, *bound_to: str, expires_at: datetime) -> str:
        """Return a key for the person of that id, good until `expires_at`.

        `bound_to` is the state that it is for, such as an address: once that is another, the key
        is worth nothing. That is how a key is spent.
        """
        expires = int(expires_at.timestamp())
        mac = self._mac(self._keys.primary, user_id, expires, bound_to)
        return f"{user_id}.{expires:x}.{mac.hex()}"

    def read(self, text: str, now: datetime) -> LinkKey | None:
        """Return what a key says, or None if it is none, or too old."""
        found = FORM.fullmatch(text.strip())
        if found is None:
            return None
        user_id, expires, mac = found.groups()
        key = LinkKey(user_id=user_id, expires=int(expires, 16), mac=bytes.fromhex(mac))
        return key if now.astimezone(UTC).timestamp() < key.expires else None

    def fits(self, key: LinkKey, *bound_to: str) -> bool:
        """Tell whether a key was made here, for that purpose and that state."""
        return any(
            compare_digest(key.mac, self._mac(secret, key.user_id, key.expires, bound_to))
            for secret in self._keys.every
        )

    def _mac(self, secret: bytes, user_id: str, expires: int, bound_to: tuple[str, ...]) -> bytes:
        return keyed_hash(secret, user_id, str(expires), *bound_to)[:MAC_BYTES]
