"""Apps in one process begin and end in order, and are told apart by operators."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.types import Message

from services.cli import keys
from services.cli.environment import SERVICES, Suite, read
from services.embedded import Lasting, create_apps, create_listeners, load_settings
from shared.errors import ConfigurationError


@pytest.fixture
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Suite:
    keys.make(tmp_path / "keys")
    suite = read(None, {"VAR_DIR": str(tmp_path), "BROKER_URL": "redis://127.0.0.1:1"})
    for name, value in suite.variables.items():
        monkeypatch.setenv(name, value)
    return suite


def named(name: str, said: list[str]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        said.append(f"{name} begins")
        yield
        said.append(f"{name} ends")

    return FastAPI(title=name, lifespan=lifespan)


async def test_what_an_app_calls_lasts_longer_than_it() -> None:
    said: list[str] = []
    lasting = Lasting(named("session", said), [named("factor", said)])
    asked: Iterator[Message] = iter([{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    async def receive() -> Message:
        return next(asked)

    async def send(message: Message) -> None:
        said.append(str(message["type"]))

    await lasting({"type": "lifespan", "app": None}, receive, send)

    assert said == [
        "factor begins",
        "session begins",
        "lifespan.startup.complete",
        "session ends",
        "factor ends",
        "lifespan.shutdown.complete",
    ]


def test_factors_have_no_port_where_session_is_in_the_same_process(suite: Suite) -> None:
    together = create_listeners(SERVICES, suite, load_settings(SERVICES))
    alone = create_listeners(("totp",), suite, load_settings(("totp",)))

    assert [listener.port for listener in together] == [8003, 8000, 9000]
    assert [listener.port for listener in alone] == [8001, 9001]


def test_only_session_listens_for_everybody(suite: Suite) -> None:
    told = read(None, {**suite.variables, "HOST": "127.0.0.2"})

    listeners = create_listeners(SERVICES, told, load_settings(SERVICES))

    assert {listener.port: listener.host for listener in listeners} == {
        8000: "127.0.0.2",
        8003: "127.0.0.1",
        9000: "127.0.0.1",
    }


def test_every_service_has_an_app(suite: Suite) -> None:
    assert create_apps(load_settings(SERVICES)).keys() == set(SERVICES)


def test_what_several_services_lack_is_told_once(
    suite: Suite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BROKER_URL")

    with pytest.raises(ConfigurationError) as raised:
        load_settings(SERVICES)

    assert raised.value.problems == ("BROKER_URL is not set, and has no default.",)
