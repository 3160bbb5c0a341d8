"""Where a factor is examined: calls as they are, answers held against the protocol."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from secrets import token_hex
from typing import Any, TypeVar

import httpx
from pydantic import ValidationError

from services.cli.conformance.calls import (
    CALLS,
    CHALLENGE,
    Call,
    sample,
)
from services.cli.conformance.device import Device
from services.cli.conformance.subject import Subject
from services.cli.conformance.verdicts import Broken, expect
from shared.auth import Caller
from shared.factor import Answer

A = TypeVar("A", bound=Answer)

PROBLEM = "application/problem+json"
TIMEOUT = 15.0  # seconds; session gives up after five
ABSENT = (404, 405)
SERVER_ERROR = 500
ENOUGH = 400  # from here on a status is a refusal

NOBODY: Mapping[str, str] = {}
"""Headers without a credential."""


def new_id() -> str:
    """Return a fresh id, as long as session's are."""
    return token_hex(32)


@dataclass(frozen=True)
class Reply:
    """An answer, and the call that it is to."""

    call: Call
    response: httpx.Response = field(repr=False)

    @property
    def status(self) -> int:
        """The status code."""
        return self.response.status_code

    @property
    def is_absence(self) -> bool:
        """Whether it may say that there is no such call."""
        return self.status in ABSENT

    def holds(self, model: type[A]) -> A:
        """Return what it holds. Broken unless it is 200 with such JSON."""
        self.has(200)
        try:
            return model.model_validate_json(self.response.content)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise Broken(
                f"{self.call} answered what is no {model.__name__}: {where or 'all of it'} "
                f"({first['msg']})"
            ) from None

    def is_done(self) -> None:
        """Be sure that it says nothing but success."""
        self.has(204)
        expect(not self.response.content, f"{self.call} answered 204 with a body")

    def is_refused(self, *statuses: int, of: str) -> None:
        """Be sure that it is problem details of one of `statuses`; `of` says what was asked."""
        wanted = " or ".join(map(str, statuses))
        expect(
            self.status in statuses, f"{self.call} answered {of} with {self.status}, not {wanted}"
        )
        kind = self.response.headers.get("content-type", "").partition(";")[0].strip()
        expect(kind == PROBLEM, f"{self.call} refused {of} as {kind or 'nothing'}, not {PROBLEM}")
        document = self._object()
        told = document.get("status") == self.status and isinstance(document.get("code"), str)
        expect(told, f"{self.call} refused {of} without its `status` and a `code` for programs")

    def is_no_breakdown(self, *, of: str) -> None:
        """Be sure that it is success, or a refusal by problem details, and nothing worse."""
        expect(self.status < SERVER_ERROR, f"{self.call} answered {of} with {self.status}")
        if self.status >= ENOUGH:
            self.is_refused(self.status, of=of)

    def has(self, status: int) -> None:
        """Be sure of the status."""
        code = self._object().get("code") if self.status >= ENOUGH else None
        told = f" ({code})" if isinstance(code, str) else ""
        expect(
            self.status == status, f"{self.call} answered {self.status}{told} where {status} is due"
        )

    def _object(self) -> dict[str, Any]:
        try:
            document = json.loads(self.response.content)
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}


class Bench:
    """A connection to the factor. What the kit leaves behind is forgotten when it ends."""

    def __init__(self, subject: Subject) -> None:
        self.subject = subject
        self._caller = Caller(subject.key, subject.clock)
        self._users: list[str] = []
        self._devices: list[Device] = []
        self._http = httpx.AsyncClient(
            base_url=subject.url.rstrip("/"),
            transport=subject.transport,
            timeout=TIMEOUT,
            verify=_trust(),
            trust_env=False,
        )
        self._has_challenges: bool | None = None

    async def __aenter__(self) -> "Bench":
        return self

    async def __aexit__(self, *_: object) -> None:
        """Have everybody forgotten, as far as the factor does that, and end the devices."""
        try:
            paths = [f"/v1/users/{user_id}" for user_id in self._users]
            requests = (self._http.delete(path, headers=self.credential) for path in paths)
            closed = (device.close() for device in self._devices)
            await asyncio.gather(*requests, *closed, return_exceptions=True)
        finally:
            await self._http.aclose()

    @property
    def credential(self) -> dict[str, str]:
        """The header by which session is known."""
        return {"authorization": f"Bearer {self._caller.token_for(self.subject.audience)}"}

    def holding(self, device: Device) -> Device:
        """Return `device`, to be ended with all others."""
        self._devices.append(device)
        return device

    def new_user(self) -> str:
        """Return the id of somebody whom nobody knows."""
        user_id = token_hex(16)
        self._users.append(user_id)
        return user_id

    async def call(
        self,
        call: Call,
        user_id: str = "u" * 32,
        id: str = "a" * 64,
        *,
        body: Mapping[str, Any] | None = None,
        content: bytes | None = None,
        headers: Mapping[str, str] | list[tuple[str, str]] | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Reply:
        """Make a call as session does, but for what is told otherwise.

        `content` stands for the bytes of a body, `headers` for the credential; `extra` are more.
        """
        sent = content if body is None else json.dumps(body).encode()
        given = self.credential if headers is None else headers
        named = list(given.items()) if isinstance(given, Mapping) else list(given)
        if sent is not None:
            named.append(("content-type", "application/json"))
        named += (extra or {}).items()
        response = await self._http.request(
            call.method, call.to(user_id, id), content=sent, headers=named
        )
        return Reply(call, response)

    async def has_challenges(self) -> bool:
        """Tell whether proofs answer a challenge here."""
        if self._has_challenges is None:
            reply = await self.call(CHALLENGE, self.new_user(), body=sample(CHALLENGE))
            self._has_challenges = not reply.is_absence
        return self._has_challenges

    async def has(self, call: Call, user_id: str, id: str) -> bool:
        """Tell whether the factor has an optional call; the authenticator has to be there."""
        body = None if call.question is None else sample(call)
        return not (await self.call(call, user_id, id, body=body)).is_absence


@cache
def _trust() -> ssl.SSLContext:
    """Return the certificates of the system: to read them takes longer than most rules."""
    return httpx.create_ssl_context()


def with_bodies() -> list[tuple[Call, bytes | None]]:
    """Return every call, with a body of the right form if it has one."""
    return [
        (call, json.dumps(sample(call)).encode() if call.question is not None else None)
        for call in CALLS
    ]
