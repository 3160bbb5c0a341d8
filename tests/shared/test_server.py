"""Several applications in one process begin together and end together."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.errors import ConfigurationError
from shared.http import protocol
from shared.inherited import PARENT_FD
from shared.server import Listener, _config, on_parent_gone, serve

SCRIPT = """
import asyncio, json, sys
from contextlib import asynccontextmanager
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from shared import logs
from shared.server import Listener, serve

logs.configure("test")

def app(name, fail=False):
    @asynccontextmanager
    async def lifespan(app):
        print(f"+{name}", flush=True)
        if fail:
            raise RuntimeError("cannot")
        yield
        print(f"-{name}", flush=True)

    async def answer(request):
        if request.url.path == "/slow":
            print("slow", flush=True)
            await asyncio.sleep(0.5)
        return JSONResponse(name)

    return Starlette(routes=[Route("/{path:path}", answer)], lifespan=lifespan)

serve(
    Listener(app("first"), "127.0.0.1", 0),
    Listener(app("second", fail=FAIL), "127.0.0.1", 0),
    Listener(app("third"), "127.0.0.1", 0, lifespan=False),
    started=lambda ports: print(json.dumps(ports), flush=True),
)
print("end", flush=True)
"""


@contextmanager
def running(*, fail: bool = False, **options: Any) -> Iterator[subprocess.Popen[str]]:
    """Run a server with three applications in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.replace("FAIL", str(fail))],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def ports_of(process: subprocess.Popen[str]) -> list[int]:
    """Wait until all applications are served."""
    assert process.stdout is not None
    assert {process.stdout.readline(), process.stdout.readline()} == {"+first\n", "+second\n"}
    ports: list[int] = json.loads(process.stdout.readline())
    return ports


def rest_of(process: subprocess.Popen[str]) -> list[str]:
    """Wait until the process has ended, and return what it printed last."""
    output, _ = process.communicate(timeout=60)
    return sorted(output.split())


def get(port: int, path: str = "") -> object:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=60) as answer:
        return json.load(answer)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_all_of_them_cleanly(number: signal.Signals) -> None:
    with running() as process:
        ports = ports_of(process)
        assert [get(port) for port in ports] == ["first", "second", "third"]

        process.send_signal(number)

        assert rest_of(process) == ["-first", "-second", "end"]
        assert process.returncode == 0


def test_a_request_in_flight_is_answered_before_the_end() -> None:
    with running() as process:
        port = ports_of(process)[0]
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert process.stdout is not None
            assert process.stdout.readline() == "slow\n"
            process.send_signal(signal.SIGTERM)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        rest_of(process)
        assert process.returncode == 0


def test_the_end_of_the_parent_is_the_end() -> None:
    reading, writing = os.pipe()
    environment = os.environ | {PARENT_FD: str(reading)}
    with running(env=environment, pass_fds=[reading]) as process:
        ports_of(process)
        os.close(reading)

        os.close(writing)  # what the system does when a process is killed

        assert rest_of(process) == ["-first", "-second", "end"]
        assert process.returncode == 0


@pytest.mark.parametrize("number", ["", "x", "-1", "9" * 20])
def test_a_parent_that_is_no_descriptor_is_refused(
    monkeypatch: pytest.MonkeyPatch, number: str
) -> None:
    monkeypatch.setenv(PARENT_FD, number)

    with pytest.raises(ConfigurationError, match=PARENT_FD):
        on_parent_gone(lambda: None)


@contextmanager
def bounded() -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Serve an application on a thread; yields its port, and the scopes that it has seen."""
    scopes: list[dict[str, Any]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        while (await receive())["more_body"]:
            pass
        scopes.append(dict(scope))
        await Response("seen")(scope, receive, send)

    bound = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(_config(Listener(app, "127.0.0.1", 0, lifespan=False)))
    thread = threading.Thread(target=server.run, args=([bound],))
    thread.start()
    try:
        yield bound.getsockname()[1], scopes
    finally:
        server.should_exit = True
        thread.join()
        bound.close()


def said(port: int, *parts: bytes) -> bytes:
    """Send `parts` and return everything that comes back until the server hangs up."""
    heard = b""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        with suppress(OSError):  # the server has hung up already
            for part in parts:
                connection.sendall(part)
        with suppress(ConnectionResetError):
            while more := connection.recv(65536):
                heard += more
    return heard


@pytest.fixture
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that are not finished are given up soon, but not before a busy machine sends one."""
    monkeypatch.setattr(protocol, "HEAD_WITHIN", 1.0)
    monkeypatch.setattr(protocol, "REST_WITHIN", 1.5)


LINE = b"x: " + b"a" * 1000 + b"\r\n"


def test_the_head_of_a_request_has_a_bound() -> None:
    """D7: not only its body."""
    begin, end = b"GET / HTTP/1.1\r\nhost: x\r\n", b"connection: close\r\n\r\n"
    with bounded() as (port, scopes):
        assert said(port, begin, LINE * 60, end).startswith(b"HTTP/1.1 200")
        scopes.clear()
        assert said(port, begin, LINE * 70, end).startswith(b"HTTP/1.1 400")
        assert said(port, begin, *[LINE * 100] * 100).startswith(b"HTTP/1.1 400")
        assert said(port, begin, b"x: ", *[b"a" * 100_000] * 100).startswith(b"HTTP/1.1 400")
        assert said(port, b"GET /", *[b"a" * 100_000] * 100).startswith(b"HTTP/1.1 400")
        assert scopes == []


def test_a_body_is_cut_off_somewhere() -> None:
    """D7: and what comes behind it is no header."""
    begin = b"POST / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n"
    begin += b"transfer-encoding: chunked\r\n\r\n1\r\na\r\n"
    with bounded() as (port, scopes):
        assert said(port, begin, b"0\r\nx: y\r\n\r\n").startswith(b"HTTP/1.1 200")
        assert (b"x", b"y") not in scopes.pop()["headers"]
        assert said(port, begin, b"0\r\nx: ", *[b"a" * 100_000] * 100) == b""
        assert scopes == []


@pytest.mark.parametrize(
    "part",
    [
        b"",
        b"\r\n",
        b"GET / HTTP/1.1\r\nhost:",
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\nx",
    ],
)
@pytest.mark.usefixtures("hurry")
def test_what_is_not_finished_is_not_waited_for(part: bytes) -> None:
    """At the beginning of a connection and later."""
    whole = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    with bounded() as (port, scopes):
        assert said(port, part) == b""
        if part.strip():
            assert said(port, whole + part).startswith(b"HTTP/1.1 200")
            assert [scope["path"] for scope in scopes] == ["/"]


@pytest.mark.usefixtures("hurry")
def test_a_quiet_connection_is_kept_between_requests() -> None:
    whole = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
    with (
        bounded() as (port, _),
        socket.create_connection(("127.0.0.1", port), timeout=60) as connection,
        connection.makefile("rb") as answers,
    ):
        for pause in (0, 1.7):  # longer than a head may take
            time.sleep(pause)
            connection.sendall(whole)
            assert answers.readline() == b"HTTP/1.1 200 OK\r\n"
            while answers.readline() != b"\r\n":
                pass
            assert answers.read(4) == b"seen"


def test_one_that_does_not_start_ends_the_others() -> None:
    with running(fail=True) as process:
        assert "end" not in rest_of(process)
        assert process.returncode != 0


def test_addresses_that_are_taken_are_told_all_at_once() -> None:
    async def app(scope: object, receive: object, send: object) -> None:
        raise AssertionError

    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ConfigurationError) as caught:
            serve(
                Listener(app, "127.0.0.1", port),
                Listener(app, "127.0.0.1", 0),
                Listener(app, "192.0.2.1", 0),
            )

    first, second = caught.value.problems
    assert first == f"Cannot listen at 127.0.0.1:{port}: address already in use."
    assert second.startswith("Cannot listen at 192.0.2.1:0: ")
