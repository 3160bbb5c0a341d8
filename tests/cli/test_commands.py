"""What the commands say, to people and to whatever started them."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from services.audit.schemas import EntryOut
from services.cli import countersign, keys
from services.cli.environment import SERVICES
from services.cli.events import describe
from services.cli.failing import EX_CONFIG
from services.embedded import settings_class
from tests.cli.running import run, run_apart


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kind", ["serve", "worker"])
def test_a_process_tells_all_that_is_wrong_with_its_settings(
    tmp_path: Path, kind: str, service: str
) -> None:
    required = [
        name.upper()
        for name, field in settings_class(service).model_fields.items()
        if field.is_required()
    ]

    ended = run(kind, service, VAR_DIR=str(tmp_path), LOG_LEVEL="loud")

    assert ended.exit_code == EX_CONFIG
    assert [name for name in (*required, "LOG_LEVEL") if name not in ended.stderr] == []
    assert "Traceback" not in ended.stderr


def test_a_command_about_all_services_tells_what_is_wrong_with_any(tmp_path: Path) -> None:
    ended = run("migrate", VAR_DIR=str(tmp_path))

    assert ended.exit_code == EX_CONFIG
    for service in SERVICES:
        assert f"{service.upper()}_DATABASE_URL is not set" in ended.stderr
    assert ended.stderr.count("BROKER_URL is not set") == 1


def test_up_tells_which_ports_are_no_ports(tmp_path: Path) -> None:
    ended = run_apart("up", VAR_DIR=str(tmp_path), PORT="http", AUDIT_PORT="-1")

    assert ended.returncode == EX_CONFIG
    assert "PORT must be a port number" in ended.stderr
    assert "AUDIT_PORT must be a port number" in ended.stderr


def test_up_tells_which_ports_are_taken(tmp_path: Path, taken_port: int) -> None:
    ended = run_apart(
        "up", VAR_DIR=str(tmp_path), PORT=str(taken_port), SESSION_OPS_PORT=str(taken_port)
    )

    assert ended.returncode == 1
    assert f"Port {taken_port} is in use; set PORT to another." in ended.stderr
    assert "needs a port of its own" in ended.stderr


def test_a_suite_whose_settings_are_wrong_does_not_start(
    tmp_path: Path, free_ports: Mapping[str, str]
) -> None:
    ended = run_apart("up", VAR_DIR=str(tmp_path), MFA_TOTP_DIGITS="five", **free_ports)

    assert ended.returncode == 1
    assert "MFA_TOTP_DIGITS" in ended.stderr
    assert "`countersign migrate` failed" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_command_says_its_version() -> None:
    assert "0.1.0" in CliRunner().invoke(countersign, ["--version"]).output


def test_an_unknown_command_is_refused() -> None:
    assert CliRunner().invoke(countersign, ["nonsense"]).exit_code == 2


def test_an_event_is_one_readable_line() -> None:
    entry = EntryOut(
        entry=7,
        received_at=1_800_000_000,
        event={
            "type": "mfa.totp.activated",
            "time": "2027-01-15T08:00:00.123456Z",
            "subject": "u1",
            "data": {"authenticator_id": "a1", "context": {"address": "::1", "user_agent": "x"}},
        },
    )

    assert describe(entry).split() == [
        "7",
        "2027-01-15T08:00:00",
        "mfa.totp.activated",
        "u1",
        "authenticator_id=a1",
        "address=::1",
    ]


def test_an_event_cannot_steer_the_terminal() -> None:
    """D4: control characters are escaped wherever they are shown."""
    entry = EntryOut(
        entry=1, received_at=0, event={"type": "a\x1b[2Jb", "data": {"x": "1\n2  forged", "y": [1]}}
    )

    line = describe(entry)

    assert line.isprintable()
    assert '"1\\n2  forged"' in line


def test_mail_without_any_says_so(tmp_path: Path) -> None:
    assert run("mail", VAR_DIR=str(tmp_path)).output == "The inbox is empty.\n"


def test_events_without_a_key_say_so(tmp_path: Path) -> None:
    ended = run("events", VAR_DIR=str(tmp_path))

    assert ended.exit_code == EX_CONFIG
    assert "OPERATOR_CALLER_KEY is not set" in ended.stderr


def test_events_without_a_ledger_say_so(tmp_path: Path, unused_tcp_port: int) -> None:
    keys.make(tmp_path)

    ended = run(
        "events",
        OPERATOR_CALLER_KEY_FILE=str(tmp_path / "operator/caller.json"),
        AUDIT_URL=f"http://127.0.0.1:{unused_tcp_port}",
    )

    assert ended.exit_code == 1
    assert "Traceback" not in ended.stderr
