"""The processes that race: two of session and of each factor, each pair over one database."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from services.cli import plan
from services.cli.environment import Suite, read
from services.cli.keys import make
from services.cli.supervisor import is_ready
from shared.inherited import PARENT_FD
from shared.migrations import migrate
from tests.suites import PATIENCE, ROOT, free_ports, until

# With a tolerance of three, seven codes are good at any time: nobody has to wait for the next one.
PERIOD, TOLERANCE = 120, 3  # seconds, periods

SERVICES = ("session", "totp", "recovery", "webauthn")

SETTINGS = {
    "PUBLIC_URL": "https://countersign.example",
    "MFA_SUPPORTED_TYPES": "recovery_codes,totp,webauthn",
    "ALLOWED_HOSTS": "127.0.0.1",
    "ALLAUTH_TRUSTED_CLIENT_IP_HEADER": "X-Real-IP",  # everybody has an address of their own
    "BROKER_URL": "redis://127.0.0.1:1/0",  # events stay in the outbox
    "SMTP_URL": "smtp://127.0.0.1:1",  # and mails in the database
    "MFA_TOTP_PERIOD": str(PERIOD),
    "MFA_TOTP_TOLERANCE": str(TOLERANCE),
    "PASSWORD_HASH_QUEUE": "1000",
    "ACCOUNT_LOGIN_BY_CODE_ENABLED": "true",
    "ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED": "true",
    "MFA_TRUST_ENABLED": "true",
    "ACCOUNT_LOGIN_METHODS": "email,username",
    "ACCOUNT_SIGNUP_FIELDS": "email*,username,password1*",
    # Sign-ups with one address at once are a race.
    "ACCOUNT_RATE_LIMITS": '{"confirm_email": null}',
}


@dataclass
class Server:
    """One process of one service, which can be killed and started again where it was."""

    process: plan.Process
    lifeline: int  # a pipe's reading end: the process ends with whoever holds the other
    log: Path
    _running: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """Start it, and return at once."""
        with self.log.open("ab") as log:
            self._running = subprocess.Popen(
                [sys.executable, "-m", "services.cli", *self.process.command],
                env={**self.process.variables, PARENT_FD: str(self.lifeline)},
                cwd=ROOT,
                pass_fds=(self.lifeline,),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def wait_until_ready(self) -> None:
        """Return once it says that it is ready."""
        until(lambda: self._is_gone() or self._is_ready(), f"readiness of {self.process.name}")
        assert not self._is_gone(), self.log.read_text()

    def kill(self) -> None:
        """Kill it with -9."""
        assert self._running is not None
        self._running.kill()
        self._running.wait(PATIENCE)

    @contextmanager
    def stopped(self) -> Iterator[None]:
        """Let it stand still meanwhile, wherever it is."""
        assert self._running is not None
        self._running.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._running.send_signal(signal.SIGCONT)

    def restart(self) -> None:
        """Start it again, and return once it is ready."""
        self.start()
        self.wait_until_ready()

    def end(self) -> None:
        """Tell it to end, as a service manager would."""
        if self._running is not None:
            self._running.terminate()

    def wait(self) -> None:
        """Return once it has ended."""
        if self._running is not None:
            self._running.wait(PATIENCE)

    def _is_ready(self) -> bool:
        return asyncio.run(is_ready("127.0.0.1", self.process.ops_port))

    def _is_gone(self) -> bool:
        return self._running is None or self._running.poll() is not None


@dataclass(frozen=True)
class Replica:
    """A session process, and the processes of the factors that it calls."""

    suite: Suite
    session: Server
    totp: Server
    recovery: Server
    webauthn: Server

    @property
    def servers(self) -> tuple[Server, ...]:
        """All of them."""
        return self.session, self.totp, self.recovery, self.webauthn

    @property
    def url(self) -> str:
        """Where people reach it."""
        return f"http://127.0.0.1:{self.suite.port('PORT')}"


Replicas = tuple[Replica, Replica]


@contextmanager
def running_replicas(directory: Path, urls: Mapping[str, str]) -> Iterator[Replicas]:
    """Make keys and tables, run two replicas over them, and end them afterwards.

    `urls` are those of the databases, by service.
    """
    make(directory / "keys")
    for service, url in urls.items():
        migrate(url, f"services.{service}.migrations")
    told = {
        **{name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ},
        **SETTINGS,
        "VAR_DIR": str(directory),
        **{f"{service.upper()}_DATABASE_URL": url for service, url in urls.items()},
    }
    lifeline, held = os.pipe()
    replicas = tuple(
        _replica(read(None, {**told, **free_ports()}), lifeline, directory / f"replica{number}")
        for number in range(2)
    )
    servers = [server for replica in replicas for server in replica.servers]
    try:
        _start(servers)
        yield replicas[0], replicas[1]
    finally:
        for server in servers:
            server.end()
        for server in servers:
            server.wait()
        os.close(lifeline)
        os.close(held)


def _start(servers: Sequence[Server]) -> None:
    for server in servers:
        server.start()
    for server in servers:
        server.wait_until_ready()


def _replica(suite: Suite, lifeline: int, log: Path) -> Replica:
    processes = {process.name: process for process in plan.split(suite)}
    session, totp, recovery, webauthn = (
        Server(processes[name], lifeline, log.with_suffix(f".{name}.log")) for name in SERVICES
    )
    return Replica(suite, session, totp, recovery, webauthn)
