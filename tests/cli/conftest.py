"""Ports for the commands under test."""

import socket
from collections.abc import Iterator, Mapping

import pytest

from tests import suites


@pytest.fixture
def free_ports() -> Mapping[str, str]:
    """A free port for every setting that names one."""
    return suites.free_ports()


@pytest.fixture
def taken_port() -> Iterator[int]:
    """A port where something else listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield int(listener.getsockname()[1])
