"""Sessions by the access tokens that stand for them."""

from services.session.domain.tokens import Claims, TokenRules, Use
from services.session.store import Found
from services.session.store.refresh_tokens import RefreshTokens
from shared.clock import Clock


class AccessTokens:
    """Reads access tokens. Without `rules` (HEADLESS_TOKEN_STRATEGY) none is any good.

    A resource server believes the signature. Here the session has to be there as well.
    """

    def __init__(
        self, refresh_tokens: RefreshTokens, rules: TokenRules | None, clock: Clock
    ) -> None:
        self._refresh_tokens = refresh_tokens
        self._rules = rules
        self._clock = clock

    @property
    def stateful(self) -> bool:
        """Whether a token whose session is over counts as none at all."""
        return self._rules is not None and self._rules.stateful

    def read(self, token: str | None) -> Claims | None:
        """Return what a token says that was signed here and has not expired."""
        if self._rules is None or not token:
            return None
        return self._rules.read(token, Use.ACCESS, self._clock())

    async def find(self, claims: Claims) -> Found | None:
        """Return the session that a token stands for, by one statement. Whether it is live, or not.

        None if there is none, or the token is from before a change of the password.
        """
        found = await self._refresh_tokens.find(claims.session)
        return found if found is not None and claims.fit(found.session) else None
