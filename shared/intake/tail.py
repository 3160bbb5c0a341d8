"""Takes events from a redis transport, where a queue is a list.

kombu's own consumer takes a message off the list before it notes that it has it, so one that is
killed in between loses it; and it goes to the server, and that to its disk, three times for each
message. Here the oldest messages are read where they are, and removed once they are written: a
crash in between shows them again, and they are known by their ids.
"""

import asyncio
import json
from base64 import b64decode
from collections.abc import Sequence
from typing import Any

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from shared.bus.lists import dead_letter, removal
from shared.bus.topology import ANSWER_WITHIN, CONNECT_WITHIN
from shared.bus.wire import Flaw, Received
from shared.intake.sorting import Sorter
from shared.intake.writing import BATCH, GATHER, Writer

FIRST_PAUSE = 0.1  # seconds after the broker failed; doubles
LONGEST_PAUSE = 5.0  # seconds
LOOK_AGAIN = 5  # seconds that one question may wait for its answer; well below ANSWER_WITHIN

log = structlog.stdlib.get_logger(__name__)


class Tail:
    """The old end of a queue."""

    def __init__(self, url: str, queue: str, sorter: Sorter, writer: Writer) -> None:
        self._url = url
        self._queue = queue
        self._sorter = sorter
        self._writer = writer

    async def run(self) -> None:
        """Have what comes written, until cancelled, through any absence of the broker."""
        async with Redis.from_url(
            self._url, socket_connect_timeout=CONNECT_WITHIN, socket_timeout=ANSWER_WITHIN
        ) as client:
            pause = FIRST_PAUSE
            while True:
                try:
                    if await self._take(client) < BATCH:
                        await self._wait(client)
                except (RedisError, OSError) as error:
                    if pause == FIRST_PAUSE:
                        log.warning("broker_away", reason=repr(error))
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, LONGEST_PAUSE)
                else:
                    pause = FIRST_PAUSE

    async def _take(self, client: Redis) -> int:
        """Read and write one batch, then remove it; return how many messages it had."""
        messages: Any = await client.lrange(self._queue, -BATCH, -1)
        if messages:
            verdicts = [self._sorter.judge(_body(message)) for message in reversed(messages)]
            events = [verdict for verdict in verdicts if isinstance(verdict, Received)]
            bad = await self._writer.write(events) if events else []
            verdicts = [Flaw.UNSTORABLE if verdict in bad else verdict for verdict in verdicts]
            await self._remove(client, messages, verdicts)
        return len(messages)

    async def _remove(
        self, client: Redis, messages: Sequence[bytes], verdicts: Sequence[Received | Flaw]
    ) -> None:
        flaws = [
            (message, verdict)
            for message, verdict in zip(reversed(messages), verdicts, strict=True)
            if isinstance(verdict, Flaw)
        ]
        letters = [dead_letter(message, self._queue, str(flaw)) for message, flaw in flaws]
        if await client.eval(*removal(self._queue, messages, letters)):
            for _, flaw in flaws:
                self._sorter.raise_alarm(flaw)

    async def _wait(self, client: Redis) -> None:
        """Return soon after a message has come, so that others may join it.

        To move the last message to where it is changes nothing, but waits until there is one.
        """
        if (
            await client.blmove(self._queue, self._queue, LOOK_AGAIN, src="RIGHT", dest="RIGHT")
            is not None
        ):
            await asyncio.sleep(GATHER)


def _body(message: bytes) -> bytes:
    """Return the body in a message as kombu writes it; of any other thing, nothing."""
    try:
        envelope = json.loads(message)
        body = envelope["body"]
        if envelope["properties"]["body_encoding"] == "base64":
            return b64decode(body, validate=True)
        return str(body).encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return b""
