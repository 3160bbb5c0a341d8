"""Browsers that people trust: recognised when a login begins, trusted when one ends."""

from contextlib import suppress
from dataclasses import dataclass, field, replace

from services.session.domain.sessions import Account, Client
from services.session.domain.stages import Login, Stage, next_stage, pass_stage
from services.session.flows.engine import Engine, arrived
from services.session.flows.outcomes import Outcome, StageNeeded, Visit
from services.session.flows.register import Registrar
from services.session.store import Store
from shared.clock import Clock
from shared.errors import CountersignError, Unavailable
from shared.token import new_token
from shared.trust import TrustClient, Trusted

ID_BYTES = 16  # of a person
KEEPER = "recovery"  # the service that keeps trust, and is to forget people in the end


@dataclass(frozen=True, kw_only=True)
class Recognised:
    """The login as it goes on, and what the browser is to keep (see `Standing`)."""

    login: Login
    tokens: tuple[str, ...] | None = field(default=None, repr=False)


class Recognition:
    """Tells at a login whether the browser is trusted. Without a `keeper` none is, ever.

    Trust stands in for the second factor only where it is `of_second_factors`; it may be of login
    codes alone.
    """

    def __init__(self, keeper: TrustClient | None, *, of_second_factors: bool = True) -> None:
        self._keeper = keeper
        self._of_second_factors = of_second_factors

    def asks(self, visit: Visit) -> bool:
        """Tell whether whoever gives a second factor here is asked if the browser is theirs."""
        return self._of_second_factors and self._knows_some(visit)

    def has_to_ask(self, visit: Visit, login: Login, account: Account) -> bool:
        """Tell whether it may take a call to tell if the browser is trusted."""
        spared = login.asks_trust and account.facts.has_second_factor
        spared = spared or (login.code_trusts and login.wants_code)
        return spared and self.shows_trust(visit)

    def shows_trust(self, visit: Visit) -> bool:
        """Tell whether the browser shows what trusted ones have, which anybody can make up."""
        return self._knows_some(visit) and bool(visit.trust_tokens)

    def _knows_some(self, visit: Visit) -> bool:
        return self._keeper is not None and visit.client is Client.BROWSER

    async def trusted_browser(self, visit: Visit, account: Account | None) -> str | None:
        """Return the browser that shows what it has, if the owner of `account` trusts it.

        One call, before any password, and the same for nobody: whoever asks has counted it. It uses
        nothing of what the browser has; a keeper that is away knows no browser.
        """
        if self._keeper is None or not self.shows_trust(visit):
            return None
        try:
            recognised = await self._keeper.recognise(
                new_token(ID_BYTES) if account is None else account.id,
                tokens=visit.trust_tokens,
                factor_epoch=0 if account is None else account.factor_epoch,
            )
        except CountersignError:
            return None
        return None if account is None else recognised.browser_id

    async def recognise(self, visit: Visit, login: Login, account: Account) -> Recognised:
        """Let a trusted browser stand in for what `login` takes besides a first proof, if it may.

        One call, to be made only after a right password, passkey or code. A keeper that is away,
        or that refuses to judge, has not recognised anything. Of a theft the keeper itself tells,
        by its event.
        """
        if self._keeper is None or not self.has_to_ask(visit, login, account):
            return Recognised(login=login)
        if next_stage(login, account.facts) not in (Stage.LOGIN_BY_CODE, Stage.MFA_AUTHENTICATE):
            return Recognised(login=login)
        try:
            checked = await self._keeper.check(
                account.id, tokens=visit.trust_tokens, factor_epoch=account.factor_epoch
            )
        except CountersignError:
            return Recognised(login=login)
        if checked.trusted:
            login = replace(login, trusted_browser=checked.browser_id)
        return Recognised(login=login, tokens=changed(visit, checked.tokens))


class TrustFlow:
    """The trust stage, which browsers alone come to, after a second factor in the same login."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        registrar: Registrar,
        keeper: TrustClient | None,
        clock: Clock,
    ) -> None:
        self._store = store
        self._engine = engine
        self._registrar = registrar
        self._keeper = keeper
        self._clock = clock

    async def decide(self, visit: Visit, *, trusts: bool) -> Outcome:
        """Complete the login, and let its browser stand in for the second factor if it `trusts`.

        One call, if so, and one write. Raises Unavailable if the keeper is away: the login stays
        where it is. If the write is refused, so is the trust.
        """
        session, account = visit.session, visit.account
        if (
            session is None
            or account is None
            or session.login is None
            or visit.pending is not Stage.MFA_TRUST
        ):
            return StageNeeded(visit)
        if account.register.pending is not None:
            settled = await self._registrar.settled(account)
            if settled.factor_epoch != account.factor_epoch:  # this login ended with it
                return StageNeeded(visit.as_nobody)
            account = settled
        given = await self._trusted(visit, account) if trusts else None
        kept = () if given is None else (self._store.keep(account.id, KEEPER),)
        move = self._engine.move(
            visit, pass_stage(session.login, Stage.MFA_TRUST), account.facts, self._clock()
        )
        written = await self._store.write(
            self._store.account_stands(account), *move.steps, *kept, events=move.events
        )
        if written is not None:
            tokens = None if given is None else changed(visit, given.tokens)
            return arrived(visit, move, account, trust_tokens=tokens)
        if given is not None:
            await self._take_back(account, given)
        return StageNeeded(visit.as_nobody)

    async def _trusted(self, visit: Visit, account: Account) -> Trusted:
        if self._keeper is None:
            raise Unavailable("Browsers are not trusted here.")
        return await self._keeper.trust(
            account.id,
            factor_epoch=account.factor_epoch,
            tokens=visit.trust_tokens,
            user_agent=visit.user_agent,
        )

    async def _take_back(self, account: Account, given: Trusted) -> None:
        """Revoke what nobody was told of; if the keeper is away, it expires unused."""
        if self._keeper is not None:
            with suppress(CountersignError):
                await self._keeper.revoke(account.id, [given.browser_id])


def changed(visit: Visit, tokens: list[str]) -> tuple[str, ...] | None:
    """Return `tokens`, or None if the browser has them already."""
    return None if tuple(tokens) == visit.trust_tokens else tuple(tokens)
