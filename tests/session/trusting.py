"""The public API of session where browsers can be trusted, over the real recovery service."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
from fastapi import FastAPI
from sqlalchemy import select

from services.session.main import create_app
from shared.database import Database, Statement
from shared.database.events import OUTBOX
from tests.leftovers import none_left
from tests.session.house import ADA, PASSWORD, House, Wire
from tests.session.test_api_contract import Answer, Api, settings_for

COOKIE = "mfa_trusted"
TRUST = "auth/2fa/trust"
BROWSERS = "account/trusted-browsers"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

_EVENTS = Statement(select(OUTBOX.c.type, OUTBOX.c.data).order_by(OUTBOX.c.seq))


@dataclass
class Browser:
    """A person at a browser of theirs, which keeps its cookies."""

    api: Api

    @property
    def cookie(self) -> str | None:
        """What it has to show where it is trusted."""
        return self.api.http.cookies.get(COOKIE)

    @cookie.setter
    def cookie(self, value: str) -> None:
        for cookie in list(self.api.http.cookies.jar):
            if cookie.name == COOKIE:
                self.api.http.cookies.jar.clear(cookie.domain, cookie.path, cookie.name)
        self.api.http.cookies.set(COOKIE, value, domain="localhost.local", path="/")

    async def log_in(self, email: str = ADA, password: str = PASSWORD) -> Answer:
        """Give the password."""
        await self.api.get("config")
        return await self.post("auth/login", email=email, password=password)

    async def give_code(self) -> Answer:
        """Give the second factor."""
        self.api.house.clock.turn(seconds=30)
        return await self.post("auth/2fa/authenticate", code=self.api.otp())

    async def decide(self, *, trusts: object) -> Answer:
        """Say whether this browser is to be trusted."""
        return await self.post(TRUST, trust=trusts)

    async def come_to_the_question(self) -> Answer:
        """Log in as far as the question whether the browser is to be trusted."""
        assert (await self.log_in()).status == 401
        asked = await self.give_code()
        assert pending(asked) == "mfa_trust"
        return asked

    async def come_to_be_trusted(self) -> Answer:
        """Log in, and have the browser trusted."""
        await self.come_to_the_question()
        done = await self.decide(trusts=True)
        assert done.status == 200
        return done

    async def log_out(self) -> None:
        """End the session."""
        await self.api.log_out()

    async def is_trusted(self) -> bool:
        """Log in anew; tell whether the password was enough."""
        await self.log_out()
        return (await self.log_in()).status == 200

    async def post(self, path: str, **members: object) -> Answer:
        return await self.api.call("POST", path, members, **{"user-agent": FIREFOX})

    async def list(self) -> list[dict[str, Any]]:
        """Return the browsers that the person trusts."""
        answer = await self.api.get(BROWSERS)
        assert answer.status == 200
        browsers: list[dict[str, Any]] = answer.body["data"]
        return browsers

    async def revoke(self, **members: object) -> Answer:
        """Have browsers trusted no more."""
        return await self.api.call("DELETE", BROWSERS, members)


def pending(answer: Answer) -> str | None:
    """Return what a login under way waits for."""
    waiting = [flow["id"] for flow in answer.flows if flow.get("is_pending")]
    return waiting[0] if waiting else None


@dataclass
class Trusting:
    """session and recovery, and what there is to look at."""

    house: House
    app: FastAPI
    recovery: Database
    made: list[httpx.AsyncClient] = field(default_factory=list)

    @property
    def wire(self) -> Wire:
        """The wire to recovery."""
        return self.house.wires["recovery"]

    def asked(self) -> list[str]:
        """Return what recovery was asked about browsers so far."""
        return [asked for asked in self.wire.requests if "/browsers" in asked]

    def client(self, kind: str = "browser", secret: str = "") -> Api:
        """Return a new client of that kind, for whoever has that device."""
        http = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False),
            base_url="http://localhost:8000",
        )
        self.made.append(http)
        return Api(http, self.house, kind, secret=secret)

    def browser(self, like: "Browser | None" = None) -> Browser:
        """Return a new browser, of the same person as another."""
        return Browser(self.client(secret=like.api.secret if like else ""))

    async def told(self) -> list[str]:
        """Return the types of all events of trust so far, in order."""
        return [name for name, _ in await self.events()]

    async def events(self) -> list[tuple[str, dict[str, Any]]]:
        """Return all events of trust so far, in order."""
        rows = await self.recovery.all(_EVENTS)
        named = [(row.type.removeprefix("mfa.recovery."), row.data) for row in rows]
        return [
            (name, json.loads(data) if isinstance(data, str) else data)
            for name, data in named
            if name.startswith("trust_")
        ]


@asynccontextmanager
async def open_trusting(house: House, **changes: object) -> AsyncIterator[Trusting]:
    """Build session's application, in which browsers can be trusted, over the house."""
    async with AsyncExitStack() as stack:
        recovery = Database(house.urls[2], source="a test")
        stack.push_async_callback(recovery.close)
        app = create_app(
            settings_for(house, **{"mfa_trust_enabled": True, **changes}), house.clock, house.wires
        )
        await stack.enter_async_context(app.router.lifespan_context(app))
        trusting = Trusting(house, app, recovery)
        async with none_left():
            yield trusting
        for http in trusting.made:
            await http.aclose()


async def protected(trusting: Trusting) -> Browser:
    """Return a browser at which somebody has just turned TOTP on and logged out."""
    browser = trusting.browser()
    await browser.api.join()
    await browser.api.protect()
    await browser.log_out()
    return browser
