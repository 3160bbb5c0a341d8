"""A configuration that cannot work is told so, in words that say what to do, and no secret."""

import json
import socket
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink

from services.cli import doctor, keys
from services.cli.environment import OPERATOR, read
from services.cli.events import ReaderSettings
from services.embedded import create_apps, database_url, load_settings
from services.suite import SERVICES
from shared.bus import topology
from shared.migrations import migrate
from shared.settings import ServiceSettings, load
from tests import trail
from tests.cli.running import run

Settings = Mapping[str, ServiceSettings]


@pytest.fixture
def variables(tmp_path: Path) -> dict[str, str]:
    """What a suite on this machine is told, its keys made."""
    keys.make(tmp_path / "keys")
    told = {
        "VAR_DIR": str(tmp_path),
        "BROKER_URL": "redis://127.0.0.1:1",
        "SMTP_URL": "smtp://127.0.0.1:1",
    }
    return dict(read(None, told).variables)


def loaded(
    monkeypatch: pytest.MonkeyPatch,
    variables: Mapping[str, str],
    services: Sequence[str] = SERVICES,
) -> Settings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load_settings(services)


@pytest.fixture
def mail_server(unused_tcp_port: int) -> Iterator[str]:
    controller = Controller(Sink(), hostname="127.0.0.1", port=unused_tcp_port)
    controller.start()
    yield f"smtp://127.0.0.1:{unused_tcp_port}"
    controller.stop()


def test_where_all_is_well_nothing_is_wrong(
    variables: dict[str, str],
    redis_url: str,
    mail_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables |= {"BROKER_URL": redis_url, "SMTP_URL": mail_server}
    for service, settings in loaded(monkeypatch, variables).items():
        migrate(database_url(service, settings), f"services.{service}.migrations")
    run("bus", "declare", **variables)

    examined = run("doctor", **variables)

    assert examined.stdout.startswith("Nothing is wrong"), examined.output
    assert examined.exit_code == 0


def test_tables_of_another_version_are_told(
    variables: dict[str, str],
    redis_url: str,
    mail_server: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    variables |= {"BROKER_URL": redis_url, "SMTP_URL": mail_server}
    for service, settings in loaded(monkeypatch, variables).items():
        migrate(database_url(service, settings), f"services.{service}.migrations")
    with closing(sqlite3.connect(Path(variables["VAR_DIR"]) / "session.db")) as database:
        database.execute("UPDATE alembic_version SET version_num = '0001'")
        database.commit()

    examined = run("doctor", **variables)

    assert examined.exit_code == 1
    assert "SESSION_DATABASE_URL: the tables are not of this version" in examined.stdout
    assert "countersign migrate" in examined.stdout
    assert "TOTP_DATABASE_URL" not in examined.stdout


def test_everything_that_is_missing_is_told_at_once(tmp_path: Path) -> None:
    examined = run("doctor", VAR_DIR=str(tmp_path), MFA_TOTP_PERIOD="soon", PUBLIC_URL="")

    assert examined.exit_code == 1
    for name in ("SESSION_DATABASE_URL", "TOTP_SEALING_KEYS", "EVENT_KEYS", "MFA_TOTP_PERIOD"):
        assert f"- {name}" in examined.stdout


def test_mail_templates_that_make_no_letter_are_told(
    variables: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail" / "new_login.txt").write_text("Subject: x\n\n{{ nobody }}\n")

    examined = run("doctor", "session", **variables, MAIL_TEMPLATES_DIR=str(tmp_path / "mail"))

    assert examined.exit_code == 1
    assert "MAIL_TEMPLATES_DIR" in examined.stdout
    assert "new_login" in examined.stdout


def test_links_without_a_page_to_lead_to_are_told(variables: dict[str, str]) -> None:
    by_link = {"ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED": "false", "HEADLESS_ONLY": "true"}
    page = {"HEADLESS_FRONTEND_URLS": '{"account_confirm_email": "/verify/{key}"}'}

    examined = run("doctor", "session", **variables, **by_link)
    with_page = run("doctor", "session", **variables, **by_link, **page)

    assert "- HEADLESS_FRONTEND_URLS: needs account_confirm_email" in examined.stdout
    assert "HEADLESS_FRONTEND_URLS" not in with_page.stdout


def test_one_service_can_be_examined_alone(tmp_path: Path) -> None:
    examined = run("doctor", "audit", VAR_DIR=str(tmp_path))

    assert "AUDIT_DATABASE_URL" in examined.stdout
    assert "TOTP" not in examined.stdout


def test_parts_that_do_not_answer_are_told_without_their_passwords(
    variables: dict[str, str], unused_tcp_port: int
) -> None:
    place = f"127.0.0.1:{unused_tcp_port}"
    variables |= {
        "BROKER_URL": f"redis://:canary@{place}/0",
        "SMTP_URL": f"smtp://user:canary@{place}",
        "TOTP_DATABASE_URL": f"postgresql://totp:canary@{place}/totp",
    }

    examined = run("doctor", **variables)

    assert examined.exit_code == 1
    assert "BROKER_URL: the broker does not answer" in examined.stdout
    assert "SMTP_URL: the mail server does not answer" in examined.stdout
    assert "TOTP_DATABASE_URL: the database does not answer" in examined.stdout
    assert "`countersign migrate` has yet to make" in examined.stdout
    assert "canary" not in examined.output


def test_a_broker_that_only_listens_is_told(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(topology, "ANSWER_WITHIN", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        examined = run("doctor", **(variables | {"BROKER_URL": url}))

    assert "BROKER_URL: the broker does not answer" in examined.stdout


def test_keys_that_fit_raise_no_word(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = loaded(monkeypatch, variables)

    assert not list(doctor.unfit_keys(settings))
    assert not list(doctor.unsafe_files(variables))


@pytest.mark.parametrize(
    ("listing", "setting"),
    [
        ("callers", "SESSION_CALLER_KEY"),
        ("callers", "OPERATOR_CALLER_KEY"),
        ("events", "SESSION_EVENT_KEY"),
        ("events", "TOTP_EVENT_KEY"),
        ("events", "RECOVERY_EVENT_KEY"),
        ("events", "WEBAUTHN_EVENT_KEY"),
    ],
)
def test_a_key_that_would_not_be_accepted_is_told(
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    listing: str,
    setting: str,
) -> None:
    """Once, whichever services have to accept it; another key of its owner's is not enough."""
    path = tmp_path / "keys" / "public" / f"{listing}.json"
    listed, issuer = json.loads(path.read_text()), setting.split("_", maxsplit=1)[0].lower()
    (mine,) = (name for name, key in listed.items() if key["issuer"] == issuer)
    listed[f"{mine}-before"] = listed.pop(mine)
    path.write_text(json.dumps(listed))
    settings = loaded(monkeypatch, variables)

    (problem,) = doctor.unfit_keys({**settings, OPERATOR: load(ReaderSettings)})

    assert problem.startswith(f"{listing.removesuffix('s').upper()}_KEYS does not list")
    assert setting in problem


@pytest.mark.parametrize(
    ("examined", "listing", "issuer", "told"),
    [
        ("session", "events", "recovery", True),
        ("session", "events", "webauthn", True),
        ("session", "events", "totp", False),
        ("session", "events", "session", False),
        ("session,totp", "events", "totp", False),
        ("session,totp", "events", "session", False),
        ("audit", "events", "session", True),
        ("audit", "events", "totp", False),
        ("audit,totp", "events", "totp", True),
        ("audit,session", "events", "totp", True),
        ("audit", "callers", "session", True),
        ("audit", "callers", "operator", False),
        ("recovery", "callers", "session", True),
        ("totp,webauthn", "callers", "operator", False),
    ],
)
def test_a_service_is_told_of_keys_that_it_has_to_believe_and_of_no_others(
    variables: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    examined: str,
    listing: str,
    issuer: str,
    told: bool,
) -> None:
    """In production each is examined alone, without the private keys of others."""
    path = tmp_path / "keys" / "public" / f"{listing}.json"
    listed = json.loads(path.read_text())
    kept = {name: key for name, key in listed.items() if key["issuer"] != issuer}
    assert len(kept) == len(listed) - 1
    path.write_text(json.dumps(kept))
    variables |= {"MFA_SUPPORTED_TYPES": "totp,recovery_codes,webauthn"}

    problems = list(doctor.unfit_keys(loaded(monkeypatch, variables, examined.split(","))))

    assert len(problems) == told
    assert all(issuer in problem.lower() for problem in problems)


def test_keys_of_a_factor_that_is_not_offered_are_not_missed(
    variables: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys" / "public" / "events.json"
    listed = json.loads(path.read_text())
    path.write_text(json.dumps({n: k for n, k in listed.items() if k["issuer"] != "webauthn"}))

    assert not list(doctor.unfit_keys(loaded(monkeypatch, variables, ["session"])))


def test_what_only_the_worker_needs_is_told_too(variables: dict[str, str]) -> None:
    del variables["EVENT_KEYS_FILE"]

    examined = run("doctor", "session", **variables, EVENT_KEYS_FILE="")

    assert "- EVENT_KEYS is not set; the worker needs it." in examined.stdout
    assert examined.exit_code == 1


def test_queues_that_are_not_declared_are_told(variables: dict[str, str], broker_url: str) -> None:
    """Events would wait in the outboxes until they are."""
    variables |= {"BROKER_URL": broker_url}
    assert run("bus", "declare", **variables).exit_code == 0
    whole = run("doctor", "totp", **variables)
    trail.undeclare(broker_url, topology.NOTICES)

    examined = run("doctor", "totp", **variables)

    assert "BROKER_URL" not in whole.stdout
    assert f"There is no queue {topology.NOTICES}; `countersign bus declare`" in examined.stdout
    assert examined.exit_code == 1


def test_a_key_file_that_others_can_read_is_told(variables: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "keys" / "totp" / "sealing.json").chmod(0o644)

    (problem,) = doctor.unsafe_files(variables)

    assert "TOTP_SEALING_KEYS_FILE" in problem


@pytest.mark.parametrize(
    ("url", "development", "words"),
    [
        ("http://localhost:8000", "true", []),
        ("https://id.example.com", "false", []),
        ("http://id.example.com", "false", ["is not https"]),
        ("https://id.example.com/path", "false", ["must end with its host"]),
        ("http://[::1]:8000", "true", []),
    ],
)
def test_a_public_address_that_is_unsafe_is_told(
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    url: str,
    development: str,
    words: list[str],
) -> None:
    """N11: links and origins come from PUBLIC_URL, so it has to be right."""
    variables |= {"PUBLIC_URL": url, "COUNTERSIGN_DEVELOPMENT": development}

    told = list(doctor.odd_public_url(loaded(monkeypatch, variables, ["session"])))

    assert len(told) == len(words)
    assert all(word in problem for word, problem in zip(words, told, strict=True))


@pytest.mark.parametrize(
    ("origin", "told", "words"),
    [
        ("https://app.example.com", {}, ["cannot read the CSRF cookie"]),
        ("https://app.example.com", {"CSRF_COOKIE_DOMAIN": "example.com"}, []),
        ("https://app.example.com", {"CSRF_COOKIE_DOMAIN": ".example.com"}, []),
        (
            "https://example.org",
            {"CSRF_COOKIE_DOMAIN": "example.com"},
            ["cannot read the CSRF cookie"],
        ),
        ("https://id.example.com:8443", {}, []),
        ("http://id.example.com:8080", {}, ["has another scheme"]),
        (
            "http://id.example.com:8080",
            {"SESSION_COOKIE_SAMESITE": "none", "CSRF_COOKIE_SAMESITE": "none"},
            [],
        ),
        ("https://example.org", {"CSRF_TRUSTED_ORIGINS": ""}, []),
    ],
)
def test_a_page_that_is_let_write_and_cannot_is_told(
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    origin: str,
    told: dict[str, str],
    words: list[str],
) -> None:
    variables |= {
        "COUNTERSIGN_DEVELOPMENT": "false",
        "PUBLIC_URL": "https://id.example.com",
        "CORS_ALLOWED_ORIGINS": origin,
        "CSRF_TRUSTED_ORIGINS": origin,
        **told,
    }

    found = list(doctor.shut_out_pages(loaded(monkeypatch, variables)))

    assert len(found) == len(words)
    assert all(word in problem for word, problem in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({}, []),
        ({"SECURE_HSTS_SECONDS": "3600"}, []),
        ({"SECURE_HSTS_INCLUDE_SUBDOMAINS": "true"}, ["need SECURE_HSTS_SECONDS"]),
        ({"SECURE_HSTS_SECONDS": "3600", "SECURE_HSTS_PRELOAD": "true"}, ["a year"]),
        (
            {
                "SECURE_HSTS_SECONDS": "31536000",
                "SECURE_HSTS_INCLUDE_SUBDOMAINS": "true",
                "SECURE_HSTS_PRELOAD": "true",
            },
            [],
        ),
        ({"PUBLIC_URL": "http://id.example.com", "SECURE_HSTS_SECONDS": "60"}, ["not https"]),
    ],
)
def test_hsts_that_nobody_would_heed_is_told(
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    told: dict[str, str],
    words: list[str],
) -> None:
    https = {"COUNTERSIGN_DEVELOPMENT": "false", "PUBLIC_URL": "https://id.example.com"}

    settings = loaded(monkeypatch, variables | https | told, ["session"])
    found = list(doctor.unheard_promises(settings))

    assert len(found) == len(words)
    assert all(word in problem for word, problem in zip(words, found, strict=True))


@pytest.mark.parametrize(
    ("told", "hidden"),
    [
        ({"PUBLIC_URL": "https://id.example.com"}, True),
        ({"PUBLIC_URL": "https://id.example.com", "ALLAUTH_TRUSTED_PROXY_COUNT": "1"}, False),
        (
            {
                "PUBLIC_URL": "https://id.example.com",
                "ALLAUTH_TRUSTED_CLIENT_IP_HEADER": "X-Real-IP",
            },
            False,
        ),
        ({"PUBLIC_URL": "http://localhost:8000"}, False),
    ],
)
def test_a_proxy_that_hides_who_calls_is_told(
    variables: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    told: dict[str, str],
    hidden: bool,
) -> None:
    """L7: behind a proxy that is not counted, one visitor could use up everybody's limits."""
    settings = loaded(monkeypatch, variables | {"COUNTERSIGN_DEVELOPMENT": "false"} | told)

    assert bool(list(doctor.hidden_clients(settings))) is hidden


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ("false", ["every limit off"]),
        ('{"login_failed": null}', ["no login_failed"]),
        ('{"login": null, "signup": false}', []),
        ('{"login_failed": "1000/s/ip"}', []),
        ("{}", []),
    ],
)
def test_limits_that_are_off_are_told(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, rates: str, words: list[str]
) -> None:
    """L1: somebody may have switched them off for a test of load, and forgotten it."""
    settings = loaded(monkeypatch, variables | {"ACCOUNT_RATE_LIMITS": rates})

    found = list(doctor.unbounded_guesses(settings))

    assert len(found) == len(words)
    assert all(word in problem for word, problem in zip(words, found, strict=True))
    assert not list(doctor.unbounded_guesses({}))


@pytest.mark.parametrize(
    ("rates", "words"),
    [
        ("{}", []),
        ('{"webauthn_login": "1000/s/ip"}', []),
        ('{"webauthn_login": null}', ["no webauthn_login"]),
        ('{"webauthn_options": null}', ["no webauthn_options"]),
        (
            '{"webauthn_login": null, "webauthn_options": null}',
            ["no webauthn_login", "no webauthn_options"],
        ),
    ],
)
def test_limits_of_passkeys_that_are_off_are_told_where_they_log_in(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch, rates: str, words: list[str]
) -> None:
    variables |= {"MFA_RATE_LIMITS": rates, "MFA_SUPPORTED_TYPES": "totp,webauthn"}
    idle = list(doctor.unbounded_keys(loaded(monkeypatch, variables, ["session"])))
    variables |= {"MFA_PASSKEY_LOGIN_ENABLED": "true"}

    found = list(doctor.unbounded_keys(loaded(monkeypatch, variables, ["session"])))

    assert idle == []
    assert len(found) == len(words)
    assert all(word in problem for word, problem in zip(words, found, strict=True))
    assert not list(doctor.unbounded_keys({}))


def test_a_suite_on_a_local_network_starts_unless_it_offers_keys(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No browser would use keys there. What is to be set, or left out, is said."""
    variables |= {"PUBLIC_URL": "http://192.168.1.5:8000"}
    create_apps(loaded(monkeypatch, variables))
    examined = run("doctor", **variables, MFA_SUPPORTED_TYPES="totp,webauthn")

    assert examined.stdout.startswith("- WEBAUTHN_RP_ID: must be set, and WEBAUTHN_ORIGINS with it")
    assert "leave `webauthn` out of MFA_SUPPORTED_TYPES" in examined.stdout
    assert examined.exit_code == 1


def test_limits_that_are_off_are_among_what_is_wrong(variables: dict[str, str]) -> None:
    variables |= {"MFA_SUPPORTED_TYPES": "webauthn", "MFA_PASSKEY_LOGIN_ENABLED": "true"}
    off = {"ACCOUNT_RATE_LIMITS": "false", "MFA_RATE_LIMITS": '{"webauthn_login": null}'}
    examined = run("doctor", **variables, **off)

    assert "- MFA_RATE_LIMITS has no webauthn_login" in examined.stdout
    assert "- ACCOUNT_RATE_LIMITS switches every limit off" in examined.stdout
    assert examined.exit_code == 1
