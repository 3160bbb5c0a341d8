"""Parts are killed with -9 while events come: what was acknowledged is in the ledger, once."""

import asyncio

import pytest

from tests.chaos import report
from tests.chaos.stack import Stack

KILLS = {
    "broker": ("broker",),
    "relay": ("relay",),
    "ledger": ("ledger",),
    "database": ("database",),
    "relay and ledger": ("relay", "ledger"),
    "broker, relay and database": ("broker", "relay", "database"),
    "everything": ("broker", "relay", "ledger", "database"),
}
TIMES = 2
BETWEEN = 400  # events that are acknowledged between two kills


async def judge(stack: Stack, fault: str, times: int) -> None:
    """Wait until all is through, and hold the ledger against what was acknowledged, and itself."""
    seconds = await stack.settle()
    entries = await stack.entries()
    numbers, told = [number for number, _ in entries], [number for _, number in entries]
    load = stack.load
    missing, twice = load.sure - set(told), len(told) - len(set(told))
    report.add(
        stack.name,
        fault,
        times=times,
        events=len(told),
        missing=len(missing),
        twice=twice,
        seconds=seconds,
    )
    assert not missing
    assert not twice
    assert set(told) <= set(range(1, load.tried + 1))
    assert sorted(numbers) == list(range(1, len(numbers) + 1)), "a source's numbers have a gap"
    verdict = await stack.verdict()
    assert verdict.faults == ()
    assert (verdict.entries, verdict.fitting, verdict.unopened) == (len(told), len(told), 0)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("fault", KILLS)
async def test_what_was_acknowledged_is_in_the_ledger_once(stack: Stack, fault: str) -> None:
    """D5: each part, and several at once, again and again under load."""
    parts = [part for part in KILLS[fault] if part in stack.parts]
    if not parts:
        pytest.skip("SQLite is no server: it dies with who has it open")
    await stack.start()
    for _ in range(TIMES):
        await stack.load.reaches(len(stack.load.sure) + BETWEEN)
        await stack.kill(*parts, away=0.5)
    await stack.load.reaches(len(stack.load.sure) + BETWEEN)

    whole = fault == "everything" or len(parts) == len(KILLS[fault])
    await judge(stack, fault if whole else " and ".join(parts), TIMES)


@pytest.mark.timeout(900)
async def test_a_broker_that_is_long_away_hurts_nobody_who_writes(stack: Stack) -> None:
    """D5: the outbox grows and an alarm shows it; writes go on; all of it leaves afterwards."""
    await stack.start()
    load = stack.load
    await load.reaches(1000)
    before, since = load.pace(0), len(load.seconds)
    await asyncio.to_thread(stack.parts["broker"].kill)
    await load.reaches(len(load.sure) + 3000)

    async def alarmed() -> bool:
        return await stack.relay.measure("countersign_outbox_backlog") > 1000

    await stack.until(alarmed, "the alarm")
    assert await stack.relay.measure("countersign_outbox_oldest_seconds") > 1
    assert load.pace(since) < 3 * before
    await asyncio.to_thread(stack.parts["broker"].start)

    await judge(stack, "broker, for long", 1)

    async def calm() -> bool:
        return await stack.relay.measure("countersign_outbox_backlog") == 0

    await stack.until(calm, "the end of the alarm")
