"""Queues of a redis transport, which are lists that grow at their head: how one is kept short.

kombu knows no limits of such a queue and no dead letters, so both are made here.
"""

import json
from base64 import b64encode
from collections.abc import Sequence
from typing import Any
from uuid import uuid4

from shared.bus.topology import DEAD

REASON, ORIGIN = "x-refused", "x-refused-by"
"""Headers of a dead letter: why it is one, and in which queue it was before."""

AT_ONCE = 500  # messages that are moved by one command

# What is removed are exactly the messages that were read, even if somebody else read and removed
# some of them meanwhile: each of them is unlike any other.
REMOVE = """
local count, newest, oldest = tonumber(ARGV[1]), ARGV[2], ARGV[3]
if redis.call('LINDEX', KEYS[1], -count) ~= newest
    or redis.call('LINDEX', KEYS[1], -1) ~= oldest then
  return 0
end
for place = 4, #ARGV do redis.call('LPUSH', KEYS[2], ARGV[place]) end
redis.call('LTRIM', KEYS[1], 0, -count - 1)
return 1
"""


def removal(queue: str, messages: Sequence[bytes], letters: Sequence[bytes]) -> tuple[Any, ...]:
    """Return what to `eval` to remove the last `messages` of `queue`, and add dead `letters`.

    It answers 0, and does nothing, if these are not the last ones any more.
    """
    return (REMOVE, 2, queue, DEAD, len(messages), messages[0], messages[-1], *letters)


def dead_letter(message: bytes, queue: str, reason: str) -> bytes:
    """Return a message as kombu reads it, with headers that say which queue it was in, and why not.

    `living` is the way back.
    """
    why = {REASON: reason, ORIGIN: queue}
    try:
        envelope = json.loads(message)
        envelope["headers"].update(why)
        return json.dumps(envelope).encode()
    except (ValueError, TypeError, KeyError, RecursionError):
        return json.dumps(_wrapped(message, why)).encode()


def living(letter: bytes) -> bytes:
    """Return a dead letter as it was before, for whoever is to judge it once more."""
    envelope = json.loads(letter)
    for header in (REASON, ORIGIN):
        envelope["headers"].pop(header, None)
    return json.dumps(envelope).encode()


def shorten(client: Any, queue: str, length: int) -> int:
    """Make dead letters of the oldest messages of `queue` beyond `length`; return how many.

    `client` is a Redis that waits (its types do not say so). Where others remove some at the same
    time, the rest stays until the next time.
    """
    moved = 0
    while (surplus := min(AT_ONCE, client.llen(queue) - length)) > 0:
        messages = client.lrange(queue, -surplus, -1)
        letters = [dead_letter(message, queue, "overflow") for message in reversed(messages)]
        if not messages or not client.eval(*removal(queue, messages, letters)):
            break
        moved += len(messages)
    return moved


def _wrapped(message: bytes, why: dict[str, str]) -> dict[str, object]:
    """Return a message of kombu's whose body is `message`, which is none."""
    return {
        "body": b64encode(message).decode(),
        "content-type": "application/octet-stream",
        "content-encoding": "binary",
        "headers": why,
        "properties": {
            "body_encoding": "base64",
            "delivery_info": {"exchange": "", "routing_key": DEAD},
            "delivery_mode": 2,
            "delivery_tag": str(uuid4()),
            "priority": 0,
        },
    }
