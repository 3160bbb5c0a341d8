"""Apps in one process begin and end in order."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from fastapi import FastAPI
from starlette.types import Message

from services.cli import keys
from services.cli.environment import read
from services.embedded import Lasting, create_apps, load_settings, transports_to
from services.suite import FACTORS, SERVICES
from shared.errors import ConfigurationError


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What every service needs to be told."""
    keys.make(tmp_path / "keys")
    servers = {"BROKER_URL": "redis://127.0.0.1:1", "SMTP_URL": "smtp://127.0.0.1:1"}
    suite = read(None, {"VAR_DIR": str(tmp_path), **servers})
    for name, value in suite.variables.items():
        monkeypatch.setenv(name, value)


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


@pytest.mark.usefixtures("told")
def test_every_service_has_an_app() -> None:
    assert create_apps(load_settings(SERVICES)).keys() == set(SERVICES)


@pytest.mark.usefixtures("told")
def test_every_factor_is_called_within_the_process_by_the_name_of_its_service() -> None:
    apps = create_apps(load_settings(SERVICES))

    assert transports_to(apps).keys() == set(FACTORS)
    assert transports_to({"audit": apps["audit"], "recovery": apps["recovery"]}).keys() == {
        "recovery"
    }


@pytest.mark.usefixtures("told")
def test_what_several_services_lack_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BROKER_URL")

    with pytest.raises(ConfigurationError) as raised:
        load_settings(SERVICES)

    assert raised.value.problems == ("BROKER_URL is not set, and has no default.",)
