"""What the commands say, to people and to whatever started them."""

from collections.abc import Mapping
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from pydantic import JsonValue

from services.audit.schemas import EntryOut
from services.cli import countersign, keys
from services.cli.events import describe
from services.cli.failing import EX_CONFIG
from services.embedded import settings_class
from services.suite import SERVICES
from shared.settings import needed_by
from tests.cli.running import run, run_apart


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("kind", ["serve", "worker"])
def test_a_process_tells_all_that_is_wrong_with_its_settings(
    tmp_path: Path, kind: str, service: str
) -> None:
    required = [
        name.upper()
        for name, field in settings_class(service).model_fields.items()
        if field.is_required() or needed_by(field) == kind
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


@pytest.mark.parametrize("name", ["PORT", "TOTP_PORT", "SESSION_WORKER_OPS_PORT"])
def test_a_port_is_not_left_to_chance_where_others_have_to_know_it(
    tmp_path: Path, name: str
) -> None:
    ended = run("up", VAR_DIR=str(tmp_path), **{name: "0"})

    assert ended.exit_code == EX_CONFIG
    assert f"{name} must be a port number from 1 to 65535, not '0'." in ended.stderr


@pytest.mark.parametrize("command", ["up", "doctor", "mail"])
@pytest.mark.parametrize("name", ["VAR_DIR", "HOST", "INTERNAL_HOST"])
def test_a_place_without_a_name_is_refused(tmp_path: Path, command: str, name: str) -> None:
    ended = run(command, **{"VAR_DIR": str(tmp_path), name: " "})

    assert f"{name} must not be empty." in ended.output
    assert ended.exit_code != 0


@pytest.mark.parametrize(
    ("setting", "reason"),
    [
        ({"HOST": "203.0.113.5"}, "Cannot listen at 203.0.113.5, port {PORT} (HOST, PORT): "),
        ({"INTERNAL_HOST": "2001:db8::1"}, "Cannot listen at 2001:db8::1, port {AUDIT_PORT} "),
        ({"HOST": "no.such.host.invalid"}, "Cannot listen at no.such.host.invalid, port {PORT} "),
    ],
)
def test_up_tells_why_it_cannot_listen_at_an_address(
    tmp_path: Path, free_ports: Mapping[str, str], setting: dict[str, str], reason: str
) -> None:
    """A person whose address is wrong is not sent to look for another port."""
    ended = run_apart("up", VAR_DIR=str(tmp_path), **{**free_ports, **setting})

    assert ended.returncode == 1
    assert reason.format(**free_ports) in ended.stderr
    assert "in use" not in ended.stderr
    assert "Traceback" not in ended.stderr


def test_up_tells_that_its_folder_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ended = run_apart("up", VAR_DIR=str(tmp_path / "file" / "var"))

    assert ended.returncode == 1
    assert "file/var cannot be written to: file exists." in ended.stderr
    assert "Traceback" not in ended.stderr


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


@pytest.mark.parametrize(
    ("kind", "colour"), [("mfa.totp.failed", "\x1b[31m"), ("mfa.totp.accepted", "\x1b[32m")]
)
def test_what_went_wrong_is_red(kind: str, colour: str) -> None:
    entry = EntryOut(entry=1, received_at=0, event={"type": kind, "data": {}})

    line = describe(entry, coloured=True)

    assert f"{colour}{kind}" in line
    assert click.unstyle(line) == describe(entry)


def test_a_line_says_what_it_has_lost() -> None:
    event: dict[str, JsonValue] = {"type": "mfa.totp.failed", "data": {}}

    assert describe(EntryOut(entry=1, received_at=0, event=event, redacted=True)).endswith(
        "(redacted)"
    )
    dropped = EntryOut(entry=1, received_at=0, event=event, redacted=True, dropped=True)
    assert describe(dropped).endswith("(dropped)")


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
