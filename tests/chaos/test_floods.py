"""Queues with what nobody can take, that nobody takes, or that are full, while events come."""

import asyncio
from contextlib import ExitStack
from typing import Any

import pytest
import redis

from shared.bus import topology
from shared.bus.wire import EventSigner
from tests import trail
from tests.chaos.stack import TOTP, Stack
from tests.chaos.test_kills import BETWEEN, judge

POISON = (
    b"\xff\xfe no text",
    b"no JSON",
    b"[]",
    trail.signed(1).replace(b'"signature"', b'"signaturE"'),
    trail.signed(1).replace(b"192.0.2.1", b"192.0.2.9"),
    trail.signed(1).replace(b"demo-1", b"demo-9"),
    EventSigner(TOTP).sign(trail.event(1, source="totp", type="mfa.totp.invented")),
    b'{"a":' * 2000,
)
ROUNDS = 10
FULL = 500  # messages


@pytest.mark.timeout(900)
async def test_poison_under_load_ends_among_the_dead_letters(stack: Stack) -> None:
    """D5: and the ledger's worker, killed with it in its hands, gets all else in."""
    await stack.start()
    for _ in range(ROUNDS):
        for body in POISON:
            await asyncio.to_thread(trail.put, stack.broker_url, body)
        await stack.load.reaches(len(stack.load.sure) + BETWEEN // ROUNDS)
    await stack.kill("ledger", away=0.5)
    await stack.load.reaches(len(stack.load.sure) + BETWEEN)

    await judge(stack, "ledger, among poison", 1)

    dead = await asyncio.to_thread(trail.waiting, stack.broker_url, topology.DEAD)
    assert dead == ROUNDS * len(POISON)


@pytest.mark.timeout(900)
async def test_a_consumer_that_never_reads_holds_nobody_up(stack: Stack) -> None:
    """D5: its queue keeps what it has room for, and neither relay nor ledger notice."""
    await stack.start()
    with ExitStack() as ending:
        connection = ending.enter_context(topology.connection(stack.broker_url))
        await asyncio.to_thread(_subscribe, connection.channel(), stack.broker_url)
        await stack.load.reaches(len(stack.load.sure) + 3 * FULL)

        await judge(stack, "none: a consumer that never reads", 1)

        kept = await asyncio.to_thread(trail.waiting, stack.broker_url, "siem")
        if topology.speaks_amqp(stack.broker_url):
            assert kept <= FULL
        else:  # whose lists have no limits but those that we keep: an operator has to look
            assert kept >= 3 * FULL


@pytest.mark.timeout(900)
async def test_a_queue_that_is_full_leaves_events_where_they_are(stack: Stack) -> None:
    """D5: in the outbox, while logins go on; when somebody takes from the queue, all arrive."""
    await asyncio.to_thread(_limit, stack.broker_url)
    await stack.start()
    before = stack.load.pace(0)
    await asyncio.to_thread(stack.ledger.kill)
    since = len(stack.load.seconds)
    await stack.load.reaches(len(stack.load.sure) + 5 * FULL)

    async def alarmed() -> bool:
        return await stack.relay.measure("countersign_outbox_backlog") > FULL

    await stack.until(alarmed, "the alarm")
    assert stack.load.pace(since) < 3 * before
    if not topology.speaks_amqp(stack.broker_url):
        await asyncio.to_thread(_bound_memory, stack.broker_url, 0)  # as its operator would
    await asyncio.to_thread(stack.ledger.start)

    await judge(stack, "ledger, until its queue was full", 1)


def _subscribe(channel: Any, url: str) -> None:
    """Take messages and acknowledge none, as many as the broker hands out."""
    exchange = topology.events_exchange(url)
    is_amqp = topology.speaks_amqp(url)
    limits = {"x-queue-type": "quorum", "x-max-length": FULL, "x-overflow": "drop-head"}
    exchange(channel).declare()
    channel.queue_declare(
        queue="siem", durable=True, auto_delete=False, arguments=limits if is_amqp else None
    )
    channel.queue_bind(queue="siem", exchange=topology.EVENTS, routing_key="#")
    if is_amqp:
        channel.basic_qos(0, 50, False)
        channel.basic_consume(queue="siem", callback=lambda message: None)


def _limit(url: str) -> None:
    """Let the ledger's queue be full soon."""
    if not topology.speaks_amqp(url):
        _bound_memory(url, 1024 * 1024)
        return
    trail.undeclare(url, topology.STORE)
    queue = topology.store_queue(url, made=False)
    queue.queue_arguments = {**(queue.queue_arguments or {}), "x-max-length": FULL}
    with topology.connection(url) as connection:
        queue(connection.channel()).declare()


def _bound_memory(url: str, more: int) -> None:
    """Let Valkey take so many bytes more than it has; with 0, as many as there are."""
    with redis.Redis.from_url(url) as client:
        used: Any = client.info("memory")
        client.config_set("maxmemory", used["used_memory"] + more if more else 0)
