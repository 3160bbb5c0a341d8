"""Where trusted browsers are kept. Every statement about them is here."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import bindparam, delete, insert, literal_column, or_, select, update

from services.recovery.domain.trust import Browser, Token, hash_part
from services.recovery.store.tables import browsers
from shared.cipher import Cipher, KeyRing
from shared.clock import from_micros, to_micros
from shared.database import Change, Database, Row, Statement, Step, also, step
from shared.event import Event
from shared.resealing import Shelf, shelf

PURPOSE = "recovery.browser"  # of the key that seals the secrets that come next
SWEPT_AT_ONCE = 500  # expired browsers; a delete without bound would hold its locks for long

BY_SERIES = Statement(select(browsers).where(browsers.c.series_hash.in_(bindparam("hashes"))))

OF_USER = Statement(
    select(browsers)
    .where(browsers.c.user_id == bindparam("user_id"))
    .order_by(browsers.c.created_at.desc(), browsers.c.id.desc())
)

# The row is as it was read if its secret is.
USE = Statement(
    update(browsers)
    .where(browsers.c.id == bindparam("id"), browsers.c.current_hash == bindparam("current_hash"))
    .values(last_used_at=bindparam("now"))
)

ADVANCE = Statement(
    update(browsers)
    .where(browsers.c.id == bindparam("id"), browsers.c.next_hash == bindparam("seen_hash"))
    .values(
        current_hash=bindparam("current_hash"),
        next_hash=bindparam("next_hash"),
        sealed_next=bindparam("sealed_next"),
        last_used_at=bindparam("now"),
    )
)

ADD = Statement(insert(browsers))

_staying = browsers.alias("staying")
_leaving = browsers.alias("leaving")

_stay = (
    select(_staying.c.id)
    .where(
        _staying.c.user_id == bindparam("user_id"),
        _staying.c.id != bindparam("new_id"),
        _staying.c.factor_epoch >= bindparam("factor_epoch"),
        _staying.c.expires_at > bindparam("now"),
        _staying.c.series_hash.not_in(bindparam("held")),
    )
    .order_by(_staying.c.created_at.desc(), _staying.c.id.desc())
    .limit(bindparam("room"))
)

# Of a person who trusts another browser: what that browser held, what is over, and the oldest.
# Locked by the id, as everywhere: no two who delete several rows wait for each other.
MAKE_ROOM = Statement(
    delete(browsers).where(
        browsers.c.id.in_(
            select(_leaving.c.id)
            .where(
                _leaving.c.user_id == bindparam("user_id"),
                _leaving.c.id != bindparam("new_id"),
                _leaving.c.id.not_in(_stay),
            )
            .order_by(_leaving.c.id)
            .with_for_update()
        )
    )
)

END = Statement(
    delete(browsers).where(
        browsers.c.id == bindparam("id"), browsers.c.user_id == bindparam("user_id")
    )
)

SWEEP = Statement(
    delete(browsers).where(
        browsers.c.id.in_(
            select(browsers.c.id)
            .where(
                or_(
                    browsers.c.expires_at <= bindparam("now"),
                    browsers.c.created_at <= bindparam("trusted_until"),
                )
            )
            .limit(literal_column(str(SWEPT_AT_ONCE)))
            .with_for_update(skip_locked=True)
        )
    )
)


class BrowserStore:
    """The browsers that people trust: hashes of their tokens, and the secret that comes next."""

    def __init__(self, db: Database, ring: KeyRing) -> None:
        self._db = db
        self._cipher = Cipher(ring, PURPOSE)

    async def find(self, tokens: Sequence[Token]) -> dict[str, Browser]:
        """Return the browsers of these series, whosever they are, by the hash of the series."""
        hashes = [hash_part(token.series) for token in tokens]
        rows = await self._db.all(BY_SERIES, hashes=hashes)
        return {row.series_hash: _browser(row) for row in rows}

    async def all(self, user_id: str) -> list[Browser]:
        """Return every browser of a user that there still is, newest first."""
        return [_browser(row) for row in await self._db.all(OF_USER, user_id=user_id)]

    def next_secret(self, browser: Browser) -> str:
        """Return the secret that comes after the current one. Raises CannotOpen."""
        place = _place(browser.id, browser.user_id)
        return self._cipher.open(browser.sealed_next, bound_to=place).decode()

    async def use(
        self, browser: Browser, now: datetime, *events: Event, over: Sequence[str] = ()
    ) -> bool:
        """Note that the current secret was used. False, and nothing, if it is another by now.

        Browsers of the person that are `over` go along.
        """
        used = step(USE, id=browser.id, current_hash=browser.current_hash, now=to_micros(now))
        change = Change(used, *_endings(browser.user_id, over))
        return await self._db.apply(change, *events) is not None

    async def advance(
        self,
        browser: Browser,
        next_secret: str,
        now: datetime,
        *events: Event,
        over: Sequence[str] = (),
    ) -> bool:
        """Let the next secret be the current one, and `next_secret` come after it.

        False, and nothing, if it is another by now. Browsers that are `over` go along.
        """
        advanced = step(
            ADVANCE,
            id=browser.id,
            seen_hash=browser.next_hash,
            current_hash=browser.next_hash,
            next_hash=hash_part(next_secret),
            sealed_next=self._sealed(next_secret, browser.id, browser.user_id),
            now=to_micros(now),
        )
        change = Change(advanced, *_endings(browser.user_id, over))
        return await self._db.apply(change, *events) is not None

    async def add(
        self,
        token: Token,
        next_secret: str,
        *events: Event,
        id: str,
        user_id: str,
        name: str,
        factor_epoch: int,
        now: datetime,
        expires_at: datetime,
        instead_of: Sequence[Token],
        max_browsers: int,
    ) -> None:
        """Keep a browser, instead of what it held for the person, and of the oldest of too many."""
        added = step(
            ADD,
            id=id,
            user_id=user_id,
            series_hash=hash_part(token.series),
            current_hash=hash_part(token.secret),
            next_hash=hash_part(next_secret),
            sealed_next=self._sealed(next_secret, id, user_id),
            factor_epoch=factor_epoch,
            name=name,
            created_at=to_micros(now),
            last_used_at=None,
            expires_at=to_micros(expires_at),
        )
        room = also(
            MAKE_ROOM,
            user_id=user_id,
            new_id=id,
            factor_epoch=factor_epoch,
            now=to_micros(now),
            held=[hash_part(held.series) for held in instead_of],
            room=max_browsers - 1,
        )
        await self._db.apply(Change(added, room), *events)

    async def refuse(self, user_id: str, over: Sequence[str], *events: Event) -> None:
        """Record `events`, and delete the browsers of the user that are `over`."""
        await self._db.apply(Change(*_endings(user_id, over)), *events)

    async def end(
        self, user_id: str, ids: Sequence[str], *events: Event, over: Sequence[str] = ()
    ) -> bool:
        """Delete browsers of the user. False, and nothing is recorded, unless all were there.

        Others that are `over` go along.
        """
        ended = [
            (step if each in ids else also)(END, id=each, user_id=user_id)
            for each in sorted({*ids, *over})
        ]
        return await self._db.apply(Change(*ended), *events) is not None

    async def sweep(self, now: datetime, *, trusted_until: datetime) -> bool:
        """Delete up to 500 browsers that have expired, or are trusted since `trusted_until`.

        Or longer. False if there were none.
        """
        swept = step(SWEEP, now=to_micros(now), trusted_until=to_micros(trusted_until))
        return await self._db.apply(swept) is not None

    def _sealed(self, secret: str, id: str, user_id: str) -> bytes:
        return self._cipher.seal(secret.encode(), bound_to=_place(id, user_id))


def sealed_tokens() -> Shelf:
    """Return the secrets that come next, as values that lie sealed."""
    return shelf(browsers.c.sealed_next, lambda row: _place(row.id, row.user_id))


def _endings(user_id: str, over: Sequence[str]) -> list[Step]:
    return [also(END, id=each, user_id=user_id) for each in sorted(over)]


def _place(id: str, user_id: str) -> tuple[str, ...]:
    """Name where a secret lies: moved to another row, it does not open."""
    return "recovery", "browsers", "sealed_next", id, user_id


def _browser(row: Row) -> Browser:
    used = row.last_used_at
    return Browser(
        id=row.id,
        user_id=row.user_id,
        series_hash=row.series_hash,
        current_hash=row.current_hash,
        next_hash=row.next_hash,
        sealed_next=row.sealed_next,
        factor_epoch=row.factor_epoch,
        name=row.name,
        created_at=from_micros(row.created_at),
        last_used_at=None if used is None else from_micros(used),
        expires_at=from_micros(row.expires_at),
    )
