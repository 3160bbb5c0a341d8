"""The browsers that a person trusts: shown, and trusted no more, one by one or all at once."""

from collections.abc import Sequence

from services.session.domain.faults import not_a_choice
from services.session.domain.sessions import Account
from services.session.flows.outcomes import (
    LoginNeeded,
    Outcome,
    Refused,
    TrustedBrowsers,
    Visit,
)
from services.session.flows.trust import changed
from shared.errors import Unavailable
from shared.trust import Browser, TrustClient


class TrustedBrowsersFlow:
    """What a person sees of them. No fresh proof is needed: it only takes something away.

    Everything raises Unavailable if the keeper of trust is away, or there is none.
    """

    def __init__(self, keeper: TrustClient | None) -> None:
        self._keeper = keeper

    async def list(self, visit: Visit) -> Outcome:
        """Show the browsers that are trusted now, the newest first."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        _, account = visit.logged_in
        return TrustedBrowsers(browsers=await self._live(visit, account))

    async def revoke(self, visit: Visit, ids: Sequence[str]) -> Outcome:
        """Trust some no more. If one is none of the person's, nothing is revoked."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        _, account = visit.logged_in
        live = await self._live(visit, account)
        known = {browser.id for browser in live}
        if strange := [named for named in ids if named not in known]:
            return Refused((not_a_choice("browsers", strange[0]),))
        revoked = await self._present.revoke(account.id, ids, tokens=visit.trust_tokens)
        return TrustedBrowsers(
            browsers=tuple(browser for browser in live if browser.id not in ids),
            trust_tokens=changed(visit, revoked.tokens),
        )

    async def revoke_all(self, visit: Visit) -> Outcome:
        """Trust none any more."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        _, account = visit.logged_in
        revoked = await self._present.revoke(account.id, tokens=visit.trust_tokens)
        return TrustedBrowsers(browsers=(), trust_tokens=changed(visit, revoked.tokens))

    async def _live(self, visit: Visit, account: Account) -> tuple[Browser, ...]:
        return tuple(
            await self._present.browsers(
                account.id, factor_epoch=account.factor_epoch, tokens=visit.trust_tokens
            )
        )

    @property
    def _present(self) -> TrustClient:
        if self._keeper is None:
            raise Unavailable("Browsers are not trusted here.")
        return self._keeper
