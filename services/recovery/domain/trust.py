"""The rules of trust in a browser. Pure: no clock, no database, no network.

A token is good until its successor has been used, so that a lost answer or a second tab locks
nobody out. What comes after that is in two hands, and ends the series.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

PART_BYTES = 16  # 128 bits, as 22 characters
HELD_AT_MOST = 10  # tokens in one browser; the contract says so too


@dataclass(frozen=True)
class Policy:
    """How long a browser is trusted, and how many a person may have."""

    age: timedelta = timedelta(days=14)
    max_browsers: int = 10

    def aged(self, browser: "Browser") -> "Browser":
        """Return `browser` with the age as it is now, if it was longer when it was trusted."""
        expires_at = min(browser.expires_at, browser.created_at + self.age)
        return replace(browser, expires_at=expires_at)


@dataclass(frozen=True)
class Token:
    """What a browser holds for one person. The series stays, the secret is replaced at its use."""

    series: str = field(repr=False)
    secret: str = field(repr=False)

    def __str__(self) -> str:
        return f"{self.series}.{self.secret}"

    @classmethod
    def parse(cls, text: str) -> "Token":
        """Return the token in `text`, which has one dot."""
        series, secret = text.split(".")
        return cls(series, secret)

    @classmethod
    def new(cls) -> "Token":
        """Return the first token of a new series."""
        return cls(new_part(), new_part())

    def followed_by(self, secret: str) -> "Token":
        """Return the token that takes its place."""
        return Token(self.series, secret)


@dataclass(frozen=True)
class Browser:
    """A browser that a person trusts. Of its tokens only hashes are kept.

    The successor of the current secret is kept sealed too: who asks twice is given it twice.
    """

    id: str
    user_id: str
    series_hash: str = field(repr=False)
    current_hash: str = field(repr=False)
    next_hash: str = field(repr=False)
    sealed_next: bytes = field(repr=False)
    factor_epoch: int
    name: str
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime

    def is_live(self, factor_epoch: int, now: datetime) -> bool:
        """Tell whether it is trusted at all."""
        return self.factor_epoch == factor_epoch and now < self.expires_at


class Standing(StrEnum):
    """What a token is to the person who logs in."""

    CURRENT = "current"
    NEXT = "next"  # its predecessor is over from now on
    REPLAYED = "replayed"  # it was good once, and its successor has been used
    EXPIRED = "expired"
    ENDED = "ended"  # by a change of the person's factors, or of the password
    PREMATURE = "premature"  # of a newer epoch than the login: the login is the one that is over
    FOREIGN = "foreign"  # somebody else's
    UNKNOWN = "unknown"  # revoked, or made up


GOOD = frozenset({Standing.CURRENT, Standing.NEXT})
OVER = frozenset({Standing.REPLAYED, Standing.EXPIRED, Standing.ENDED})
KEPT = GOOD | {Standing.PREMATURE, Standing.FOREIGN}


@dataclass(frozen=True)
class Ruling:
    """What follows from the tokens of a browser.

    `standing` is that of the `token` that decided; `browser` is its browser, if that is this
    person's. `over` are browsers of the person that are trusted no more; `kept` are the tokens
    that stay, in order.
    """

    standing: Standing
    token: Token
    browser: Browser | None
    over: tuple[str, ...]
    kept: tuple[Token, ...]

    def tokens_with(self, successor: Token) -> tuple[Token, ...]:
        """Return what the browser is to keep, with `successor` in place of the deciding token."""
        return tuple(successor if token == self.token else token for token in self.kept)


def new_part() -> str:
    """Return a fresh series or secret."""
    return secrets.token_urlsafe(PART_BYTES)


def hash_part(part: str) -> str:
    """Return the SHA-256 of a series or secret, in hex: enough for 128 random bits."""
    return hashlib.sha256(part.encode()).hexdigest()


def judge(
    token: Token, browser: Browser | None, *, user_id: str, factor_epoch: int, now: datetime
) -> Standing:
    """Return what `token` is worth, given the browser of its series."""
    if browser is None:
        return Standing.UNKNOWN
    if now >= browser.expires_at:
        return Standing.EXPIRED
    if browser.user_id != user_id:
        return Standing.FOREIGN
    if browser.factor_epoch < factor_epoch:
        return Standing.ENDED
    if browser.factor_epoch > factor_epoch:
        return Standing.PREMATURE
    secret = hash_part(token.secret)
    if hmac.compare_digest(secret, browser.current_hash):
        return Standing.CURRENT
    if hmac.compare_digest(secret, browser.next_hash):
        return Standing.NEXT
    return Standing.REPLAYED


def rule(
    tokens: Sequence[Token],
    browsers: Mapping[str, Browser],
    *,
    user_id: str,
    factor_epoch: int,
    now: datetime,
) -> Ruling:
    """Decide by all `tokens` of a browser; `browsers` are those of their series, by its hash.

    A theft weighs more than a token that is good, and that more than one that is not. Of one
    series the first token counts.
    """
    judged: list[_Judged] = []
    for token in {token.series: token for token in reversed(tokens)}.values():
        browser = browsers.get(hash_part(token.series))
        standing = judge(token, browser, user_id=user_id, factor_epoch=factor_epoch, now=now)
        mine = browser if browser is not None and browser.user_id == user_id else None
        judged.insert(0, _Judged(standing, token, mine))
    decisive = min(judged, key=_weight)
    return Ruling(
        standing=decisive.standing,
        token=decisive.token,
        browser=decisive.mine,
        over=tuple(j.mine.id for j in judged if j.mine is not None and j.standing in OVER),
        kept=tuple(j.token for j in judged if j.standing in KEPT),
    )


@dataclass(frozen=True)
class _Judged:
    """A token, what it is worth, and its browser if that is this person's."""

    standing: Standing
    token: Token
    mine: Browser | None


def _weight(judged: _Judged) -> int:
    """Return how early a standing decides: the lower, the earlier."""
    if judged.standing is Standing.REPLAYED:
        return 0
    if judged.standing in GOOD:
        return 1
    if judged.mine is not None:
        return 2
    return 4 if judged.standing is Standing.FOREIGN else 3


def held_after(tokens: Iterable[Token], added: Token) -> tuple[Token, ...]:
    """Return `tokens` with one more at the end; of too many, the oldest fall out."""
    return (*dict.fromkeys(tokens), added)[-HELD_AT_MOST:]
