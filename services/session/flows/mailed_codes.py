"""Making the codes that are mailed, and telling whether what was typed is one."""

from datetime import datetime
from hmac import compare_digest

from services.session.domain.codes import (
    CodeFormat,
    CodeRules,
    MailedCode,
    new_code,
    normalise_code,
)
from shared.cipher import KeyRing
from shared.hashing import HashingKeys
from shared.token import keyed_hash

HASHING = "session.mailed_codes"  # of the keys that hash codes


class MailedCodes:
    """Knows the keys by which codes are hashed.

    Each hash is bound to `process`, the id of the login or process whose code it is, so that a
    code opens nothing else. The primary key of the ring hashes, and a code is right by any of them:
    people who wait for a mail do not notice that the ring is turned.
    """

    def __init__(self, ring: KeyRing) -> None:
        self._keys = HashingKeys.of(ring, HASHING)

    def make(self, process: str, rules: CodeRules, now: datetime) -> tuple[str, MailedCode]:
        """Return a fresh code as it is mailed, and what is kept of it."""
        code = new_code(rules.format)
        return code, MailedCode(hash=_hash(self._keys.primary, process, code), made_at=now)

    def remake(
        self, process: str, awaited: MailedCode, format: CodeFormat
    ) -> tuple[str, MailedCode]:
        """Return another code in place of one that is awaited, and what is kept of it."""
        code = new_code(format)
        return code, awaited.resent(_hash(self._keys.primary, process, code))

    def is_right(self, process: str, awaited: MailedCode | None, typed: str) -> bool:
        """Tell whether `typed` is the code that is awaited. How old it is, the caller asks."""
        return awaited is not None and any(
            compare_digest(awaited.hash, _hash(key, process, typed)) for key in self._keys.every
        )


def _hash(key: bytes, process: str, code: str) -> bytes:
    return keyed_hash(key, process, normalise_code(code))
