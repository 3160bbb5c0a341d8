"""Settings are read from the environment or from files, and all that is wrong is told at once."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from shared.address import check_broker, check_database
from shared.errors import ConfigurationError
from shared.settings import (
    BrokerUrl,
    CommaList,
    CommaSet,
    DatabaseUrl,
    Duration,
    KeyRing,
    ServiceSettings,
    load,
)

RING = '{"primary": "k1", "keys": {"k1": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}'


class Settings(ServiceSettings):
    """Settings as a service has them."""

    test_url: SecretStr
    test_count: int = Field(default=3, ge=1)
    test_wait: Duration | None = Field(
        default=timedelta(minutes=5), ge=timedelta(0), le=timedelta(days=90)
    )
    test_types: CommaList = ("totp",)
    test_set: CommaSet = frozenset()
    test_ring: KeyRing | None = None
    test_place: str | None = Field(default=None, json_schema_extra={"needed_by": "worker"})


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.delenv("LOG_LEVEL", raising=False)
    monkeypatch.delenv("COUNTERSIGN_DEVELOPMENT", raising=False)
    monkeypatch.setenv("TEST_URL", "sqlite:///x.db")
    return monkeypatch


def problems(by: str = "") -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load(Settings, by)
    return sorted(caught.value.problems)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("900", 900),
        ("0", 0),
        ("30s", 30),
        ("5m", 300),
        ("1h30m", 5400),
        ("1H 30M", 5400),
        ("14d", 14 * 86400),
        ("2w", 14 * 86400),
    ],
)
def test_durations_are_written_plainly(
    environment: pytest.MonkeyPatch, text: str, seconds: int
) -> None:
    environment.setenv("TEST_WAIT", text)

    assert load(Settings).test_wait == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text", ["soon", "-5", "5 minutes", "m5", "1.5h", "\u0665m", "\u0665", "PT5M"]
)
def test_other_durations_are_refused(environment: pytest.MonkeyPatch, text: str) -> None:
    environment.setenv("TEST_WAIT", text)

    (problem,) = problems()
    assert problem.startswith("TEST_WAIT: must be a duration such as")


def test_lists_are_written_with_commas_or_as_json(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TEST_TYPES", " totp, webauthn ,")
    environment.setenv("TEST_SET", '["a", "b", "a"]')

    assert load(Settings).test_types == ("totp", "webauthn")
    assert load(Settings).test_set == {"a", "b"}


def test_a_value_may_come_from_a_file(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "ring"
    file.write_text(f"\n{RING}\n")
    environment.setenv("TEST_RING_FILE", str(file))
    environment.delenv("TEST_URL")
    environment.setenv("test_url_file", str(tmp_path / "url"))
    (tmp_path / "url").write_text("postgresql://ada@db/totp\n")

    settings = load(Settings)

    assert settings.test_ring is not None
    assert settings.test_ring.primary == "k1"
    assert settings.test_url.get_secret_value() == "postgresql://ada@db/totp"


def test_an_empty_value_counts_as_not_set(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("TEST_COUNT", "")

    assert load(Settings).test_count == 3


@pytest.mark.parametrize("by", ["", "sweeper"])
def test_what_only_one_kind_of_process_needs_is_missed_by_that_one(
    environment: pytest.MonkeyPatch, tmp_path: Path, by: str
) -> None:
    """With all else that is wrong, at once."""
    environment.delenv("TEST_URL")
    assert problems(by) == ["TEST_URL is not set, and has no default."]
    assert problems("worker") == [
        "TEST_PLACE is not set; the worker needs it.",
        "TEST_URL is not set, and has no default.",
    ]

    environment.setenv("TEST_PLACE_FILE", str(tmp_path / "missing"))
    assert problems("worker")[0].startswith("TEST_PLACE_FILE names a file that cannot be read")

    environment.delenv("TEST_PLACE_FILE")
    environment.setenv("TEST_URL", "sqlite:///x.db")
    environment.setenv("TEST_PLACE", "here")
    assert load(Settings, "worker").test_place == "here"


def test_every_problem_is_told_at_once(environment: pytest.MonkeyPatch, tmp_path: Path) -> None:
    environment.delenv("TEST_URL")
    environment.setenv("TEST_COUNT", "0")
    environment.setenv("TEST_TYPES", "[1")
    environment.setenv("TEST_WAIT", "91d")
    environment.setenv("LOG_LEVEL", "LOUD")
    environment.setenv("TEST_RING_FILE", str(tmp_path / "missing"))

    assert problems() == [
        "LOG_LEVEL: input should be 'DEBUG', 'INFO', 'WARNING' or 'ERROR'.",
        "TEST_COUNT: input should be greater than or equal to 1.",
        "TEST_RING_FILE names a file that cannot be read: no such file or directory.",
        "TEST_TYPES: is not valid JSON.",
        "TEST_URL is not set, and has no default.",
        "TEST_WAIT: input should be less than or equal to 90d.",
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "TEST_RING_FILE names a file that is empty."),
        (b"\xff", "TEST_RING_FILE names a file that cannot be used: is not UTF-8 text."),
        (b"x" * 70_000, "TEST_RING_FILE names a file that cannot be used: is too large."),
    ],
)
def test_a_file_that_is_no_good_is_a_problem(
    environment: pytest.MonkeyPatch, tmp_path: Path, content: bytes, problem: str
) -> None:
    (tmp_path / "ring").write_bytes(content)
    environment.setenv("TEST_RING_FILE", str(tmp_path / "ring"))

    assert problems() == [problem]


def test_a_value_and_a_file_are_one_too_many(
    environment: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "url").write_text("sqlite:///y.db")
    environment.setenv("TEST_URL_FILE", str(tmp_path / "url"))

    assert problems() == ["TEST_URL and TEST_URL_FILE are both set; set one of them."]


def test_no_secret_is_repeated(environment: pytest.MonkeyPatch) -> None:
    """D4: a key with a slip in it does not end up in a terminal's history."""
    environment.setenv("TEST_RING", '{"primary": "k1", "keys": {"k1": "s3cr3t"}}')
    (problem,) = problems()
    assert "s3cr3t" not in problem

    environment.setenv("TEST_RING", RING)
    settings = load(Settings)
    for text in (repr(settings), str(settings.model_dump()), settings.model_dump_json()):
        assert "AAAA" not in text
        assert "\\x00" not in text
        assert "x.db" not in text


class Addresses(ServiceSettings):
    """Where things are."""

    test_database: DatabaseUrl
    test_broker: BrokerUrl


@pytest.mark.parametrize(
    ("database", "broker"),
    [
        ("sqlite:////var/lib/a#b.db", "amqp://guest:guest@127.0.0.1:5672//"),
        ("sqlite:///a.db", "redis://127.0.0.1"),
        ("postgresql://u@h:5432/db?search_path=t1", "redis://:s%2Fe%23c%40t@[::1]:6379/0"),
        ("postgresql:///db?host=/run/postgresql", "amqps://u:p@h:5671/vhost?heartbeat=10"),
        ("postgresql://u:s%2Fe%23c@h/db", "rediss://h/1"),
    ],
)
def test_good_addresses_are_taken_as_they_are(
    monkeypatch: pytest.MonkeyPatch, database: str, broker: str
) -> None:
    monkeypatch.setenv("TEST_DATABASE", database)
    monkeypatch.setenv("TEST_BROKER", broker)

    settings = load(Addresses)

    assert settings.test_database.get_secret_value() == database
    assert settings.test_broker.get_secret_value() == broker


SLIPS = ["u:{}/x@h/db", "u:{}#x@h/db", "u:12/{}@h/db", "u:12?{}@h/db", "u:12?a={}@h/db"]
SLIPS += ["u:{}@h:54x/db", "u:{}@[::1/db", "u:{}@h:5 /db", "u:{}@h/d#b", "u:{}@h\n/db"]


@pytest.mark.parametrize("slip", SLIPS)
def test_a_password_that_is_not_encoded_is_found_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, slip: str
) -> None:
    """D4: at the start, not when a driver trips over it."""
    monkeypatch.setenv("TEST_DATABASE", "postgresql://" + slip.format("SECRET"))
    monkeypatch.setenv("TEST_BROKER", "amqp://" + slip.format("SECRET"))

    with pytest.raises(ConfigurationError) as caught:
        load(Addresses)

    assert sorted(problem.split(": must be")[0] for problem in caught.value.problems) == [
        "TEST_BROKER",
        "TEST_DATABASE",
    ]
    assert "SECRET" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    "address", ["", "h", "mysql://h/db", "sqlite://", "sqlite:///", "http://h"]
)
def test_other_addresses_are_refused(address: str) -> None:
    with pytest.raises(ValueError, match="must be sqlite:////absolute/path or postgresql://"):
        check_database(address)
    with pytest.raises(ValueError, match="must be amqp://"):
        check_broker(address)


def test_settings_do_not_change() -> None:
    settings = load(Settings)

    with pytest.raises(ValueError, match="frozen"):
        setattr(settings, "test_count", 4)  # noqa: B010 mypy knows that it may not
