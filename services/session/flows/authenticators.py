"""A person's authenticators, of all kinds: shown."""

from services.session.domain.factors import WEBAUTHN, is_real
from services.session.domain.signals import of_keys
from services.session.flows.factors import Factors
from services.session.flows.outcomes import Authenticators, LoginNeeded, Outcome, Visit


class AuthenticatorsFlow:
    """What is enrolled. How that changes, each kind has a flow for."""

    def __init__(self, factors: Factors) -> None:
        self._factors = factors

    async def list(self, visit: Visit) -> Outcome:
        """Show what the register holds: no factor is asked, and none needs to be up."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        _, account = visit.logged_in
        offered = self._factors.offered
        shown = (e for e in account.register.entries if is_real(e.type) or e.type in offered)
        keys = account.register.of_type(WEBAUTHN)
        return Authenticators(tuple(shown), signal=of_keys(account, keys[-1]) if keys else None)
