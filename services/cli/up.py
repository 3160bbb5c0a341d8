"""`countersign up`: the whole suite from one command, once for each folder."""

import asyncio
import errno
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
from services.cli.supervisor import ENDED, CannotRun, Supervisor, say

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

    Everything it makes is under VAR_DIR. SIGTERM or Ctrl-C ends it, with exit code 0.
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
    except KeyboardInterrupt:  # before there was anything to end
        say(ENDED)


@contextmanager
def _alone(suite: Suite) -> Iterator[int]:
    """Hold VAR_DIR for this suite, and yield the lock to hand to its processes.

    Raises CannotRun if it cannot be made, or a suite runs on it. What a killed one left behind
    gets time to end.
    """
    try:
        make_private_folder(suite.var_dir)
        own = open_lock(suite.var_dir / "lock")
        processes = open_lock(suite.var_dir / "processes.lock")
    except OSError as error:
        reason = f"VAR_DIR: {suite.var_dir} cannot be written to: {_reason(error)}."
        raise CannotRun(reason) from None
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
    """Raise CannotRun naming every place where the suite cannot listen, or would do so twice."""
    wanted = [(name, port) for process in processes for name, port in process.ports.items()]
    problems = [trouble for name, port in wanted if (trouble := _trouble(suite, name, port))]
    if len({port for _, port in wanted}) < len(wanted):
        problems.append(f"Each of {', '.join(name for name, _ in wanted)} needs a port of its own.")
    if problems:
        raise CannotRun("\n".join(problems))


def _trouble(suite: Suite, name: str, port: int) -> str | None:
    """Return a sentence on why nobody can listen at the port that the setting `name` tells."""
    told = "HOST" if name == "PORT" else "INTERNAL_HOST"
    host = suite.variables[told]
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                return f"Port {port} is in use; set {name} to another."
            return f"Cannot listen at {host}, port {port} ({told}, {name}): {_reason(error)}."
    return None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


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
