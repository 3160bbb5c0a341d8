"""The frame for background work: a hardened Celery worker with one asyncio loop beside it.

Each service's `worker.register(app, settings)` hangs its work on `background(app)`; `run(app)`
turns the calling process into the worker. Work that nobody sent (relays, sweeps, consumers) needs
no task queue, so a worker as made here has none; whoever wants tasks sets `task_queues`.
"""

import asyncio
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from datetime import timedelta
from functools import partial
from types import FrameType
from typing import Any, Protocol, TypeVar
from weakref import WeakKeyDictionary

import structlog
import uvicorn
from celery import Celery, bootsteps
from celery.worker import WorkController
from celery.worker import state as worker_state
from celery.worker.consumer import Consumer
from kombu.message import Message
from prometheus_client import Counter

from countersign_events import register_serializer
from shared.bus.topology import transport_options
from shared.errors import Unavailable
from shared.http.operations import Check, create_operations
from shared.http.protocol import BoundedProtocol
from shared.server import bind, on_parent_gone

FIRST_PAUSE = 0.5  # seconds before a failed job starts again; doubles with each failure in a row
LONGEST_PAUSE = 30.0  # seconds
STOP_WITHIN = 5.0  # seconds that jobs have to end, once cancelled

Job = Callable[[], Coroutine[object, object, None]]
Action = Callable[[], Awaitable[None]]
T = TypeVar("T")

log = structlog.stdlib.get_logger(__name__)

failures = Counter(
    "countersign_background_failures_total",
    "Times that a background job ended by an error and was started again.",
    ["job"],
)


class Resource(Protocol):
    """Something that is opened before the jobs start and closed after they have ended."""

    async def connect(self) -> None:
        """Open it."""

    async def close(self) -> None:
        """Close it."""


def create_celery(broker_url: str, name: str) -> Celery:
    """Return a Celery app whose tasks lose no message, and which talks to nobody unasked."""
    register_serializer()
    app = Celery(name, broker=broker_url, set_as_current=False)
    app.conf.update(
        accept_content=["cloudevents"],
        broker_channel_error_retry=True,
        broker_connection_max_retries=None,  # a worker outlives any absence of its broker
        broker_connection_retry_on_startup=True,
        broker_heartbeat=30,  # seconds
        broker_transport_options=transport_options(broker_url),
        enable_utc=True,
        task_acks_late=True,
        task_acks_on_failure=False,
        task_acks_on_timeout=False,
        task_create_missing_queues=False,
        task_default_queue=None,
        task_ignore_result=True,
        task_queues=(),
        task_reject_on_worker_lost=True,
        task_serializer="json",
        worker_cancel_long_running_tasks_on_connection_loss=True,
        worker_concurrency=1,
        worker_consumer="shared.worker:RejectingConsumer",
        worker_enable_prefetch_count_reduction=False,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_pool="solo",
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
    )
    return app


class RejectingConsumer(Consumer):
    """Celery's consumer, but what it cannot decode goes to the dead letters instead of away."""

    connection_errors: tuple[type[Exception], ...]

    def on_decode_error(self, message: Message, exc: Exception) -> None:
        """Refuse a message whose body cannot be read."""
        log.error("message_undecodable", reason=type(exc).__name__)
        message.reject_log_error(log, self.connection_errors)


class Background:
    """One asyncio loop in a thread of its own, and the jobs that live on it.

    Jobs are named once, before the worker starts. None dies silently: an error is logged and
    counted, and the job starts again after a pause.
    """

    def __init__(self) -> None:
        self.checks: list[Check] = []
        self._jobs: list[tuple[str, Job]] = []
        self._at_start: list[Action] = []
        self._at_stop: list[Action] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ending: asyncio.Event | None = None
        self._thread: threading.Thread | None = None
        self._running = threading.Event()

    def forever(self, job: Job, name: str) -> None:
        """Run `job` as long as the worker lives; if it ends or fails, start it again."""
        self._jobs.append((name, partial(self._keep, job, name)))

    def every(self, interval: timedelta, job: Job, name: str) -> None:
        """Run `job` at the start and then each `interval`, give or take a tenth of it.

        The tenth keeps the replicas of a worker from doing the same thing at the same moment.
        """
        self._jobs.append((name, partial(self._repeat, interval, job, name)))

    def holds(self, resource: Resource) -> None:
        """Open `resource` before the jobs start, and close it after they have ended."""
        self.at_start(resource.connect)
        self.at_stop(resource.close)

    def at_start(self, action: Action) -> None:
        """Await `action` on the loop before the jobs start."""
        self._at_start.append(action)

    def at_stop(self, action: Action) -> None:
        """Await `action` on the loop after the jobs have ended; the last named comes first."""
        self._at_stop.append(action)

    def needs(self, *checks: Check) -> None:
        """Count `checks` into the worker's readiness."""
        self.checks += checks

    def submit(self, work: Coroutine[object, object, T]) -> "Future[T]":
        """Start `work` on the loop and return its future. May be called from any thread."""
        if self._loop is None:
            work.close()
            raise RuntimeError("the background loop is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def call(self, work: Coroutine[object, object, T], timeout: timedelta | None = None) -> T:
        """Run `work` on the loop and wait for its result; not to be called on the loop itself."""
        return self.submit(work).result(timeout.total_seconds() if timeout else None)

    def start(self) -> None:
        """Start the loop and return as soon as it takes work."""
        self._running.clear()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._live()), name="background", daemon=True
        )
        self._thread.start()
        self._running.wait()

    def stop(self) -> None:
        """End all jobs, then the loop, and wait for both."""
        if self._loop is None or self._thread is None or self._ending is None:
            return
        self._loop.call_soon_threadsafe(self._ending.set)
        self._thread.join(timeout=3 * STOP_WITHIN)

    async def _live(self) -> None:
        self._loop, self._ending = asyncio.get_running_loop(), asyncio.Event()
        self._running.set()
        try:
            for action in self._at_start:
                await self._attempt(action)
            tasks = [asyncio.create_task(job(), name=name) for name, job in self._jobs]
            await self._ending.wait()
            await _end(tasks)
            for action in reversed(self._at_stop):
                await self._attempt(action)
        finally:
            self._loop = None

    async def _attempt(self, action: Action) -> None:
        """Await `action`; a failure is logged and does not keep the others from their turn."""
        try:
            await asyncio.wait_for(action(), STOP_WITHIN)
        except Exception:  # one part that is away must not keep the worker down
            log.exception("background_action_failed", action=str(action))

    async def _keep(self, job: Job, name: str) -> None:
        pause = FIRST_PAUSE
        while True:
            started = time.monotonic()
            try:
                await job()
                log.warning("background_job_ended", job=name)
            except Exception as error:
                _note(name, error, first=True)
            if time.monotonic() - started > LONGEST_PAUSE:
                pause = FIRST_PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    async def _repeat(self, interval: timedelta, job: Job, name: str) -> None:
        failing = False
        while True:
            try:
                await job()
            except Exception as error:
                _note(name, error, first=not failing)
                failing = True
            else:
                failing = False
            await asyncio.sleep(interval.total_seconds() * random.uniform(0.9, 1.1))  # noqa: S311


def _note(name: str, error: Exception, *, first: bool) -> None:
    """Count a failure, and log it. A part that is away is told once, and has no traceback."""
    failures.labels(name).inc()
    reason = _absence(error)
    if reason is None:
        log.error("background_job_failed", job=name, exc_info=error)
    elif first:
        log.warning("background_job_waits", job=name, reason=reason)


def _absence(error: Exception) -> str | None:
    """Return what is away, if that is all that `error` tells."""
    if isinstance(error, ExceptionGroup):
        reasons = [_absence(inner) for inner in error.exceptions]
        return None if None in reasons else reasons[0]
    return error.detail if isinstance(error, Unavailable) else None


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    if tasks:
        _, stuck = await asyncio.wait(tasks, timeout=STOP_WITHIN)
        for task in stuck:
            log.warning("background_job_stuck", job=task.get_name())


class _BackgroundStep(bootsteps.StartStopStep):
    """Starts the loop before the worker's consumer, and stops it after."""

    requires = ("celery.worker.components:Timer",)

    def start(self, worker: WorkController) -> None:
        background(worker.app).start()

    def stop(self, worker: WorkController) -> None:
        background(worker.app).stop()

    def terminate(self, worker: WorkController) -> None:
        background(worker.app).stop()


_backgrounds: "WeakKeyDictionary[Celery, Background]" = WeakKeyDictionary()


def background(app: Celery) -> Background:
    """Return the background of `app`; the first call hangs it into the app's worker."""
    if app not in _backgrounds:
        _backgrounds[app] = Background()
        app.steps["worker"].add(_BackgroundStep)
    return _backgrounds[app]


def run(app: Celery, *, operations: tuple[str, int] | None = None) -> int:
    """Be the worker of `app` until SIGTERM, SIGINT or the end of the parent; return an exit code.

    `operations` is the host and port at which health, readiness and metrics are served. To be
    called on the main thread, with logging set up.
    """
    work = background(app)
    if operations is not None:
        listener = bind(*operations)  # here, where a port in use can still be told
        work.forever(partial(_serve_operations, listener, app.main, work.checks), "operations")
    app.set_current()  # tasks are decoded by the settings of the current app, whoever's they are
    controller: Any = WorkController(
        app=app, without_mingle=True, without_gossip=True, without_heartbeat=True
    )
    _stop_on_signals(controller)
    on_parent_gone(lambda: os.kill(os.getpid(), signal.SIGTERM))
    controller.start()
    return int(controller.exitcode or 0)


def _stop_on_signals(controller: Any) -> None:
    """Let the first signal end the worker after what it is at, and a second one at once."""
    state: Any = worker_state

    def wake() -> None:
        if controller.hub is not None:
            controller.hub.call_soon(lambda: None)

    def stop(signum: int, frame: FrameType | None) -> None:
        if state.should_stop is None:
            state.should_stop = 0
        else:
            state.should_terminate = 1
        # The hub may be asleep for seconds, and only another thread can safely wake it.
        threading.Thread(target=wake, daemon=True).start()

    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, stop)


async def _serve_operations(listener: socket.socket, title: str, checks: list[Check]) -> None:
    config = uvicorn.Config(
        create_operations(title, checks),
        http=BoundedProtocol,
        access_log=False,
        lifespan="off",
        log_config=None,
        timeout_graceful_shutdown=1,
    )
    await uvicorn.Server(config).serve(sockets=[listener.dup()])
