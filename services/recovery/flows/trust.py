"""What happens to trust in browsers: read, decide, one write."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from services.recovery.domain.trust import (
    GOOD,
    Browser,
    Policy,
    Ruling,
    Standing,
    Token,
    hash_part,
    held_after,
    new_part,
    rule,
)
from services.recovery.events.trust import (
    TrustGiven,
    TrustRefused,
    TrustReplayed,
    TrustRevoked,
    TrustUsed,
)
from services.recovery.store.trust import BrowserStore
from shared.browser_name import browser_name
from shared.clock import Clock


@dataclass(frozen=True)
class Outcome:
    """Whether a browser is trusted, and the tokens that it is to keep."""

    tokens: tuple[Token, ...] = field(repr=False)
    browser_id: str | None = None  # if it is trusted


@dataclass(frozen=True)
class Given:
    """A browser that is trusted from now on, and the tokens that it is to keep."""

    browser_id: str
    tokens: tuple[Token, ...] = field(repr=False)


@dataclass(frozen=True)
class Revoked:
    """Browsers that were trusted until now, and the tokens that the one that asks is to keep."""

    browser_ids: tuple[str, ...]
    tokens: tuple[Token, ...] = field(repr=False)


@dataclass(frozen=True)
class Listed:
    """A trusted browser, as its owner may see it."""

    browser: Browser
    is_current: bool


class TrustFlows:
    """The use cases. `factor_epoch` is session's number for the person: it ends what is older."""

    def __init__(self, store: BrowserStore, clock: Clock, policy: Policy) -> None:
        self._store = store
        self._clock = clock
        self._policy = policy

    async def check(self, user_id: str, tokens: Sequence[Token], factor_epoch: int) -> Outcome:
        """Tell whether the browser that holds `tokens` is trusted, and replace the token used.

        Repeatable, as long as the token that it answers has not been used. Exactly one event.
        """
        while True:
            ruling = await self._ruling(user_id, tokens, factor_epoch)
            outcome = await self._carried_out(user_id, ruling)
            if outcome is not None:
                return outcome
            # Another tab has used the token, or the trust has ended since: look again.

    async def recognise(
        self, user_id: str, tokens: Sequence[Token], factor_epoch: int
    ) -> str | None:
        """Return the browser that holds `tokens`, if the person trusts it.

        Nothing is written: who is asked about has not given the password yet, so that no token is
        used, and a theft is left to be found out by a use.
        """
        ruling = await self._ruling(user_id, tokens, factor_epoch)
        if ruling.browser is None or ruling.standing not in GOOD:
            return None
        return ruling.browser.id

    async def trust(
        self, user_id: str, tokens: Sequence[Token], factor_epoch: int, user_agent: str
    ) -> Given:
        """Trust a browser. Whoever calls has seen a second factor in this very login.

        What the browser held for this person is over, and so is the oldest of too many: these
        are not told one by one. Two at once may leave one too many, until the next.
        """
        now = self._clock()
        browser_id, token = new_part(), Token.new()
        name = browser_name(user_agent)
        await self._store.add(
            token,
            new_part(),
            TrustGiven(user_id=user_id, browser_id=browser_id, name=name),
            id=browser_id,
            user_id=user_id,
            name=name,
            factor_epoch=factor_epoch,
            now=now,
            expires_at=now + self._policy.age,
            instead_of=tokens,
            max_browsers=self._policy.max_browsers,
        )
        return Given(browser_id, held_after(tokens, token))

    async def browsers(
        self, user_id: str, tokens: Sequence[Token], factor_epoch: int
    ) -> list[Listed]:
        """Return the browsers that the person trusts, newest first. `tokens` tell which asks."""
        now = self._clock()
        series = {hash_part(token.series) for token in tokens}
        return [
            Listed(browser, browser.series_hash in series)
            for browser in await self._all(user_id)
            if browser.is_live(factor_epoch, now)
        ]

    async def revoke(
        self, user_id: str, ids: Sequence[str] | None, tokens: Sequence[Token] = ()
    ) -> Revoked:
        """Trust these browsers no more, or none at all. Repeatable.

        Of the `tokens` of the browser that asks, those stay whose series there still is.
        """
        now = self._clock()
        ended = await self._end(
            user_id, lambda b: now < b.expires_at and (ids is None or b.id in ids)
        )
        kept = await self._find(tokens) if tokens else {}
        return Revoked(
            browser_ids=tuple(ended),
            tokens=tuple(token for token in tokens if hash_part(token.series) in kept),
        )

    async def forget(self, user_id: str) -> None:
        """Remove everything of a person. Repeatable."""
        await self._end(user_id, lambda _: True)

    async def sweep(self) -> None:
        """Remove the browsers whose trust has expired, or would have by the age as it is now."""
        now = self._clock()
        while await self._store.sweep(now, trusted_until=now - self._policy.age):
            pass

    async def _ruling(self, user_id: str, tokens: Sequence[Token], factor_epoch: int) -> Ruling:
        return rule(
            tokens,
            await self._find(tokens),
            user_id=user_id,
            factor_epoch=factor_epoch,
            now=self._clock(),
        )

    async def _find(self, tokens: Sequence[Token]) -> dict[str, Browser]:
        found = await self._store.find(tokens)
        return {series: self._policy.aged(browser) for series, browser in found.items()}

    async def _all(self, user_id: str) -> list[Browser]:
        return [self._policy.aged(browser) for browser in await self._store.all(user_id)]

    async def _carried_out(self, user_id: str, ruling: Ruling) -> Outcome | None:
        """Write what `ruling` says, or return None if it is out of date."""
        browser = ruling.browser
        if browser is None:
            await self._store.refuse(
                user_id, (), TrustRefused(user_id=user_id, reason=ruling.standing)
            )
            return Outcome(ruling.kept)
        match ruling.standing:
            case Standing.CURRENT:
                return await self._used(browser, ruling)
            case Standing.NEXT:
                return await self._advanced(browser, ruling)
            case Standing.REPLAYED:
                replayed = TrustReplayed(user_id=user_id, browser_id=browser.id)
                ended = await self._store.end(user_id, [browser.id], replayed, over=ruling.over)
                return Outcome(ruling.kept) if ended else None
        refused = TrustRefused(user_id=user_id, reason=ruling.standing, browser_id=browser.id)
        await self._store.refuse(user_id, ruling.over, refused)
        return Outcome(ruling.kept)

    async def _used(self, browser: Browser, ruling: Ruling) -> Outcome | None:
        successor = ruling.token.followed_by(self._store.next_secret(browser))
        used = TrustUsed(user_id=browser.user_id, browser_id=browser.id)
        if await self._store.use(browser, self._clock(), used, over=ruling.over):
            return Outcome(ruling.tokens_with(successor), browser.id)
        return None

    async def _advanced(self, browser: Browser, ruling: Ruling) -> Outcome | None:
        secret = new_part()
        used = TrustUsed(user_id=browser.user_id, browser_id=browser.id)
        now = self._clock()
        if await self._store.advance(browser, secret, now, used, over=ruling.over):
            return Outcome(ruling.tokens_with(ruling.token.followed_by(secret)), browser.id)
        return None

    async def _end(self, user_id: str, chosen: Callable[[Browser], bool]) -> list[str]:
        """Delete the chosen browsers of a person, all at once, and return which."""
        while True:
            ended = [browser.id for browser in await self._all(user_id) if chosen(browser)]
            revoked = [TrustRevoked(user_id=user_id, browser_id=each) for each in ended]
            if not ended or await self._store.end(user_id, ended, *revoked):
                return ended
            # Another request has ended one of them since: look again.
