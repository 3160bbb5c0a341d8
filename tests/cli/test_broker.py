"""The broker that the suite brings along: private, durable, and never two on the same data."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import redis

from services.cli import broker
from tests.suites import until


@contextmanager
def running(var_dir: Path) -> Iterator[tuple[broker.Broker, subprocess.Popen[bytes]]]:
    made = broker.prepare(var_dir, 0)
    with subprocess.Popen(made.command, pass_fds=(made.lock,)) as process:
        os.close(made.lock)
        try:
            until(made.answers, "the broker")
            yield made, process
        finally:
            process.kill()


def test_it_answers_only_to_the_password(tmp_path: Path) -> None:
    with running(tmp_path) as (made, _):
        place = urlsplit(made.url)
        stranger = redis.Redis(host="127.0.0.1", port=place.port or 0)

        with pytest.raises(redis.AuthenticationError):
            stranger.ping()
        assert redis.Redis.from_url(made.url).ping()


def test_its_folder_may_have_any_name(tmp_path: Path) -> None:
    with running(tmp_path / "a folder") as (made, _):
        assert redis.Redis.from_url(made.url).ping()


def test_its_address_and_configuration_are_private(tmp_path: Path) -> None:
    with running(tmp_path):
        for name in ("url", "valkey.conf", "lock"):
            assert (tmp_path / "broker" / name).stat().st_mode & 0o077 == 0, name


def test_what_was_written_survives_a_kill(tmp_path: Path) -> None:
    """D5: a broker that is killed loses nothing that it has confirmed."""
    with running(tmp_path) as (made, process):
        redis.Redis.from_url(made.url).set("kept", "yes")
        process.send_signal(signal.SIGKILL)
        process.wait()

    with running(tmp_path) as (again, _):
        assert redis.Redis.from_url(again.url).get("kept") == b"yes"
        assert urlsplit(again.url).port == urlsplit(made.url).port


def test_one_that_a_killed_suite_left_behind_is_ended_first(tmp_path: Path) -> None:
    with running(tmp_path) as (made, orphan):
        redis.Redis.from_url(made.url).set("kept", "yes")

        with running(tmp_path) as (again, _):
            assert orphan.wait(timeout=60) == 0
            assert redis.Redis.from_url(again.url).get("kept") == b"yes"


def test_one_that_no_longer_listens_is_killed(tmp_path: Path) -> None:
    with running(tmp_path) as (_, orphan):
        orphan.send_signal(signal.SIGSTOP)

        with running(tmp_path) as (again, _):
            assert orphan.wait(timeout=60) == -signal.SIGKILL
            assert redis.Redis.from_url(again.url).ping()
