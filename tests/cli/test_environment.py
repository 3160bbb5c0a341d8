"""What the suite is told, by whom, and who is handed what."""

from pathlib import Path

import pytest

from services.cli import environment
from services.cli.environment import KEY_FILES, parse, read, recall, told
from services.suite import SERVICES
from shared.errors import ConfigurationError


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / "some.env"
    path.write_text("# a comment\n\nPORT=8100\nMFA_TOTP_ISSUER = Acme Corp = all of it\n")
    return path


def test_the_environment_is_over_the_file_and_the_file_over_the_defaults(env_file: Path) -> None:
    alone = read(env_file, {})
    both = read(env_file, {"PORT": "8200"})

    assert alone.port("PORT") == 8100
    assert both.port("PORT") == 8200
    assert both.port("TOTP_PORT") == 8001
    assert alone.variables["MFA_TOTP_ISSUER"] == "Acme Corp = all of it"


def test_what_names_no_place_gets_one_under_the_folder(tmp_path: Path) -> None:
    variables = read(None, {"VAR_DIR": str(tmp_path)}).variables

    assert variables["TOTP_DATABASE_URL"] == f"sqlite:///{tmp_path}/totp.db"
    assert variables["TOTP_SEALING_KEYS_FILE"] == f"{tmp_path}/keys/totp/sealing.json"
    assert variables["PUBLIC_URL"] == "http://localhost:8000"
    assert variables["AUDIT_URL"] == "http://127.0.0.1:8003"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("127.0.0.1", "http://localhost:8000"),
        ("0.0.0.0", "http://localhost:8000"),  # noqa: S104 - nothing is listened on
        ("192.0.2.7", "http://192.0.2.7:8000"),
        ("::1", "http://[::1]:8000"),
        ("::", "http://[::1]:8000"),
    ],
)
def test_people_are_told_an_address_that_is_listened_on(host: str, url: str) -> None:
    assert read(None, {"HOST": host}).public_url == url


def test_an_inner_address_with_colons_is_bracketed_where_urls_are_made_of_it() -> None:
    variables = read(None, {"INTERNAL_HOST": "::1"}).variables

    assert variables["AUDIT_URL"] == "http://[::1]:8003"


def test_the_folder_is_absolute_whatever_was_said() -> None:
    assert read(None, {"VAR_DIR": "here"}).var_dir == Path.cwd() / "here"


def test_a_plain_value_hides_the_file_that_would_have_been_read() -> None:
    variables = read(None, {"TOTP_SEALING_KEYS": "plain"}).variables

    assert "TOTP_SEALING_KEYS_FILE" not in variables


def test_a_broker_is_embedded_only_where_none_is_named() -> None:
    assert read(None, {}).embeds_broker
    assert not read(None, {"BROKER_URL": "amqp://broker"}).embeds_broker
    assert not read(None, {"BROKER_URL_FILE": "/run/secrets/broker"}).embeds_broker


def test_every_wrong_port_is_told_at_once() -> None:
    with pytest.raises(ConfigurationError) as raised:
        read(None, {"PORT": "http", "TOTP_PORT": "65536", "AUDIT_PORT": "²"})

    assert [problem.split()[0] for problem in raised.value.problems] == [
        "PORT",
        "TOTP_PORT",
        "AUDIT_PORT",
    ]


def test_a_line_that_is_no_setting_is_named() -> None:
    with pytest.raises(ConfigurationError, match="Line 2"):
        parse("A=1\nnonsense\n")


@pytest.mark.parametrize("owner", SERVICES)
def test_a_process_holds_only_the_secrets_of_its_own_service(owner: str) -> None:
    suite = read(None, {"SMTP_URL": "smtp://user:secret@mail"})

    handed = suite.for_owners(owner)

    others = [path for path in KEY_FILES.values() if not path.startswith((owner, "public"))]
    assert not [value for value in handed.values() if value.endswith(tuple(others))]
    assert [name for name in handed if name.endswith("_DATABASE_URL")] == [
        f"{owner.upper()}_DATABASE_URL"
    ]
    assert ("SMTP_URL" in handed) == (owner == "session")
    assert "CALLER_KEYS_FILE" in handed


def test_the_key_of_tokens_is_named_where_they_are_signed_and_for_session_alone(
    tmp_path: Path,
) -> None:
    told = {"VAR_DIR": str(tmp_path), "HEADLESS_TOKEN_STRATEGY": "jwt"}
    name = "HEADLESS_JWT_PRIVATE_KEY_FILE"

    suite = read(None, told)

    assert suite.variables[name] == f"{tmp_path}/keys/session/tokens-EdDSA.pem"
    assert suite.key_files == (*KEY_FILES.values(), "session/tokens-EdDSA.pem")
    assert [owner for owner in SERVICES if name in suite.for_owners(owner)] == ["session"]
    assert name not in read(None, {"VAR_DIR": str(tmp_path)}).variables
    own = read(None, {**told, "HEADLESS_JWT_PRIVATE_KEY": "canary"})
    assert name not in own.variables
    assert own.key_files == tuple(KEY_FILES.values())
    own.remember()
    assert "canary" not in (tmp_path / "suite.env").read_text()


def test_a_later_command_finds_the_suite_by_its_folder(tmp_path: Path) -> None:
    read(None, {"VAR_DIR": str(tmp_path), "AUDIT_PORT": "9503"}).remember()

    found = recall({"VAR_DIR": str(tmp_path)})

    assert found.variables["AUDIT_URL"] == "http://127.0.0.1:9503"
    assert found.variables["TOTP_DATABASE_URL"].startswith("sqlite:")


def test_secrets_told_plainly_are_not_written_down(tmp_path: Path) -> None:
    secret = {
        "TOTP_DATABASE_URL": "postgresql://totp:canary@db/totp",
        "BROKER_URL": "amqp://canary@broker",
        "TOTP_SEALING_KEYS": "canary",
        "SMTP_URL": "smtp://canary@mail",
        "UNRELATED": "canary",
    }

    read(None, {"VAR_DIR": str(tmp_path), **secret}).remember()

    written = tmp_path / "suite.env"
    assert "canary" not in written.read_text()
    assert written.stat().st_mode & 0o777 == 0o600


def test_without_a_suite_nothing_is_made_up(tmp_path: Path) -> None:
    variables = told({"VAR_DIR": str(tmp_path)}).variables

    assert not [name for name in variables if "DATABASE" in name or name in KEY_FILES]
    assert recall({"VAR_DIR": str(tmp_path)}).variables == variables


def test_a_private_file_is_replaced_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file"

    environment.write_private(path, "first")
    environment.write_private(path, "second")

    assert path.read_text() == "second"
    assert [entry.name for entry in path.parent.iterdir()] == ["file"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
