"""How the service is wired, what it says about its health, and what cannot be configured."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from celery import Celery
from fastapi import FastAPI
from pydantic import SecretStr

from services.webauthn import worker
from services.webauthn.domain.policy import Conveyance, Use
from services.webauthn.main import create_app
from services.webauthn.settings import Settings
from shared.auth import Caller
from shared.errors import ConfigurationError, Malformed, Unavailable
from shared.factor import FactorClient, Purpose
from shared.http import InProcess, connect, create_operations
from shared.settings import load
from shared.worker import background
from tests.hands import Hands
from tests.signers import Signer
from tests.webauthn.authenticator import Device, Lies
from tests.webauthn.test_api import asserted, enrolled, shown

NOWHERE = "postgresql://ada:hunter2@127.0.0.1:1/nothing"


async def readiness(app: FastAPI) -> Any:
    operations = create_operations("webauthn", app.state.checks, openapi_of=app)
    async with httpx.AsyncClient(
        base_url="http://ops", transport=httpx.ASGITransport(operations)
    ) as client:
        return await client.get("/readyz")


async def test_without_a_broker_it_is_degraded_but_ready(app: FastAPI) -> None:
    """D5: losing the broker does not block logins."""
    answer = await readiness(app)

    assert answer.status_code == 200
    assert answer.json()["status"] == "degraded"
    assert answer.json()["checks"]["webauthn database"] == {"ok": True, "required": True}
    assert not answer.json()["checks"]["broker"]["ok"]


async def test_without_its_database_it_refuses(
    settings: Settings, session: Signer, clock: Hands
) -> None:
    away = settings.model_copy(update={"webauthn_database_url": SecretStr(NOWHERE)})
    app = create_app(away, clock)
    async with (
        app.router.lifespan_context(app),
        connect(
            "http://webauthn",
            caller=Caller(session.key, clock),
            audience="webauthn",
            transport=InProcess(app),
        ) as http,
    ):
        ready = await readiness(app)
        client = FactorClient(http)
        with structlog.testing.capture_logs() as logs:
            with pytest.raises(Unavailable):
                await client.challenge_anybody(session_id="s1", purpose=Purpose.LOGIN)
            with pytest.raises(Unavailable):
                await client.verify_anybody(
                    proof={"credential": {}}, session_id="s1", purpose=Purpose.LOGIN
                )

    assert ready.status_code == 503
    assert "hunter2" not in ready.text
    assert "hunter2" not in str(logs)


async def test_proofs_are_never_logged(
    client: FactorClient, app: FastAPI, caplog: pytest.LogCaptureFixture
) -> None:
    """D4: neither challenges nor ids in logs, in metrics' labels, or in what an object shows."""
    device = Device()
    with structlog.testing.capture_logs() as logs, caplog.at_level("DEBUG"):
        await enrolled(client, device)
        offer = await client.challenge_anybody(session_id="s1", purpose=Purpose.LOGIN)
        await asserted(client, device, Purpose.LOGIN)
        await asserted(client, device, Purpose.LOGIN, Lies(origin="https://evil.example"))
        with pytest.raises(Malformed):
            await client.verify_anybody(
                proof={"credential": "c4n4ry"}, session_id="s1", purpose=Purpose.LOGIN
            )
    operations = create_operations("webauthn", app.state.checks)
    async with httpx.AsyncClient(
        base_url="http://ops", transport=httpx.ASGITransport(operations)
    ) as ops:
        metrics = (await ops.get("/metrics")).text

    told = f"{logs} {caplog.text} {metrics} {offer!r}"
    assert "/users/ada" not in metrics
    (credential_id,) = device.credentials
    assert logs
    assert 'service="webauthn"' in metrics
    for secret in (
        str(shown(offer.display, "request_options")["publicKey"]["challenge"]),
        credential_id.hex(),
        "c4n4ry",
    ):
        assert secret not in told


async def test_the_documentation_describes_every_route(app: FastAPI) -> None:
    document = app.openapi()

    verify = document["paths"]["/v1/users/{user_id}/verifications"]["post"]
    schema = verify["requestBody"]["content"]["application/json"]["schema"]
    assert set(schema["required"]) == {"session_id", "purpose", "proof"}
    assert len(document["paths"]) == 10


def test_the_worker_takes_on_the_relay_and_the_sweep(settings: Settings) -> None:
    app = Celery("test", set_as_current=False)

    worker.register(app, settings)

    assert [check.name for check in background(app).checks] == ["webauthn database", "broker"]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment with nothing but what the service needs."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    key = (
        '{"kid": "w1", "issuer": "webauthn", "key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}'
    )
    monkeypatch.setenv("WEBAUTHN_DATABASE_URL", "sqlite:///webauthn.db")
    monkeypatch.setenv("WEBAUTHN_EVENT_KEY", key)
    monkeypatch.setenv("CALLER_KEYS", "{}")
    monkeypatch.setenv("BROKER_URL", "redis://127.0.0.1")
    return monkeypatch


def test_the_defaults_are_those_of_allauth(environment: pytest.MonkeyPatch) -> None:
    settings = load(Settings)

    assert settings.verification.preference == "preferred"
    assert settings.verification.requirement(Use.LOGIN) == "required"
    assert settings.mfa_webauthn_allow_insecure_origin is False
    assert settings.policy.conveyance is Conveyance.NONE


@pytest.mark.parametrize(
    ("public_url", "rp_id", "origin"),
    [
        ("http://localhost:8000", "localhost", "http://localhost:8000"),
        ("https://id.example.com", "id.example.com", "https://id.example.com"),
        ("https://ID.example.com:443/", "id.example.com", "https://id.example.com"),
        ("https://id.example.com:8443", "id.example.com", "https://id.example.com:8443"),
        # By its address this machine can have no credentials, so its name is meant.
        ("http://127.0.0.1:8000", "localhost", "http://localhost:8000"),
        ("http://[::1]:8000", "localhost", "http://localhost:8000"),
        ("http://app.localhost", "app.localhost", "http://app.localhost"),
        ("https://xn--exmple-cua.com", "xn--exmple-cua.com", "https://xn--exmple-cua.com"),
        ("https://intranet", "intranet", "https://intranet"),
    ],
)
def test_who_asks_follows_from_the_public_url(
    environment: pytest.MonkeyPatch, public_url: str, rp_id: str, origin: str
) -> None:
    environment.setenv("PUBLIC_URL", public_url)

    party = load(Settings).relying_party

    assert (party.id, party.name, set(party.origins)) == (rp_id, "Countersign", {origin})


def test_everything_can_be_set(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    app = "android:apk-key-hash:" + "A" * 43
    make = "EE882879-721C-4913-9775-3DFCCE97072A"
    for name, value in {
        "PUBLIC_URL": "https://id.example.com",
        "WEBAUTHN_RP_ID": "example.com",
        "WEBAUTHN_RP_NAME": "Example",
        "WEBAUTHN_ORIGINS": f"https://id.example.com,{app}",
        "WEBAUTHN_RELATED_ORIGINS": "https://example.de",
        "WEBAUTHN_ALLOW_CROSS_ORIGIN": "true",
        "WEBAUTHN_TOP_ORIGINS": "https://partner.example",
        "MFA_WEBAUTHN_USER_VERIFICATION": "discouraged",
        "WEBAUTHN_USER_VERIFICATION_FOR": "enrol,reauthenticate",
        "WEBAUTHN_ALGORITHMS": "EdDSA,ES384",
        "WEBAUTHN_HINTS": "hybrid",
        "WEBAUTHN_CHALLENGE_LIFETIME": "2m",
        "WEBAUTHN_ALLOWED_AAGUIDS": make,
        "WEBAUTHN_DENIED_AAGUIDS": make.replace("-", ""),
        "WEBAUTHN_ALLOW_SYNCED": "false",
        "WEBAUTHN_POLICY_AT_USE": "false",
        "WEBAUTHN_COUNTER_REGRESSION": "flag",
        "WEBAUTHN_ATTESTATION": "enterprise",
        "WEBAUTHN_METADATA_PATH": str(tmp_path / "blob.jwt"),
        "WEBAUTHN_METADATA_ROOT_PATH": str(tmp_path / "root.pem"),
        "WEBAUTHN_METADATA_GRACE": "1d",
        "WEBAUTHN_TOLERATED_STATUSES": "USER_VERIFICATION_BYPASS",
    }.items():
        environment.setenv(name, value)

    settings = load(Settings)

    party, policy = settings.relying_party, settings.policy
    assert (party.id, party.name) == ("example.com", "Example")
    assert party.origins == {"https://id.example.com", "https://example.de", app}
    assert party.allow_cross_origin
    assert party.top_origins == {"https://partner.example"}
    assert [settings.verification.requirement(use) for use in Use] == [
        "required",
        "discouraged",
        "required",
        "required",
    ]
    assert policy.algorithms == ("EdDSA", "ES384")
    assert policy.hints == ("hybrid",)
    assert policy.challenge_lifetime == timedelta(minutes=2)
    assert policy.allowed_aaguids == policy.denied_aaguids == {make.lower()}
    assert (policy.allow_synced, policy.at_use) == (False, False)
    assert policy.refuse_counter_regression is False
    assert policy.conveyance is Conveyance.ENTERPRISE
    assert settings.webauthn_metadata_path == tmp_path / "blob.jwt"
    assert settings.webauthn_metadata_grace == timedelta(days=1)
    assert settings.webauthn_tolerated_statuses == {"USER_VERIFICATION_BYPASS"}


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("PUBLIC_URL", "example.com", "must be an http or https URL"),
        ("PUBLIC_URL", "https://example.com:x", "must be an http or https URL"),
        ("WEBAUTHN_RP_ID", "https://example.com", "must be a domain"),
        ("WEBAUTHN_RP_ID", "example.com:8000", "must be a domain"),
        ("WEBAUTHN_RP_ID", "Example.com", "must be a domain"),
        ("WEBAUTHN_RP_ID", "192.0.2.1", "must be a domain"),
        ("WEBAUTHN_RP_ID", "example.com.", "must be a domain"),
        ("WEBAUTHN_RP_ID", "0x7f.1", "must be a domain"),
        ("WEBAUTHN_RP_ID", "bücher.example", "punycode"),
        ("WEBAUTHN_RP_ID", "com", "must not be a domain below which"),
        ("WEBAUTHN_RP_ID", "co.uk", "must not be a domain below which"),
        ("WEBAUTHN_RP_ID", "github.io", "must not be a domain below which"),
        ("WEBAUTHN_RP_ID", "xn--p1ai", "must not be a domain below which"),
        ("WEBAUTHN_RELATED_ORIGINS", "http://example.de", "must be origins"),
        ("WEBAUTHN_RELATED_ORIGINS", "http://localhost:3000", "must be https pages"),
        ("WEBAUTHN_RELATED_ORIGINS", "https://192.0.2.1", "must be https pages"),
        ("WEBAUTHN_RELATED_ORIGINS", "https://app.localhost", "must be https pages"),
        ("WEBAUTHN_METADATA_ROOT_PATH", "/root.pem", "without WEBAUTHN_METADATA_PATH"),
        ("WEBAUTHN_METADATA_GRACE", "2y", "WEBAUTHN_METADATA_GRACE"),
        ("WEBAUTHN_TOLERATED_STATUSES", "REVOKED", "must be of USER_VERIFICATION_BYPASS"),
        ("WEBAUTHN_ORIGINS", "https://example.com/", "must be origins"),
        ("WEBAUTHN_ORIGINS", "https://example.com:443", "must be origins"),
        ("WEBAUTHN_ORIGINS", "https://Example.com", "must be origins"),
        ("WEBAUTHN_ORIGINS", "https://*.example.com", "must be origins"),
        ("WEBAUTHN_ORIGINS", "http://example.com", "must be origins"),
        ("WEBAUTHN_ORIGINS", "example.com", "must be origins"),
        ("WEBAUTHN_ORIGINS", "https://bücher.example", "must be origins"),
        ("WEBAUTHN_ORIGINS", "android:apk-key-hash:short", "must be origins"),
        ("WEBAUTHN_TOP_ORIGINS", "https://partner.example", "without WEBAUTHN_ALLOW_CROSS_ORIGIN"),
        ("MFA_WEBAUTHN_USER_VERIFICATION", "always", "MFA_WEBAUTHN_USER_VERIFICATION"),
        ("WEBAUTHN_USER_VERIFICATION_FOR", "login", "must be of enrol"),
        ("WEBAUTHN_ALGORITHMS", "RS1", "must be of ES256"),
        ("WEBAUTHN_ALGORITHMS", "ES256,ES256", "must be of ES256"),
        ("WEBAUTHN_ALGORITHMS", "[]", "WEBAUTHN_ALGORITHMS"),
        ("WEBAUTHN_HINTS", "phone", "must be of security-key"),
        ("WEBAUTHN_CHALLENGE_LIFETIME", "6m", "WEBAUTHN_CHALLENGE_LIFETIME"),
        ("WEBAUTHN_CHALLENGE_LIFETIME", "5", "WEBAUTHN_CHALLENGE_LIFETIME"),
        ("WEBAUTHN_ALLOWED_AAGUIDS", "yubikey", "must be AAGUIDs"),
        ("WEBAUTHN_DENIED_AAGUIDS", "1", "must be AAGUIDs"),
        ("WEBAUTHN_COUNTER_REGRESSION", "ignore", "WEBAUTHN_COUNTER_REGRESSION"),
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


@pytest.mark.parametrize(
    ("name", "message", "set_"),
    [
        ("WEBAUTHN_RP_ID", "no domain", {"PUBLIC_URL": "https://192.0.2.7"}),
        ("WEBAUTHN_RP_ID", "no domain", {"PUBLIC_URL": "https://[2001:db8::1]"}),
        ("WEBAUTHN_RP_ID", "no domain", {"PUBLIC_URL": "https://example.com."}),
        ("WEBAUTHN_RP_ID", "no domain", {"PUBLIC_URL": "https://exämple.com"}),
        ("WEBAUTHN_RP_ID", "no domain", {"PUBLIC_URL": "https://exa mple.com"}),
        ("WEBAUTHN_RP_ID", "below which", {"PUBLIC_URL": "https://github.io"}),
        ("WEBAUTHN_RP_ID", "localhost", {"WEBAUTHN_RP_ID": "localhost"}),
        ("WEBAUTHN_ORIGINS", "not https", {"PUBLIC_URL": "http://example.com"}),
        ("WEBAUTHN_RP_ID", "WEBAUTHN_ORIGINS with it", {"PUBLIC_URL": "http://192.168.1.5:8000"}),
        (
            "WEBAUTHN_ORIGINS",
            "browsers write",
            {"PUBLIC_URL": "https://exämple.example.com", "WEBAUTHN_RP_ID": "example.com"},
        ),
        ("WEBAUTHN_ORIGINS", "must be set", {"WEBAUTHN_RP_ID": "example.org"}),
        ("WEBAUTHN_ORIGINS", "must be set", {"WEBAUTHN_RP_ID": "id.example.com"}),
        ("WEBAUTHN_ORIGINS", "below it", {"WEBAUTHN_ORIGINS": "https://evil.org"}),
        ("WEBAUTHN_ORIGINS", "below it", {"WEBAUTHN_ORIGINS": "https://notexample.com"}),
        ("WEBAUTHN_ORIGINS", "below it", {"WEBAUTHN_ORIGINS": "http://localhost:3000"}),
        (
            "WEBAUTHN_RELATED_ORIGINS",
            "other domains",
            {"WEBAUTHN_RELATED_ORIGINS": "https://id.example.com"},
        ),
        (
            "WEBAUTHN_TOP_ORIGINS",
            "must be https",
            {
                "WEBAUTHN_ALLOW_CROSS_ORIGIN": "true",
                "WEBAUTHN_TOP_ORIGINS": "http://localhost:3000",
            },
        ),
        (
            "MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN",
            "RP ID",
            {
                "PUBLIC_URL": "http://localhost:8000",
                "WEBAUTHN_RP_ID": "example.com",
                "WEBAUTHN_ORIGINS": "https://example.com",
                "MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN": "true",
            },
        ),
    ],
)
def test_who_asks_is_checked_as_a_whole(
    environment: pytest.MonkeyPatch, name: str, message: str, set_: dict[str, str]
) -> None:
    """What follows from other settings counts as if it had been set."""
    offered = {"MFA_SUPPORTED_TYPES": "totp,webauthn", "PUBLIC_URL": "https://example.com"}
    for setting, value in (offered | set_).items():
        environment.setenv(setting, value)

    with pytest.raises(ConfigurationError) as caught:
        load(Settings)

    (problem,) = caught.value.problems
    assert problem.startswith(name)
    assert message in problem


@pytest.mark.parametrize(
    ("set_", "wanted"),
    [
        ({"PUBLIC_URL": "http://192.168.1.5:8000"}, "WEBAUTHN_RP_ID: must be set"),
        ({"PUBLIC_URL": "http://[fd00::5]:8000"}, "WEBAUTHN_RP_ID: must be set"),
        ({"PUBLIC_URL": "https://github.io"}, "WEBAUTHN_RP_ID: must be set"),
        ({"PUBLIC_URL": "http://nas.lan:8000"}, "WEBAUTHN_ORIGINS: must be set"),
        (
            {"PUBLIC_URL": "http://192.168.1.5:8000", "WEBAUTHN_RP_ID": "example.com"},
            "WEBAUTHN_ORIGINS: must be set",
        ),
    ],
)
def test_an_address_has_to_be_fit_only_where_keys_are_offered(
    environment: pytest.MonkeyPatch, set_: dict[str, str], wanted: str
) -> None:
    """Where they are not, the service starts, and lets no page in."""
    for setting, value in set_.items():
        environment.setenv(setting, value)
    environment.setenv("MFA_SUPPORTED_TYPES", "totp,webauthn")
    with pytest.raises(ConfigurationError) as caught:
        load(Settings)
    (problem,) = caught.value.problems
    environment.setenv("MFA_SUPPORTED_TYPES", "recovery_codes,totp")

    party = load(Settings).relying_party
    environment.delenv("MFA_SUPPORTED_TYPES")

    assert problem.startswith(wanted)
    assert problem.endswith("or leave `webauthn` out of MFA_SUPPORTED_TYPES.")
    assert load(Settings).relying_party == party
    assert party.origins == frozenset()
    assert not party.expects(set_["PUBLIC_URL"])


def test_that_no_page_is_let_in_is_logged(
    settings: Settings, clock: Hands, caplog: pytest.LogCaptureFixture
) -> None:
    create_app(settings, clock)
    assert caplog.messages == []

    create_app(settings.model_copy(update={"public_url": "http://192.168.1.5:8000"}), clock)

    assert caplog.messages[0].startswith("PUBLIC_URL is unfit for keys")


def test_what_is_set_has_to_be_right_whether_or_not_keys_are_offered(
    environment: pytest.MonkeyPatch,
) -> None:
    environment.setenv("PUBLIC_URL", "http://192.168.1.5:8000")
    environment.setenv("WEBAUTHN_RP_ID", "example.com")
    environment.setenv("WEBAUTHN_ORIGINS", "https://evil.org")

    with pytest.raises(ConfigurationError) as caught:
        load(Settings)

    assert caught.value.problems[0].startswith("WEBAUTHN_ORIGINS: must be of the RP ID")


def test_an_address_of_a_machine_needs_a_domain_beside_it(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MFA_SUPPORTED_TYPES", "webauthn")
    environment.setenv("PUBLIC_URL", "http://192.0.2.7:8000")
    environment.setenv("WEBAUTHN_RP_ID", "example.com")
    environment.setenv("WEBAUTHN_ORIGINS", "https://id.example.com,https://example.com")

    assert load(Settings).relying_party.id == "example.com"


def test_insecure_origins_are_for_development(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN", "true")
    for url in ("http://localhost:8000", "http://127.0.0.1:8000", "http://app.localhost"):
        environment.setenv("PUBLIC_URL", url)
        assert load(Settings).relying_party.any_localhost
    environment.setenv("PUBLIC_URL", "https://example.com")

    with pytest.raises(ConfigurationError) as caught:
        load(Settings)

    assert "only allowed where PUBLIC_URL and the RP ID are" in caught.value.problems[0]


@pytest.mark.parametrize("attestation", ["direct", "enterprise"])
def test_attestation_needs_metadata(environment: pytest.MonkeyPatch, attestation: str) -> None:
    environment.setenv("WEBAUTHN_ATTESTATION", attestation)

    with pytest.raises(ConfigurationError) as caught:
        load(Settings)

    assert caught.value.problems[0].startswith("WEBAUTHN_METADATA_PATH: must be set")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_settings_reach_the_options(
    settings: Settings, clock: Hands, session: Signer
) -> None:
    changed = settings.model_copy(
        update={
            "webauthn_rp_id": "example.com",
            "webauthn_rp_name": "Example",
            "webauthn_hints": ("hybrid",),
            "webauthn_challenge_lifetime": timedelta(minutes=1),
            "mfa_webauthn_user_verification": "discouraged",
        }
    )
    app = create_app(changed, clock)
    async with app.router.lifespan_context(app):
        offer = await app.state.flows.challenge("ada", ["a1"], "s1", Use.AUTHENTICATE)

    options = offer.options["publicKey"]
    assert options | {"challenge": ""} == {
        "challenge": "",
        "timeout": 60_000,
        "rpId": "example.com",
        "allowCredentials": [],
        "userVerification": "discouraged",
        "hints": ["hybrid"],
    }
    assert json.dumps(options)
    assert session.key.issuer == "session"
