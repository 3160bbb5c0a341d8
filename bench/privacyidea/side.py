"""privacyIDEA, running, and those whose codes it checks."""

import asyncio
import json
import os
import secrets
import subprocess
import sys
import time
from base64 import b32encode
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pyotp

from bench.client import Client, Wires
from bench.people import PERIOD
from bench.ports import free_port
from bench.sides import ROOT, Peer, gunicorn, postgresql, started, until_answered

HERE = Path(__file__).parent
PYTHON = ROOT / ".venv-privacyidea" / "bin" / "python"


@dataclass
class Token:
    """What somebody shows codes with. `step` is the time step whose code was used last."""

    serial: str
    client: Client = field(repr=False)
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(20), repr=False)
    step: int = 0

    async def check(self) -> None:
        """Have the code of now checked."""
        now = int(time.time())
        self.step = now // PERIOD
        code = pyotp.TOTP(b32encode(self.secret).decode(), interval=PERIOD).at(now)
        body = {"serial": self.serial, "pass": code}
        answer = await self.client.expect(200, "POST", "validate/check", body)
        if answer.body["result"]["value"] is not True:
            raise RuntimeError(f"a right code was refused: {answer.body}")


class PrivacyIdea(Peer):
    """privacyIDEA behind gunicorn."""

    name = "privacyidea"


@asynccontextmanager
async def privacyidea(folder: Path, size: int) -> AsyncIterator[tuple[PrivacyIdea, list[Token]]]:
    """Run it with `size` tokens; yield it, and these."""
    async with postgresql(folder / "postgresql") as database:
        await database.create(["peer"])
        settings = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT),
            "PRIVACYIDEA_CONFIGFILE": str(HERE / "pi.cfg"),
            "BENCH_DATABASE": database.url("peer").replace("postgresql:", "postgresql+psycopg2:"),
            "BENCH_KEYS": str(folder / "keys"),
            "BENCH_LOG": str(folder / "own.log"),
        }
        port = free_port()
        client = Client(Wires(port), root="/")
        tokens = [Token(f"T{number}", client) for number in range(size)]
        await asyncio.to_thread(_set_up, settings, tokens)
        words = gunicorn(str(PYTHON), "bench.privacyidea.wsgi", port)
        async with started(words, settings, folder / "privacyidea.log") as (process, log):
            await until_answered(client, "healthz/livez", process, log)
            yield PrivacyIdea(database, port, process.pid), tokens


def _set_up(settings: dict[str, str], tokens: Sequence[Token]) -> None:
    """Make its key, its tables and its tokens."""
    manage = str(PYTHON.with_name("pi-manage"))
    for command in ("create_enckey", "create_tables"):
        words = (manage, "setup", command)
        subprocess.run(words, env=settings, cwd=ROOT, check=True, capture_output=True)
    wanted = json.dumps([(token.serial, token.secret.hex(), PERIOD) for token in tokens])
    seed = (str(PYTHON), "-m", "bench.privacyidea.seed")
    subprocess.run(
        seed, env=settings, cwd=ROOT, check=True, input=wanted.encode(), stdout=sys.stderr
    )
