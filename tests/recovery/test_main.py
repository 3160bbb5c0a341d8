"""The service as a whole: its settings, its readiness, and what happens when parts are away."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
import structlog
from allauth.mfa.app_settings import AppSettings
from celery import Celery
from fastapi import FastAPI
from pydantic import SecretStr

from services.recovery import worker
from services.recovery.domain import codes, trust
from services.recovery.main import create_app
from services.recovery.settings import Settings
from shared.auth import Caller
from shared.code_form import Alphabet, CodeForm
from shared.errors import ConfigurationError, Malformed, Unavailable
from shared.factor import FactorClient
from shared.http import InProcess, connect, create_operations
from shared.settings import load
from shared.trust import TrustClient
from shared.worker import background
from tests.hands import Hands
from tests.recovery.test_api import TOKEN, make, verify
from tests.recovery.test_flows_trust import CHROME
from tests.signers import Signer

NOWHERE = "postgresql://ada:hunter2@127.0.0.1:1/nothing"


async def readiness(app: FastAPI) -> Any:
    operations = create_operations("recovery", app.state.checks, openapi_of=app)
    async with httpx.AsyncClient(
        base_url="http://ops", transport=httpx.ASGITransport(operations)
    ) as client:
        return await client.get("/readyz")


async def test_without_a_broker_it_is_degraded_but_ready(app: FastAPI) -> None:
    """D5: losing the broker does not block logins."""
    answer = await readiness(app)

    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"]["recovery database"] == {"ok": True, "required": True}
    assert not answer.json()["checks"]["broker"]["ok"]


async def test_without_its_database_it_refuses(
    settings: Settings, session: Signer, clock: Hands
) -> None:
    away = settings.model_copy(update={"recovery_database_url": SecretStr(NOWHERE)})
    app = create_app(away, clock)
    transport = InProcess(app)
    async with (
        app.router.lifespan_context(app),
        connect(
            "http://recovery",
            caller=Caller(session.key, clock),
            audience="recovery",
            transport=transport,
        ) as http,
    ):
        ready = await readiness(app)
        client = FactorClient(http)
        with pytest.raises(Unavailable), structlog.testing.capture_logs() as logs:
            await verify(client, [], {"code": "1"})

    assert ready.status_code == 503
    assert "hunter2" not in ready.text
    assert "hunter2" not in str(logs)


async def test_neither_codes_nor_tokens_are_ever_logged(
    factor: FactorClient, keeper: TrustClient, app: FastAPI
) -> None:
    """T12, K5: neither in logs, nor in the labels of metrics."""
    with structlog.testing.capture_logs() as logs:
        codes = await make(factor)
        await verify(factor, ["e1"], {"code": codes[0]})
        await verify(factor, ["e1"], {"code": "27182818"})
        with pytest.raises(Malformed):
            await verify(factor, ["e1"], {"code": "27182818", "x": 1})
        given = await keeper.trust("ada", factor_epoch=1, tokens=[TOKEN], user_agent=CHROME)
        used = await keeper.check("ada", tokens=given.tokens, factor_epoch=1)
    operations = create_operations("recovery", app.state.checks)
    async with httpx.AsyncClient(
        base_url="http://ops", transport=httpx.ASGITransport(operations)
    ) as ops:
        metrics = (await ops.get("/metrics")).text

    assert logs
    assert 'service="recovery"' in metrics
    secrets = [part for token in (*given.tokens, *used.tokens) for part in token.split(".")]
    for secret in (*codes, "27182818", *secrets):
        assert secret not in str(logs)
        assert secret not in metrics
    assert "/users/ada" not in metrics


async def test_the_documentation_describes_every_route(app: FastAPI) -> None:
    document = app.openapi()

    verify = document["paths"]["/v1/users/{user_id}/verifications"]["post"]
    schema = verify["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["required"]) == {"session_id", "purpose", "proof"}
    assert len(document["paths"]) == 13


def test_the_worker_takes_on_the_relay_and_the_sweeps(settings: Settings) -> None:
    app = Celery("test", set_as_current=False)

    worker.register(app, settings)

    assert [check.name for check in background(app).checks] == ["recovery database", "broker"]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with nothing but what the service needs."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    ring = '{"primary": "k1", "keys": {"k1": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}'
    key = (
        '{"kid": "t1", "issuer": "recovery", "key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}'
    )
    monkeypatch.setenv("RECOVERY_DATABASE_URL", "sqlite:///recovery.db")
    monkeypatch.setenv("RECOVERY_SEALING_KEYS", ring)
    monkeypatch.setenv("RECOVERY_EVENT_KEY", key)
    monkeypatch.setenv("CALLER_KEYS", "{}")
    monkeypatch.setenv("BROKER_URL", "redis://127.0.0.1")
    return monkeypatch


def test_the_defaults_are_those_of_allauth(
    environment: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R2: and 26 bits a code."""
    peer = AppSettings("MFA_")
    monkeypatch.setattr(peer, "_setting", lambda name, default: default)

    settings = load(Settings)

    assert settings.codes.count == peer.RECOVERY_CODE_COUNT
    assert settings.codes.form == CodeForm(Alphabet.DIGITS, peer.RECOVERY_CODE_DIGITS)
    assert settings.codes.show_once is peer.RECOVERY_CODES_SHOW_ONCE
    assert settings.trust.age == peer.TRUST_COOKIE_AGE
    assert settings.codes == codes.Policy(CodeForm.parse("digits:8"))
    assert settings.trust == trust.Policy()


def test_every_setting_has_its_effect(environment: pytest.MonkeyPatch) -> None:
    for name, value in {
        "MFA_RECOVERY_CODE_COUNT": "16",
        "MFA_RECOVERY_CODE_DIGITS": "12",
        "MFA_RECOVERY_CODES_SHOW_ONCE": "true",
        "MFA_RECOVERY_CODES_WARN_AT": "0",
        "MFA_RECOVERY_CODES_CONFIRM": "true",
        "MFA_TRUST_COOKIE_AGE": "30d",
        "MFA_TRUST_MAX_BROWSERS": "3",
    }.items():
        environment.setenv(name, value)

    settings = load(Settings)
    environment.setenv("MFA_RECOVERY_CODE_FORMAT", "base32:16")

    expected = codes.Policy(CodeForm.parse("digits:12"), 16, True, 0, True)
    assert settings.codes == expected
    assert settings.trust == trust.Policy(timedelta(days=30), 3)
    assert load(Settings).codes == replace(expected, form=CodeForm.parse("base32:16"))


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("MFA_RECOVERY_CODE_COUNT", "0", "greater than or equal to 1"),
        ("MFA_RECOVERY_CODE_COUNT", "51", "less than or equal to 50"),
        ("MFA_RECOVERY_CODE_DIGITS", "6", "greater than or equal to 7"),
        ("MFA_RECOVERY_CODE_DIGITS", "33", "less than or equal to 32"),
        ("MFA_RECOVERY_CODE_FORMAT", "letters:9", "not a form such as"),
        ("MFA_RECOVERY_CODE_FORMAT", "digits:6", "fewer than 20 bits"),
        ("MFA_RECOVERY_CODE_FORMAT", "base32:3", "fewer than 20 bits"),
        ("MFA_RECOVERY_CODE_FORMAT", "base32:33", "more than 32 characters"),
        ("MFA_RECOVERY_CODES_WARN_AT", "-1", "greater than or equal to 0"),
        ("MFA_TRUST_COOKIE_AGE", "31d", "less than or equal to 30 days"),
        ("MFA_TRUST_COOKIE_AGE", "0", "greater than or equal to 1 minute"),
        ("MFA_TRUST_MAX_BROWSERS", "0", "greater than or equal to 1"),
        ("MFA_TRUST_MAX_BROWSERS", "101", "less than or equal to 100"),
        ("RECOVERY_SEALING_KEYS", '{"primary": "s3cr3t"}', "must be JSON of the form"),
    ],
)
def test_settings_that_cannot_work_are_refused(
    environment: pytest.MonkeyPatch, name: str, value: str, message: str
) -> None:
    """R2, K2: codes of 20 bits at least, and trust for 30 days at most."""
    environment.setenv(name, value)

    with pytest.raises(ConfigurationError) as caught:
        load(Settings)

    (problem,) = caught.value.problems
    assert problem.startswith(name)
    assert message in problem
    assert "s3cr3t" not in problem
