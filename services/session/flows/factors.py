"""The factors that people can use here, by the kinds of authenticators that they keep."""

from collections.abc import Collection, Mapping

from services.session.domain.factors import TYPES, service_of
from shared.errors import Unavailable
from shared.factor import FactorClient


class Factors:
    """The clients of factors, each by the name of its service, and the kinds that are offered.

    A service may be there for another reason than to keep authenticators: what is not offered is
    not asked for. Kinds of someone else's factors are asked about codes after our own.
    """

    def __init__(self, clients: Mapping[str, FactorClient], offered: Collection[str]) -> None:
        self._clients = clients
        kinds = (*(kind for kind in TYPES if kind in offered), *offered)
        self._offered = tuple(kind for kind in dict.fromkeys(kinds) if service_of(kind) in clients)

    @property
    def offered(self) -> tuple[str, ...]:
        """The kinds that are offered, in the order in which their factors are asked."""
        return self._offered

    def of(self, type: str) -> FactorClient:
        """Return the factor that keeps a kind. Raises Unavailable if that is not offered."""
        if type not in self._offered:
            raise Unavailable(f"No factor of type {type} is configured.")
        return self._clients[service_of(type)]
