"""What is kept of keys, in SQLite: secrets sealed, and one statement where requests may race."""

import json
import secrets
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.conformance.yubikey.otp import Secret

SCHEMA = """
CREATE TABLE IF NOT EXISTS begun (
    id TEXT NOT NULL UNIQUE, user_id TEXT NOT NULL, session_id TEXT NOT NULL,
    sealed BLOB NOT NULL, expires_at REAL NOT NULL, PRIMARY KEY (user_id, session_id)
);
CREATE TABLE IF NOT EXISTS keys (
    id TEXT PRIMARY KEY, user_id TEXT NOT NULL, session_id TEXT NOT NULL, sealed BLOB NOT NULL,
    name TEXT, position INTEGER NOT NULL, enrolled_position INTEGER NOT NULL,
    uses INTEGER NOT NULL DEFAULT 0, created_at REAL NOT NULL, last_used_at REAL
);
"""


@dataclass(frozen=True)
class Begun:
    """A key that was shown and has not been touched yet."""

    id: str
    user_id: str
    session_id: str
    secret: Secret
    sealed: bytes  # as it lies there: no two are sealed alike


@dataclass(frozen=True)
class Kept:
    """A key that is enrolled."""

    id: str
    user_id: str
    session_id: str
    secret: Secret
    name: str | None
    enrolled_position: int
    uses: int
    created_at: float
    last_used_at: float | None


class Keeper:
    """Keys of everybody. `sealing_key` has 32 bytes and is not in the database."""

    def __init__(self, path: str, sealing_key: bytes) -> None:
        self._cipher = AESGCM(sealing_key)
        self.db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.db.row_factory = sqlite3.Row
        self.db.executescript(SCHEMA)

    def close(self) -> None:
        """Hang up."""
        self.db.close()

    async def begin(
        self, id: str, user_id: str, session_id: str, secret: Secret, until: float
    ) -> bool:
        """Keep what is shown in place of the session's last. False if the id is taken."""
        try:
            self.db.execute(
                "INSERT INTO begun SELECT ?1, ?2, ?3, ?4, ?5"
                " WHERE NOT EXISTS (SELECT 1 FROM keys WHERE id = ?1)"
                " ON CONFLICT (user_id, session_id) DO UPDATE SET"
                " id = excluded.id, sealed = excluded.sealed, expires_at = excluded.expires_at",
                (id, user_id, session_id, self._seal(secret, id), until),
            )
        except sqlite3.IntegrityError:
            return False
        return bool(self.db.execute("SELECT changes()").fetchone()[0])

    async def begun(self, id: str, user_id: str, session_id: str, now: float) -> Begun | None:
        """Return what this person was shown in this session."""
        row = self.db.execute(
            "SELECT * FROM begun"
            " WHERE id = ? AND user_id = ? AND session_id = ? AND expires_at > ?",
            (id, user_id, session_id, now),
        ).fetchone()
        if row is None:
            return None
        secret = self._open(row["sealed"], id)
        return Begun(id, row["user_id"], row["session_id"], secret, row["sealed"])

    async def enrol(self, begun: Begun, position: int, name: str | None, now: float) -> bool:
        """Make a key of what was shown. False if that is no longer what is shown."""
        self.db.execute("BEGIN IMMEDIATE")
        try:
            taken = self.db.execute(
                "DELETE FROM begun WHERE id = ? AND sealed = ?", (begun.id, begun.sealed)
            ).rowcount
            if taken:
                self.db.execute(
                    "INSERT INTO keys VALUES (?, ?, ?, ?, ?, ?, ?, 0, ?, NULL)",
                    (
                        begun.id,
                        begun.user_id,
                        begun.session_id,
                        self._seal(begun.secret, begun.id),
                        name,
                        position,
                        position,
                        now,
                    ),
                )
        finally:
            self.db.execute("COMMIT")
        return bool(taken)

    async def keys(self, user_id: str) -> list[Kept]:
        """Return a person's keys, oldest first."""
        rows = self.db.execute(
            "SELECT * FROM keys WHERE user_id = ? ORDER BY created_at, id", (user_id,)
        ).fetchall()
        return [self._kept(row) for row in rows]

    async def among(self, user_id: str, ids: Sequence[str]) -> list[Kept]:
        """Return those of `ids` that are the person's."""
        return [kept for kept in await self.keys(user_id) if kept.id in ids]

    async def spend(self, kept: Kept, position: int, now: float) -> bool:
        """Bring a key to `position`. False if it has been there: of two at once one wins."""
        return bool(
            self.db.execute(
                "UPDATE keys SET position = ?1, uses = uses + 1, last_used_at = ?2"
                " WHERE id = ?3 AND position < ?1",
                (position, now, kept.id),
            ).rowcount
        )

    async def rename(self, user_id: str, id: str, name: str) -> Kept | None:
        """Give a key a name."""
        self.db.execute(
            "UPDATE keys SET name = ? WHERE id = ? AND user_id = ?", (name, id, user_id)
        )
        return next((kept for kept in await self.keys(user_id) if kept.id == id), None)

    async def remove(self, user_id: str, id: str) -> bool:
        """Remove a key, and what was begun under its id."""
        where, given = "WHERE id = ? AND user_id = ?", (id, user_id)
        self.db.execute(f"DELETE FROM begun {where}", given)
        return bool(self.db.execute(f"DELETE FROM keys {where}", given).rowcount)

    async def forget(self, user_id: str) -> None:
        """Remove everything of a person."""
        self.db.execute("DELETE FROM begun WHERE user_id = ?", (user_id,))
        self.db.execute("DELETE FROM keys WHERE user_id = ?", (user_id,))

    def _kept(self, row: sqlite3.Row) -> Kept:
        return Kept(
            id=row["id"],
            user_id=row["user_id"],
            session_id=row["session_id"],
            secret=self._open(row["sealed"], row["id"]),
            name=row["name"],
            enrolled_position=row["enrolled_position"],
            uses=row["uses"],
            created_at=row["created_at"],
            last_used_at=row["last_used_at"],
        )

    def _seal(self, secret: Secret, id: str) -> bytes:
        plain = json.dumps([secret.public_id, secret.private_id.hex(), secret.aes.hex()]).encode()
        nonce = secrets.token_bytes(12)
        return nonce + self._cipher.encrypt(nonce, plain, id.encode())

    def _open(self, sealed: bytes, id: str) -> Secret:
        plain = self._cipher.decrypt(sealed[:12], sealed[12:], id.encode())
        public_id, private_id, aes = json.loads(plain)
        return Secret(public_id, bytes.fromhex(private_id), bytes.fromhex(aes))
