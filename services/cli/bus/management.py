"""RabbitMQ's management plugin: what cannot be asked, or done, over AMQP."""

from types import TracebackType
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx

from services.cli.bus.users import Definitions, vhost_of
from shared.bus import topology
from shared.errors import Unavailable

PATIENCE = 10.0  # seconds
RIGHTS = {"configure", "write", "read"}


class Management:
    """The plugin at an address, asked as the user of the broker's address or of its own."""

    def __init__(self, url: str, broker_url: str) -> None:
        place, broker = urlsplit(url), urlsplit(broker_url)
        who = place if place.username else broker
        address = place._replace(netloc=place.netloc.rpartition("@")[2]).geturl()
        self._vhost = quote(vhost_of(broker_url), safe="")
        self._http = httpx.Client(
            base_url=address.rstrip("/"),
            auth=(unquote(who.username or ""), unquote(who.password or "")),
            timeout=PATIENCE,
        )

    def __enter__(self) -> "Management":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def apply(self, definitions: Definitions) -> None:
        """Make users, or change them. Raises Unavailable."""
        self._ask("POST", "/api/definitions", json=definitions)

    def bindings(self) -> set[tuple[str, str]]:
        """Return the queues that are bound to the exchange of events, each with a key."""
        path = f"/api/exchanges/{self._vhost}/{topology.EVENTS}/bindings/source"
        return {(bound["destination"], bound["routing_key"]) for bound in self._ask("GET", path)}

    def rights(self) -> dict[str, dict[str, dict[str, str]]]:
        """Return the rights of each user who has any here, in the form of `users`."""
        found: dict[str, dict[str, dict[str, str]]] = {}
        for kind in ("permissions", "topic_permissions"):
            for entry in self._ask("GET", f"/api/vhosts/{self._vhost}/{kind.replace('_', '-')}"):
                if entry.get("exchange", topology.EVENTS) == topology.EVENTS:
                    rights = {name: entry[name] for name in RIGHTS & entry.keys()}
                    found.setdefault(entry["user"], {})[kind] = rights
        return found

    def _ask(self, method: str, path: str, **content: Any) -> Any:
        try:
            answer = self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise Unavailable(
                f"BROKER_MANAGEMENT_URL: nobody answers ({type(error).__name__})."
            ) from None
        if not answer.is_success:
            raise Unavailable(f"BROKER_MANAGEMENT_URL: answers with {answer.status_code}.")
        return answer.json() if answer.content else None
