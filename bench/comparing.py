"""The two sides in turn, A B A B, through every flow, one request at a time."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Protocol, TypeVar

from bench.client import Client
from bench.flows import FLOWS, Flow
from bench.people import Person, join
from bench.results import percentile
from bench.sides import ANSWERING, Side

SETTLE = 1.5  # seconds until what a batch leaves to do has been done
IDLE = 8.0  # seconds over which an idle side is watched

Say = Callable[[str], None]


class Visitor(Protocol):
    """Somebody whose client tells how long answers have taken."""

    client: Client


V = TypeVar("V", bound=Visitor)


@dataclass(frozen=True)
class Measured:
    """What one flow took, on the average of a batch.

    CPU and latencies are in ms. `answering` is the CPU of what stands between question and answer,
    with PostgreSQL's; `everything` adds what is done afterwards. What an idle side uses in the same
    time is taken off both.
    """

    answering: float
    everything: float
    p50: float
    p99: float
    statements: float

    def __str__(self) -> str:
        return (
            f"CPU {self.answering:.2f} ms ({self.everything:.2f} with what follows), "
            f"p50 {self.p50:.1f} ms, {self.statements:.1f} statements"
        )


@dataclass
class Team:
    """A side, and the people that it is measured with: those with every factor, and with none."""

    side: Side
    enrolled: Sequence[Person]
    bare: Sequence[Person]
    idle: dict[str, float]  # CPU seconds a second, by part

    def people(self, flow: Flow) -> Sequence[Person]:
        """Return those who go through `flow`."""
        return self.bare if flow.letter == "F" else self.enrolled


async def team(side: Side, size: int, label: str = "p") -> Team:
    """Have people join a side, and see what it uses when it has nothing to do."""
    enrolled = [side.person(f"{label}{number}") for number in range(size)]
    bare = [side.person(f"{label}bare{number}") for number in range(size)]
    await join(enrolled, side.verify_addresses, factors=True)
    await join(bare, side.verify_addresses, factors=False)
    return Team(side, enrolled, bare, await idle(side))


async def idle(side: Side) -> dict[str, float]:
    """Return the seconds of CPU a second that a side uses when it has nothing to do, by part."""
    await asyncio.sleep(2 * SETTLE)
    before = await side.used()
    await asyncio.sleep(IDLE)
    after = await side.used()
    return {part: (after[part] - before.get(part, 0)) / IDLE for part in after}


async def compare(
    teams: Sequence[Team], rounds: int, say: Say, flows: Sequence[Flow] = FLOWS
) -> dict[str, dict[str, list[dict[str, float]]]]:
    """Return what each flow took on each side, round by round; the first one only warms up."""
    found: dict[str, dict[str, list[dict[str, float]]]] = defaultdict(lambda: defaultdict(list))
    for number in range(rounds + 1):
        for flow in flows:
            for team in teams:
                measured = await measure(team, flow)
                if number:
                    found[flow.letter][team.side.name].append(asdict(measured))
                say(f"{number} {flow.letter} {team.side.name}: {measured}")
    return {letter: dict(sides) for letter, sides in found.items()}


async def measure(team: Team, flow: Flow) -> Measured:
    """Have everybody go through `flow`, one after the other."""
    people = team.people(flow)
    await flow.before(people)
    measured = await watch(team.side, team.idle, people, flow.act)
    await flow.after(people)
    return measured


async def watch(
    side: Side,
    used_idly: Mapping[str, float],
    visitors: Sequence[V],
    act: Callable[[V], Awaitable[None]],
) -> Measured:
    """Have all do something, one after the other, and see what the side uses for it."""
    await asyncio.sleep(SETTLE)
    assert side.database is not None
    await side.database.forget_statements()
    before, began = await side.used(), time.monotonic()
    latencies = []
    for visitor in visitors:
        visitor.client.seconds = 0.0
        await act(visitor)
        latencies.append(visitor.client.seconds)
    statements = await side.database.statements()
    await asyncio.sleep(SETTLE)
    after, ended = await side.used(), time.monotonic()
    spent = {
        part: max(
            0.0, after[part] - before.get(part, 0.0) - used_idly.get(part, 0.0) * (ended - began)
        )
        for part in after
    }
    parts = {part: 1000 * seconds / len(visitors) for part, seconds in spent.items()}
    answering = sum(ms for part, ms in parts.items() if part in _ANSWERING)
    return Measured(
        answering=answering,
        everything=sum(parts.values()),
        p50=1000 * percentile(latencies, 50),
        p99=1000 * percentile(latencies, 99),
        statements=statements / len(visitors),
    )


_ANSWERING = {ANSWERING, f"postgresql for {ANSWERING}", "postgresql itself"}
