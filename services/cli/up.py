"""`countersign up`: the whole suite from one command, once for each folder."""

import asyncio
import os
import shutil
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click

from services.cli import plan
from services.cli.environment import Suite, make_private_folder, read
from services.cli.failing import telling
from services.cli.lock import open_lock, take
from services.cli.supervisor import CannotRun, Supervisor, say

KILLED = 15.0  # seconds to wait for what a killed suite has left behind


@click.command()
@click.option("--split", is_flag=True, help="Give every service and worker a process of its own.")
@click.option(
    "--env-file",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="Settings for what the environment does not say.",
)
@telling
def up(*, split: bool, env_file: Path | None) -> None:
    """Start the whole suite and keep it running.

    Everything it makes is under VAR_DIR. SIGTERM or Ctrl-C ends it.
    """
    suite = read(env_file)
    processes = plan.split(suite) if split else plan.embedded(suite)
    try:
        with _alone(suite) as lock:
            _check_ports(suite, processes)
            suite.remember()
            supervisor = Supervisor(
                suite, processes, lock=lock, started=lambda seconds: say(_greeting(suite, seconds))
            )
            asyncio.run(supervisor.run())
    except CannotRun as reason:
        raise click.ClickException(str(reason)) from None


@contextmanager
def _alone(suite: Suite) -> Iterator[int]:
    """Hold VAR_DIR for this suite, and yield the lock to hand to its processes.

    Raises CannotRun if a suite runs on it. What a killed one left behind gets time to end.
    """
    make_private_folder(suite.var_dir)
    own = open_lock(suite.var_dir / "lock")
    processes = open_lock(suite.var_dir / "processes.lock")
    try:
        if not take(own):
            running = os.read(own, 1000).decode().strip()
            raise CannotRun(f"Countersign already runs on {suite.var_dir} ({running}).")
        os.truncate(own, 0)
        os.write(own, f"process {os.getpid()}, {suite.public_url}\n".encode())
        if not take(processes, KILLED):
            raise CannotRun("Processes of a killed suite still run on this folder.")
        yield processes
    finally:
        os.close(processes)
        os.close(own)


def _check_ports(suite: Suite, processes: Sequence[plan.Process]) -> None:
    """Raise CannotRun naming every port that is not free, or is wanted twice."""
    wanted = [(name, port) for process in processes for name, port in process.ports.items()]
    problems = [
        f"Port {port} is in use; set {name} to another."
        for name, port in wanted
        if not _is_free(suite.host_of("session") if name == "PORT" else suite.internal_host, port)
    ]
    if len({port for _, port in wanted}) < len(wanted):
        problems.append(f"Each of {', '.join(name for name, _ in wanted)} needs a port of its own.")
    if problems:
        raise CannotRun("\n".join(problems))


def _is_free(host: str, port: int) -> bool:
    try:
        socket.create_server((host, port)).close()
    except OSError:
        return False
    return True


def _greeting(suite: Suite, seconds: float) -> str:
    command = _command_name()
    return f"""
Countersign is up on {suite.public_url} (ready in {seconds:.1f} s; data in {suite.var_dir})

  the mail it sends   {command} mail
  what happens        {command} events --follow
  a walk-through      make demo
  a first command     curl {suite.public_url}/_allauth/app/v1/config

Ctrl-C ends it.
"""


def _command_name() -> str:
    """Return how this person calls the command."""
    called = Path(sys.argv[0])
    if called.name != "countersign":
        return f"{Path(sys.executable).name} -m services.cli"
    if shutil.which(called.name) == str(called.absolute()):
        return called.name
    return os.path.relpath(called)
