"""Serving applications: several in one process, with one beginning and one end."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import uvicorn
import uvloop
from starlette.types import ASGIApp

from shared.errors import ConfigurationError
from shared.http.protocol import BoundedProtocol
from shared.inherited import PARENT_FD, inherited

KEEP_ALIVE = 75  # seconds; longer than our own client's 30
DRAIN = 8  # seconds that requests in flight have to end
BACKLOG = 2048
SIGNALS = (signal.SIGTERM, signal.SIGINT)


@dataclass(frozen=True)
class Listener:
    """An application and where it listens; port 0 means any that is free.

    `lifespan` says whether its start-up and shutdown are run here: each application's once.
    `stopping` is called when the end begins, before requests in flight are waited for: to let
    those go that wait for something themselves.
    """

    app: ASGIApp
    host: str
    port: int
    lifespan: bool = True
    stopping: Callable[[], None] | None = None


def serve(*listeners: Listener, started: Callable[[tuple[int, ...]], None] | None = None) -> None:
    """Serve until SIGTERM, SIGINT, or the end of the parent process; then drain and return.

    `started` is called with the ports once all of them answer. Raises ConfigurationError if an
    address cannot be had.
    """
    sockets = _bind_all(listeners)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(listeners, sockets, started))


def on_parent_gone(stop: Callable[[], None]) -> None:
    """Call `stop`, from a thread of its own, when the process that started this one is gone.

    A process killed with SIGKILL can tell nobody; but the system closes its end of the pipe.
    Without a pipe in the environment nothing happens.
    """
    descriptor = inherited(PARENT_FD)
    if descriptor is None:
        return

    def watch() -> None:
        try:
            while os.read(descriptor, 1):
                pass
        except OSError:  # not a descriptor of ours: whoever set it is not there
            pass
        stop()

    threading.Thread(target=watch, name="parent", daemon=True).start()


class _Server(uvicorn.Server):
    """A server that leaves the signals to `serve`, for several share one process."""

    def __init__(self, listener: Listener, on_started: Callable[[], None]) -> None:
        super().__init__(_config(listener))
        self._on_started = on_started
        self._stopping = listener.stopping

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if self._stopping is not None:
            self._stopping()
        await super().shutdown(sockets)


async def _serve(
    listeners: tuple[Listener, ...],
    sockets: list[socket.socket],
    started: Callable[[tuple[int, ...]], None] | None,
) -> None:
    waiting = len(listeners)

    def count() -> None:
        nonlocal waiting
        waiting -= 1
        if waiting == 0 and started is not None:
            started(tuple(bound.getsockname()[1] for bound in sockets))

    servers = [_Server(listener, count) for listener in listeners]
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for server in servers:
            server.should_exit = True

    def parent_gone() -> None:
        with suppress(RuntimeError):  # the loop has ended before the parent
            loop.call_soon_threadsafe(stop)

    for number in SIGNALS:
        loop.add_signal_handler(number, stop)
    on_parent_gone(parent_gone)
    async with asyncio.TaskGroup() as group:
        for server, bound in zip(servers, sockets, strict=True):
            group.create_task(_until_stopped(server, bound, stop))


async def _until_stopped(
    server: uvicorn.Server, bound: socket.socket, stop: Callable[[], None]
) -> None:
    """Run one server; when it ends, for whatever reason, the others end with it."""
    try:
        await server.serve(sockets=[bound])
    except SystemExit:  # uvicorn's way to say that the application did not start
        raise RuntimeError("an application did not start") from None
    finally:
        stop()


def _config(listener: Listener) -> uvicorn.Config:
    return uvicorn.Config(
        listener.app,
        loop="none",
        http=BoundedProtocol,
        ws="none",
        lifespan="on" if listener.lifespan else "off",
        log_config=None,
        access_log=False,
        # Who is calling is decided by configuration, in one place; not by any header.
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=DRAIN,
    )


def _bind_all(listeners: tuple[Listener, ...]) -> list[socket.socket]:
    sockets: list[socket.socket] = []
    problems: list[str] = []
    for listener in listeners:
        try:
            sockets.append(bind(listener.host, listener.port))
        except ConfigurationError as error:
            problems += error.problems
    if problems:
        for bound in sockets:
            bound.close()
        raise ConfigurationError(problems)
    return sockets


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that listens there. Raises ConfigurationError with the system's reason."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        bound = socket.create_server((host, port), family=family, backlog=BACKLOG)
    except socket.gaierror as error:
        reason = str(error.strerror)
    except OSError as error:
        reason = os.strerror(error.errno or 0)  # without what Python adds to it
    else:
        bound.setblocking(False)
        return bound
    raise ConfigurationError([f"Cannot listen at {host}:{port}: {reason.lower()}."])
