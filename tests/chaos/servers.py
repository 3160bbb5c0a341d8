"""Servers of the tests' own, which may be killed: RabbitMQ and PostgreSQL."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path
from shutil import chown, rmtree
from tempfile import mkdtemp
from typing import Any

import psutil
import pytest

from shared.bus import topology
from tests.servers import STEWARD, execute
from tests.suites import free_ports

PATIENCE = 180.0  # seconds that a server may take to start on a busy machine
RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
SETTLE = 0.2  # seconds between two looks


class RabbitMQ:
    """A node of RabbitMQ; its data outlives `kill` and `start`."""

    def __init__(self, folder: Path) -> None:
        if not RABBITMQ.exists():
            pytest.skip("RabbitMQ is not installed here")
        self._folder = folder
        ports = [int(port) for port in free_ports().values()][:3]
        self._port, self._distribution, self.management_port = ports
        (folder / "plugins").write_text("[rabbitmq_management].")
        (folder / "environment").touch()
        (folder / "rabbitmq.conf").write_text(
            f"listeners.tcp.1 = 127.0.0.1:{self._port}\n"
            f"management.tcp.port = {self.management_port}\n"
            "management.tcp.ip = 127.0.0.1\n"
            "log.console = false\n"
        )
        self.start()

    @property
    def url(self) -> str:
        """Where the node is; the same after a restart."""
        return f"amqp://guest:guest@127.0.0.1:{self._port}//"

    def start(self) -> None:
        """Start the node with what it had, and return when it answers."""
        name = self._folder.name.replace("_", "-")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self._folder),
            "RABBITMQ_NODENAME": f"chaos-{os.getpid()}-{name}@localhost",
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(self._folder / "data"),
            "RABBITMQ_LOG_BASE": str(self._folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self._folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(self._folder / "environment"),
            "RABBITMQ_PID_FILE": str(self._folder / "pid"),
        }
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [str(RABBITMQ)],
                env=environment,
                cwd=self._folder,
                stdout=output,
                stderr=output,
            )
        _await_port(self._port)
        _await_port(self.management_port)

    def empty(self) -> None:
        """Forget every queue and exchange of ours."""
        with topology.connection(self.url) as connection:
            for queue in topology.every_queue(self.url, ()):
                channel: Any = connection.channel()
                channel.queue_delete(queue=queue.name)
                for bound in queue.bindings:
                    if bound.exchange is not None:
                        channel.exchange_delete(exchange=bound.exchange.name)

    def kill(self) -> None:
        """Kill the node, and what it has started, as a crash would."""
        _kill_all(self._process)


class PostgreSQL:
    """A cluster of PostgreSQL; its data outlives `kill` and `start`."""

    USER = "postgres"

    def __init__(self) -> None:
        versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not versions:
            pytest.skip("PostgreSQL is not installed here")
        # In no folder of pytest's: those are closed to the user that it runs as.
        self._folder = Path(mkdtemp(prefix="countersign-"))
        self._bin, self._data = versions[-1], self._folder / "data"
        self._port = int(free_ports()["PORT"])
        self._as: dict[str, str] = {}
        if os.getuid() == 0:  # whom it refuses to run as
            chown(self._folder, self.USER)
            self._as = {"user": self.USER}
        subprocess.run(
            [
                self._bin / "initdb",
                "--auth=trust",
                f"--username={self.USER}",
                f"--pgdata={self._data}",
            ],
            check=True,
            capture_output=True,
            cwd="/",
            **self._as,  # type: ignore[call-overload]
        )
        self.start()

    def url(self, database: str = "postgres") -> str:
        """Where a database is; the same after a restart."""
        return f"postgresql://{self.USER}@127.0.0.1:{self._port}/{database}"

    def create(self, database: str) -> str:
        """Make a database and return its name."""
        execute(self.url(), f'CREATE DATABASE "{database}"')
        STEWARD.leave(self.url())  # before it is killed
        return database

    def start(self) -> None:
        """Start the cluster with what it had, and return when it answers."""
        (self._data / "postmaster.pid").unlink(missing_ok=True)  # of whom we have killed
        self._process = subprocess.Popen(
            [
                str(self._bin / "postgres"),
                f"-D{self._data}",
                f"-p{self._port}",
                "-hlocalhost",
                f"-k{self._data}",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **self._as,  # type: ignore[call-overload]
        )
        _await_port(self._port)
        _await_recovery(self._bin, self._port)

    def kill(self) -> None:
        """Kill the cluster, every process of it, as a crash would."""
        _kill_all(self._process)

    def remove(self) -> None:
        """Kill it, and leave nothing."""
        self.kill()
        rmtree(self._folder)


def _await_port(port: int) -> None:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            assert time.monotonic() < deadline, f"nothing answers on port {port}"
            time.sleep(SETTLE)
        else:
            return


def _await_recovery(programs: Path, port: int) -> None:
    """Return when PostgreSQL takes commands: after a crash it listens long before that."""
    deadline = time.monotonic() + PATIENCE
    command = [str(programs / "pg_isready"), "--quiet", "--host=localhost", f"--port={port}"]
    while subprocess.run(command, check=False, cwd="/").returncode:
        assert time.monotonic() < deadline, f"PostgreSQL on port {port} takes no commands"
        time.sleep(SETTLE)


def _kill_all(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process of ours and its descendants, and nothing else."""
    try:
        family = [*psutil.Process(process.pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        family = []
    process.send_signal(signal.SIGKILL)
    for member in family:
        if member.is_running():
            member.kill()
    process.wait()
    psutil.wait_procs(family, timeout=10)
