"""The service as a whole: its settings, its readiness, and what happens when parts are away."""

from typing import Any

import httpx
import pytest
import structlog
from celery import Celery
from fastapi import FastAPI
from pydantic import SecretStr

from services.totp import worker
from services.totp.main import create_app
from services.totp.settings import Settings
from shared.auth import Caller
from shared.errors import ConfigurationError, Malformed, Unavailable
from shared.factor import FactorClient
from shared.http import InProcess, connect, create_operations
from shared.settings import load
from shared.worker import background
from tests.hands import Hands
from tests.signers import Signer
from tests.totp.test_api import verify

NOWHERE = "postgresql://ada:hunter2@127.0.0.1:1/nothing"


async def readiness(app: FastAPI) -> Any:
    operations = create_operations("totp", app.state.checks, openapi_of=app)
    async with httpx.AsyncClient(
        base_url="http://ops", transport=httpx.ASGITransport(operations)
    ) as client:
        return await client.get("/readyz")


async def test_without_a_broker_it_is_degraded_but_ready(app: FastAPI) -> None:
    """D5: losing the broker does not block logins."""
    answer = await readiness(app)

    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"]["totp database"] == {"ok": True, "required": True}
    assert not answer.json()["checks"]["broker"]["ok"]


async def test_without_its_database_it_refuses(
    settings: Settings, session: Signer, clock: Hands
) -> None:
    away = settings.model_copy(update={"totp_database_url": SecretStr(NOWHERE)})
    app = create_app(away, clock)
    transport = InProcess(app)
    async with (
        app.router.lifespan_context(app),
        connect(
            "http://totp", caller=Caller(session.key, clock), audience="totp", transport=transport
        ) as http,
    ):
        ready = await readiness(app)
        client = FactorClient(http)
        with pytest.raises(Unavailable), structlog.testing.capture_logs() as logs:
            await verify(client, [], {"code": "1"})

    assert ready.status_code == 503
    assert "hunter2" not in ready.text
    assert "hunter2" not in str(logs)


async def test_codes_are_never_logged(client: FactorClient, app: FastAPI) -> None:
    """T12: neither in logs, nor in the metrics' labels, nor in what an object shows of itself."""
    with structlog.testing.capture_logs() as logs:
        await verify(client, ["a1"], {"code": "271828"})
        with pytest.raises(Malformed):
            await verify(client, ["a1"], {"code": "271828", "x": 1})
    operations = create_operations("totp", app.state.checks)
    async with httpx.AsyncClient(
        base_url="http://ops", transport=httpx.ASGITransport(operations)
    ) as ops:
        metrics = (await ops.get("/metrics")).text

    assert logs
    assert "271828" not in str(logs)
    assert 'service="totp"' in metrics
    assert "271828" not in metrics
    assert "/users/ada" not in metrics


async def test_the_documentation_describes_every_route(app: FastAPI) -> None:
    document = app.openapi()

    verify = document["paths"]["/v1/users/{user_id}/verifications"]["post"]
    schema = verify["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["required"]) == {"session_id", "purpose", "proof"}
    assert len(document["paths"]) == 7


def test_the_worker_takes_on_the_relay_and_the_sweep(settings: Settings) -> None:
    app = Celery("test", set_as_current=False)

    worker.register(app, settings)

    assert [check.name for check in background(app).checks] == ["totp database", "broker"]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with nothing but what the service needs."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    ring = '{"primary": "k1", "keys": {"k1": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}'
    key = '{"kid": "t1", "issuer": "totp", "key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}'
    monkeypatch.setenv("TOTP_DATABASE_URL", "sqlite:///totp.db")
    monkeypatch.setenv("TOTP_SEALING_KEYS", ring)
    monkeypatch.setenv("TOTP_EVENT_KEY", key)
    monkeypatch.setenv("CALLER_KEYS", "{}")
    monkeypatch.setenv("BROKER_URL", "redis://127.0.0.1")
    return monkeypatch


def test_the_defaults_are_those_of_allauth(environment: pytest.MonkeyPatch) -> None:
    """T5: tolerance 0 by default."""
    settings = load(Settings)

    assert settings.mfa_totp_tolerance == 0
    assert (settings.policy.digits, settings.policy.period) == (6, 30)
    assert settings.mfa_totp_insecure_bypass_code.get_secret_value() == ""


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MFA_TOTP_PERIOD", "0", "MFA_TOTP_PERIOD"),
        ("MFA_TOTP_PERIOD", "3m", "MFA_TOTP_PERIOD"),
        ("MFA_TOTP_PERIOD", "soon", "must be a duration"),
        ("MFA_TOTP_DIGITS", "5", "MFA_TOTP_DIGITS"),
        ("MFA_TOTP_DIGITS", "11", "MFA_TOTP_DIGITS"),
        ("MFA_TOTP_TOLERANCE", "4", "MFA_TOTP_TOLERANCE"),
        ("MFA_TOTP_ISSUER", "a:b", "must not contain a colon"),
        ("MFA_TOTP_INSECURE_BYPASS_CODE", "s3cr3t", "only allowed with COUNTERSIGN_DEVELOPMENT"),
        ("TOTP_SEALING_KEYS", '{"primary": "s3cr3t"}', "must be JSON of the form"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    environment: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    environment.setenv(name, value)

    with pytest.raises(ConfigurationError) as caught:
        load(Settings)

    (problem,) = caught.value.problems
    assert problem.startswith(name)
    assert message in problem
    assert "s3cr3t" not in problem


def test_development_may_bypass(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MFA_TOTP_INSECURE_BYPASS_CODE", "letmein")
    environment.setenv("COUNTERSIGN_DEVELOPMENT", "true")

    assert load(Settings).mfa_totp_insecure_bypass_code.get_secret_value() == "letmein"
