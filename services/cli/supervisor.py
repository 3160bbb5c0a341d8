"""Keeps the processes of a suite running, and ends them as a whole.

The children hold the reading end of a pipe whose writing end only the supervisor has: however it
dies, they notice, and end too. By another pipe they are held until it says that they may start:
its end alone must not, for that is also how the death of the supervisor looks.
"""

import asyncio
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import click

from services.cli import broker, plan
from services.cli.environment import Suite
from services.cli.failing import EX_CONFIG
from shared.inherited import PARENT_FD, START_FD

ENDED = "Countersign has ended."

ENDING = 8.5  # seconds that a process has to finish what it is doing
LATE = 30.0  # seconds after which the person is told what is not ready
FIRST_DELAY, LONGEST_DELAY = 0.25, 30.0  # seconds before a dead process is started again
STEADY = 30.0  # seconds of life after which a process's next delay is the first again
GO = b"\n"  # stays in the pipe: who is started again finds it there
POLL = 0.05  # seconds
ANSWER = 2.0  # seconds that a process has to say whether it is ready


class CannotRun(Exception):
    """The suite cannot be started or kept running; the message is for who started it."""


@dataclass(frozen=True)
class Child:
    """What the supervisor starts, and starts again when it ends."""

    name: str
    arguments: Sequence[str]
    variables: Mapping[str, str] = field(repr=False)
    inherited: tuple[int, ...] = ()  # file descriptors

    async def start(self) -> asyncio.subprocess.Process:
        """Start it once."""
        return await asyncio.create_subprocess_exec(
            *self.arguments,
            env=self.variables,
            pass_fds=self.inherited,
            stdin=asyncio.subprocess.DEVNULL,
            process_group=0,  # a Ctrl-C is the supervisor's: it ends the others in their order
        )


class Supervisor:
    """Runs one suite, from its first process to the end of its last."""

    def __init__(
        self,
        suite: Suite,
        processes: Sequence[plan.Process],
        *,
        lock: int,
        started: Callable[[float], None],
    ) -> None:
        """Take what to run. `lock` is handed to every process, which so holds it while it lives;
        `started` is called with the seconds it took once all of them are ready.
        """
        self._suite = suite
        self._processes = processes
        self._lock = lock
        self._started = started
        self._parent, self._alive = os.pipe()
        self._held, self._go = os.pipe()

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises CannotRun when there is no point in going on."""
        work = asyncio.ensure_future(self._run())
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, _cancel_once(work))
        try:
            await work
        except asyncio.CancelledError:
            say(ENDED)
        except BaseExceptionGroup as group:
            raise _first(group) from None

    async def _run(self) -> None:
        began = time.monotonic()
        # The inner group ends first: nothing loses its broker while it finishes.
        async with asyncio.TaskGroup() as lasting, asyncio.TaskGroup() as group:
            for process in self._processes:  # they load, and go no further until they may
                child = self._child(process.name, process.command, process.variables)
                group.create_task(keep(child))
            await self._prepare(lasting)
            os.write(self._go, GO)
            await self._ready()
            self._started(time.monotonic() - began)

    async def _prepare(self, lasting: asyncio.TaskGroup) -> None:
        """Make keys, tables and queues as far as they are missing; a broker, to last, before."""
        async with asyncio.TaskGroup() as first:
            first.create_task(self._make_keys())
            if self._suite.embeds_broker:
                first.create_task(self._start_broker(lasting))
        async with asyncio.TaskGroup() as second:  # if one fails, the other ends before its broker
            second.create_task(self._job("migrate"))
            second.create_task(self._job("bus", "declare"))

    async def _start_broker(self, group: asyncio.TaskGroup) -> None:
        port = self._suite.port("BROKER_PORT")
        try:
            server = await asyncio.to_thread(broker.prepare, self._suite.var_dir, port)
        except (OSError, TimeoutError) as error:
            raise CannotRun(f"The embedded broker cannot be started: {error}.") from error
        group.create_task(keep(Child("broker", server.command, {}, (server.lock,))))
        late = time.monotonic() + broker.PATIENCE
        while not await asyncio.to_thread(server.answers):
            if time.monotonic() > late:
                raise CannotRun("The embedded broker does not answer.")
            await asyncio.sleep(POLL)

    async def _make_keys(self) -> None:
        if not all((self._suite.key_dir / name).exists() for name in self._suite.key_files):
            await self._job("keys", "init")

    async def _job(self, *command: str) -> None:
        process = await self._child(command[0], command, self._suite.variables).start()
        try:
            code = await process.wait()
        finally:
            await end(process)
        if code != 0:
            raise CannotRun(f"`countersign {' '.join(command)}` failed; see above.")

    def _child(self, name: str, command: tuple[str, ...], variables: Mapping[str, str]) -> Child:
        return Child(
            name=name,
            arguments=(sys.executable, "-m", "services.cli", *command),
            variables={**variables, PARENT_FD: str(self._parent), START_FD: str(self._held)},
            inherited=(self._parent, self._held, self._lock),
        )

    async def _ready(self) -> None:
        """Return once every process answers that it is; tell the person if that takes long."""
        waiting = {process.name: process.ops_port for process in self._processes}
        late = time.monotonic() + LATE
        while waiting:
            for name, port in list(waiting.items()):
                if await is_ready(self._suite.internal_host, port):
                    del waiting[name]
            if waiting and time.monotonic() > late:
                say(f"Still waiting for: {', '.join(waiting)}.")
                late = time.monotonic() + LATE
            await asyncio.sleep(POLL)


async def keep(child: Child) -> None:
    """Start `child`, and again whenever it ends, after a pause that grows while it does not last.

    Raises CannotRun if the child says that its settings are wrong. Cancelled, it ends the child.
    """
    delay = FIRST_DELAY
    while True:
        began = time.monotonic()
        process = await child.start()
        try:
            code = await process.wait()
        finally:
            await end(process)
        if code == EX_CONFIG:
            raise CannotRun(f"{child.name} cannot work with its settings; see above.")
        if time.monotonic() - began > STEADY:
            delay = FIRST_DELAY
        say(f"{child.name} ended ({_cause(code)}); it is started again in {delay:g} s.")
        await asyncio.sleep(delay)
        delay = min(2 * delay, LONGEST_DELAY)


def say(text: str) -> None:
    """Tell the person at the keyboard, at once even where output is a file."""
    click.echo(text, err=True)


async def is_ready(host: str, port: int) -> bool:
    try:
        async with asyncio.timeout(ANSWER):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(f"GET /readyz HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
                return b" 200 " in await reader.readline()
            finally:
                writer.close()
    except (OSError, TimeoutError):
        return False


async def end(process: asyncio.subprocess.Process) -> None:
    """End the process if it has not: first politely, then without asking."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        await asyncio.wait_for(process.wait(), timeout=ENDING)
    except TimeoutError:
        process.kill()
        await process.wait()


def _cancel_once(work: asyncio.Future[None]) -> Callable[[], None]:
    """Return what cancels `work` when first called; after that, `work` is left to its ending."""
    called = False

    def cancel() -> None:
        nonlocal called
        if not called:
            called = True
            work.cancel()

    return cancel


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    first = group.exceptions[0]
    return _first(first) if isinstance(first, BaseExceptionGroup) else first


def _cause(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
