"""docker-compose.yml is valid, and starts what `countersign up --split` starts."""

import json
import re
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from services.cli.environment import (
    DEFAULTS,
    KEY_FILES,
    OWNED,
    TOKEN_KEY,
    read,
    token_key_file,
)
from services.cli.plan import Process, split
from services.embedded import settings_class
from services.suite import SERVICES

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
SCHEMA = json.loads((Path(__file__).parent / "compose" / "compose-spec.json").read_text())

SERVERS = {"postgresql", "rabbitmq"}
STRICTER = {
    "ALLAUTH_TRUSTED_PROXY_COUNT",
    "ACCOUNT_REAUTHENTICATION_REQUIRED",
    "SESSION_COOKIE_NAME",
    "MFA_TRUST_COOKIE_NAME",
}
OFFERED = {"MFA_SUPPORTED_TYPES", "ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED"}
LEDGER = {"AUDIT_CHECKPOINT_ORIGIN", "AUDIT_CHECKPOINT_URL", "AUDIT_RETENTION"}
TOKENS = {"HEADLESS_TOKEN_STRATEGY", TOKEN_KEY}
JOBS = {"keys", "bus", "operator", *(f"{service}-migrate" for service in SERVICES)}
TOLD = {
    "BROKER_URL": "amqp://rabbitmq",
    "SMTP_URL": "smtp://mail",
    "DEFAULT_FROM_EMAIL": "a@b.example",
}
PROCESSES = {process.name: process for process in split(read(None, TOLD))}


def test_it_is_valid() -> None:
    jsonschema.Draft7Validator(SCHEMA).validate(COMPOSE)


def test_its_processes_are_those_that_split_starts() -> None:
    assert COMPOSE["services"].keys() - SERVERS - JOBS == PROCESSES.keys()


@pytest.mark.parametrize("process", PROCESSES.values(), ids=lambda process: process.name)
def test_a_process_runs_the_same_command(process: Process) -> None:
    assert tuple(COMPOSE["services"][process.name]["command"]) == process.command


@pytest.mark.parametrize("process", PROCESSES.values(), ids=lambda process: process.name)
def test_a_process_is_told_the_same_settings(process: Process) -> None:
    known = {name.upper() for name in settings_class(process.command[1]).model_fields}
    handed = {name.removesuffix("_FILE") for name in process.variables} & known

    # Nothing is written to a folder there (no inbox, no SQLite), a proxy stands in front, changes
    # of addresses take a fresh proof, cookies are tied to the host, and what is offered, or two
    # services, or a service and the job that makes its keys, have to be told is told once.
    production = {*STRICTER, *OFFERED, *TOKENS, *LEDGER} & known
    assert _told(process.name) & known == handed - {"VAR_DIR"} | production


@pytest.mark.parametrize("process", PROCESSES.values(), ids=lambda process: process.name)
def test_a_process_is_told_nothing_that_it_does_not_know(process: Process) -> None:
    known = {name.upper() for name in settings_class(process.command[1]).model_fields}

    assert _told(process.name) <= known | DEFAULTS.keys()


@pytest.mark.parametrize("process", PROCESSES.values(), ids=lambda process: process.name)
def test_a_process_holds_no_secret_of_another_service(process: Process) -> None:
    service = process.command[1]
    owners = {OWNED.get(name, "public") for name in _told(process.name)}
    volumes = {volume.split(":")[0] for volume in COMPOSE["services"][process.name]["volumes"]}

    assert owners <= {service, "public"}
    own = {f"keys-{service}", "keys-public", *({"checkpoints"} if service == "audit" else ())}
    assert volumes <= own


@pytest.mark.parametrize("process", PROCESSES.values(), ids=lambda process: process.name)
def test_a_process_is_asked_for_its_health_where_it_answers(process: Process) -> None:
    test = COMPOSE["services"][process.name]["healthcheck"]["test"][-1]

    assert f"127.0.0.1:{process.ops_port}/readyz" in test


@pytest.mark.parametrize("process", PROCESSES.values(), ids=lambda process: process.name)
def test_a_process_starts_when_its_tables_and_keys_are_made(process: Process) -> None:
    after = COMPOSE["services"][process.name]["depends_on"]

    assert after.keys() >= {"keys", f"{process.command[1]}-migrate"}
    assert ("bus" in after) == (process.command[0] == "worker")
    assert {wait["condition"] for wait in after.values()} == {"service_completed_successfully"}


def test_key_files_are_where_the_command_makes_them() -> None:
    for service in COMPOSE["services"].values():
        for name, value in service.get("environment", {}).items():
            if name.endswith("_FILE") and name != f"{TOKEN_KEY}_FILE":
                assert value == f"/keys/{KEY_FILES[name.removesuffix('_FILE')]}"


def test_the_key_of_tokens_is_where_the_example_says() -> None:
    example = (ROOT / "deploy" / "example.env").read_text()
    told = COMPOSE["services"]["keys"]["environment"]

    made = token_key_file(dict.fromkeys(told, "jwt"), Path("/keys"))

    assert re.findall(rf"{TOKEN_KEY}_FILE=(/\S+)", example) == [f"/keys/{made}"]
    assert told.items() <= COMPOSE["services"]["session"]["environment"].items()


def test_every_image_is_a_target_of_the_dockerfile() -> None:
    targets = set(
        re.findall(r"^FROM base AS (\w+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    )
    built = [service for name, service in COMPOSE["services"].items() if name not in SERVERS]

    assert {service["build"]["target"] for service in built} <= targets
    for process in PROCESSES.values():
        assert COMPOSE["services"][process.name]["build"]["target"] == process.command[1]


def test_only_session_is_published_and_only_on_this_machine() -> None:
    published = {name: s["ports"] for name, s in COMPOSE["services"].items() if "ports" in s}

    assert published == {"session": ["127.0.0.1:8000:8000"]}
    assert COMPOSE["networks"]["inner"] == {"internal": True}


def test_every_value_that_it_needs_is_in_the_example() -> None:
    wanted = set(re.findall(r"\$\{(\w+)", TEXT))
    given = re.findall(r"^(\w+)=", (ROOT / "deploy" / "example.env").read_text(), re.MULTILINE)

    assert wanted == set(given)


def _told(process: str) -> set[str]:
    return {name.removesuffix("_FILE") for name in COMPOSE["services"][process]["environment"]}
