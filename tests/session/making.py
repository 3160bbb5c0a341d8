"""Applications with settings of their own, each with one client."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from fastapi import FastAPI

from services.session.main import create_app
from tests.session.house import House
from tests.session.test_api_contract import Api, clients, settings_for

MakeApi = Callable[..., Any]


@asynccontextmanager
async def making(house: House, kind: str) -> AsyncIterator[MakeApi]:
    """Yield what makes a client, `app` or `browser`, of an application with these settings."""
    async with AsyncExitStack() as stack:

        async def make(**changes: object) -> Api:
            app: FastAPI = create_app(settings_for(house, **changes), house.clock, house.wires)
            await stack.enter_async_context(app.router.lifespan_context(app))
            made = clients(app, house, kind)
            stack.push_async_callback(made.aclose)  # type: ignore[attr-defined]
            new: Callable[[], Api] = await anext(made)
            return new()

        yield make
