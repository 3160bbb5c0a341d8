"""A refused login tells nobody whether an address has an account: not by its work, not by time."""

import time
from statistics import median
from typing import Any

import pytest

from services.session.domain.limits import Limits, check_rates
from services.session.flows import Flows, PasswordHasher, Policy, build_flows
from shared.database import Change, Database, Row, Statement, Step
from shared.event import Event
from tests.session.house import ADA, HOME, RING, House, Visitor, faults_of

NOBODY = "nobody@example.org"
AWAY = "203.0.113.77"
TRIES = 500
MAY_DIFFER = 0.1
GENEROUS = {"login": "1000000/m/ip", "login_failed": "1000000/m/ip,1000000/m/key"}


class Recorded(Database):
    """The same database, and what was said to it."""

    def __init__(self, db: Database) -> None:
        self.__dict__.update(db.__dict__)
        self.said: list[object] = []

    async def find(self, statement: Statement, /, **params: object) -> Row | None:
        """Read."""
        self.said.append((statement, sorted(params)))
        return await super().find(statement, **params)

    async def apply(self, change: Change | Step, *events: Event) -> Row | None:
        """Write."""
        steps = change.steps if isinstance(change, Change) else (change,)
        self.said.append(([(step.statement, step.required) for step in steps], len(events)))
        return await super().apply(change, *events)

    async def record(self, *events: Event) -> None:
        """Write events alone."""
        self.said.append([event.type for event in events])
        await super().record(*events)


def flows(house: House, db: Database, limits: Limits) -> Flows:
    """Return flows over `db`, whose password hashes cost next to nothing."""
    return build_flows(
        db,
        ring=RING,
        factors=house.factors,
        clock=house.clock,
        policy=Policy(limits=limits),
        hasher=PasswordHasher(queue=1000, threads=1, memory=8, passes=1),
    )


async def known_and_gone(house: House) -> None:
    """Let somebody have an account, and be logged out."""
    await (await (await house.visitor().join()).protect()).log_out()


@pytest.mark.parametrize("address", [HOME, AWAY])
async def test_refused_logins_say_the_same_to_the_database(house: House, address: str) -> None:
    """L8: judged or over the limit, where the owner has been before or elsewhere."""
    await known_and_gone(house)
    db = Recorded(house.db)
    house.flows = flows(house, db, Limits())
    said: dict[str, list[Any]] = {}
    for email in (ADA, NOBODY):
        db.said = said[email] = []
        told = [faults_of(await house.visitor(address).log_in(email, "wrong")) for _ in range(7)]
        assert told == [["email_password_mismatch"]] * 5 + [["too_many_login_attempts"]] * 2
        house.clock.turn(minutes=10)

    assert len(said[ADA]) == 7 * 2
    assert said[ADA] == said[NOBODY]


@pytest.mark.parametrize("address", [HOME, AWAY])
async def test_refused_logins_take_the_same_time(house: House, address: str) -> None:
    """L8: the medians of some hundred tries differ by less than a tenth.

    Known and unknown take turns, so that whatever else the machine does meets both alike. A pause
    that falls on one half of it may still move a median once: then all is tried anew, and only
    what shows both times, in the same direction, is a difference of the service.
    """
    await known_and_gone(house)
    account = {action: check_rates(action, text) for action, text in GENEROUS.items()}
    house.flows = flows(house, house.db, Limits(account={**Limits().account, **account}))
    visitor = house.visitor(address)
    await seconds_of(visitor, ADA), await seconds_of(visitor, NOBODY)

    first = await difference(visitor)
    if abs(first) < MAY_DIFFER:
        return
    again = await difference(visitor)
    is_other_way_round = (first > 0) != (again > 0)
    assert abs(again) < MAY_DIFFER or is_other_way_round, f"first {first:+.0%}, then {again:+.0%}"


async def difference(visitor: Visitor) -> float:
    """Return by what part of the median a known address takes longer than an unknown one."""
    known: list[float] = []
    unknown: list[float] = []
    for number in range(TRIES):
        pairs = [(ADA, known), (NOBODY, unknown)]
        for email, seconds in pairs if number % 2 else reversed(pairs):
            seconds.append(await seconds_of(visitor, email))
    return median(known) / median(unknown) - 1


async def seconds_of(visitor: Visitor, email: str) -> float:
    """Return how long a wrong password takes to be refused."""
    began = time.perf_counter()
    assert faults_of(await visitor.log_in(email, "wrong")) == ["email_password_mismatch"]
    return time.perf_counter() - began
