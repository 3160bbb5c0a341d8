"""Several applications in one process begin together and end together."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from shared.errors import ConfigurationError
from shared.server import Listener, serve

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
    output, _ = process.communicate(timeout=20)
    return sorted(output.split())


def get(port: int, path: str = "") -> object:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=10) as answer:
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
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n")
            assert process.stdout is not None
            assert process.stdout.readline() == "slow\n"
            process.send_signal(signal.SIGTERM)
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        rest_of(process)
        assert process.returncode == 0


def test_the_end_of_the_parent_is_the_end() -> None:
    reading, writing = os.pipe()
    environment = os.environ | {"COUNTERSIGN_PARENT_FD": str(reading)}
    with running(env=environment, pass_fds=[reading]) as process:
        ports_of(process)
        os.close(reading)

        os.close(writing)  # what the system does when a process is killed

        assert rest_of(process) == ["-first", "-second", "end"]
        assert process.returncode == 0


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
