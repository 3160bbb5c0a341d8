"""A client of the public API: what an application or a page would keep, and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

Json = dict[str, Any]
ORIGIN = "http://localhost:8000"


@dataclass(frozen=True)
class Answer:
    """An answer. It has been held against the contract when it came (tests.contract)."""

    status: int
    body: Json
    headers: httpx.Headers = field(repr=False)

    @property
    def codes(self) -> list[str]:
        """The codes of the errors, in order."""
        return [error["code"] for error in self.body.get("errors", [])]

    @property
    def params(self) -> list[str | None]:
        """The members that the errors are about, in order."""
        return [error.get("param") for error in self.body.get("errors", [])]

    @property
    def flows(self) -> list[str]:
        """The ids of the flows that are offered."""
        return [flow["id"] for flow in self.body["data"]["flows"]]

    @property
    def types(self) -> list[str]:
        """The kinds of authenticators by which a second factor may be given, if one is awaited."""
        flows = self.body["data"]["flows"]
        (types,) = [flow["types"] for flow in flows if "types" in flow]
        return list(types)

    @property
    def pending(self) -> list[str]:
        """The ids of the flows that are pending."""
        return [flow["id"] for flow in self.body["data"]["flows"] if flow.get("is_pending")]

    @property
    def methods(self) -> list[str]:
        """How the session has been proved, in order."""
        return [method["method"] for method in self.body["data"]["methods"]]

    @property
    def meta(self) -> Json:
        """What is said about the session."""
        meta: Json = self.body["meta"]
        return meta


class Client:
    """One client. `kind` is `app` or `browser`."""

    def __init__(
        self,
        kind: str,
        transport: httpx.AsyncBaseTransport | None = None,
        base_url: str = ORIGIN,
        origin: str | None = None,
    ) -> None:
        self.kind = kind
        self.token: str | None = None
        self.origin = base_url if origin is None else origin
        self.http = httpx.AsyncClient(
            transport=transport, base_url=base_url, trust_env=False, timeout=120
        )

    async def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Make a request as this kind of client does; `headers` come on top, empty ones remove."""
        sent = {**self.credentials(), **(headers or {})}
        response = await self.http.request(
            method,
            f"/_allauth/{self.kind}/v1/{path}",
            json=body,
            content=raw,
            headers={name: value for name, value in sent.items() if value},
        )
        answer = Answer(response.status_code, response.json(), response.headers)
        assert answer.status == answer.body["status"]
        assert "no-store" in response.headers["cache-control"]
        self.token = answer.body.get("meta", {}).get("session_token") or self.token
        return answer

    async def get(self, path: str) -> Answer:
        """Read."""
        return await self.call("GET", path)

    async def post(self, path: str, body: Json | None = None) -> Answer:
        """Write."""
        return await self.call("POST", path, body)

    async def delete(self, path: str) -> Answer:
        """End something."""
        return await self.call("DELETE", path)

    def credentials(self) -> dict[str, str]:
        """Return the headers by which this kind of client is known."""
        if self.kind == "app":
            return {"X-Session-Token": self.token} if self.token else {}
        csrf_token = self.http.cookies.get("csrftoken") or ""
        return {"X-CSRFToken": csrf_token, "Origin": self.origin, "Referer": f"{self.origin}/"}

    def forget(self) -> None:
        """Drop everything that the client has kept."""
        self.token = None
        self.http.cookies.clear()

    async def close(self) -> None:
        """Hang up."""
        await self.http.aclose()
