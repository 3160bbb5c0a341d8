"""Keys in races between replicas, on PostgreSQL: one proof, one session."""

import asyncio
from collections.abc import Awaitable, Sequence

import pytest

from services.session.domain.register import Entry
from services.session.flows.outcomes import Asked, Outcome, Refused, Removed, Standing
from shared.errors import CountersignError
from tests.session.house import House, Visitor, second_replica
from tests.session.keys import add_key, answer, ask, log_in, reauthenticate, with_passkey
from tests.webauthn.authenticator import Device

AT_ONCE = 8
ROUNDS = 6


async def at_once(*doings: Awaitable[Outcome]) -> list[Outcome | CountersignError]:
    """Do everything at the same time; return what came of each."""
    outcomes: list[Outcome | CountersignError] = []
    for outcome in await asyncio.gather(*doings, return_exceptions=True):
        if isinstance(outcome, BaseException) and not isinstance(outcome, CountersignError):
            raise outcome
        outcomes.append(outcome)
    return outcomes


def logged_in(outcomes: Sequence[object]) -> int:
    """Return how many of the outcomes have let somebody in."""
    return len([o for o in outcomes if isinstance(o, Standing) and o.visit.authenticated])


async def authenticated(house: House) -> int:
    """Return how many sessions somebody is logged in with."""
    return len([row for row in await house.session_rows() if row.authenticated_at])


def twice(visitor: Visitor, other: House) -> list[Visitor]:
    """Return the same client several times, at both replicas."""
    houses = [visitor.house, other] * (AT_ONCE // 2)
    return [Visitor(house, token=visitor.token) for house in houses]


async def test_one_assertion_opens_one_session(pg_house: House) -> None:
    """W7.2-11: posted many times at once, at both replicas."""
    device = Device()
    ada = await with_passkey(pg_house, device)
    async with second_replica(pg_house) as other:
        credential = device.get(await ask(ada))
        outcomes = await at_once(*(answer(v, credential) for v in twice(ada, other)))

    assert logged_in(outcomes) == 1
    assert await authenticated(pg_house) == 1
    assert (await pg_house.events()).count("logged_in") == 2  # with that of the sign-up


async def test_one_assertion_passes_one_stage(pg_house: House) -> None:
    """W7.2-11: as a second factor too; what is refused meanwhile is counted and no more."""
    device = Device()
    ada = await with_passkey(pg_house, device)
    await ada.log_in()
    asked = await pg_house.flows.authenticate.ask_for_key(await ada.visit())
    assert isinstance(asked, Asked)
    options = asked.display["request_options"]
    assert isinstance(options, dict)
    credential = device.get(options)

    async def give(visitor: Visitor) -> Outcome:
        flow = visitor.house.flows.authenticate
        return await flow.authenticate_by_key(await visitor.visit(), credential)

    async with second_replica(pg_house) as other:
        outcomes = await at_once(*(give(v) for v in twice(ada, other)))

    assert logged_in(outcomes) == 1
    assert await authenticated(pg_house) == 1


async def test_several_sessions_are_several_logins(pg_house: House) -> None:
    """Each with a challenge of its own: nobody is in anybody's way."""
    device = Device()
    await with_passkey(pg_house, device)
    async with second_replica(pg_house) as other:
        visitors = [house.visitor() for house in (pg_house, other, pg_house, other)]
        outcomes = await at_once(*(log_in(visitor, device) for visitor in visitors))

    assert logged_in(outcomes) == len(visitors)
    assert await authenticated(pg_house) == len(visitors)


@pytest.mark.parametrize("round_", range(ROUNDS))
async def test_a_login_comes_before_a_removal_or_not_at_all(pg_house: House, round_: int) -> None:
    """A removal that has been announced stops every login by what it removes."""
    device = Device()
    ada = await pg_house.visitor().join()
    await add_key(ada, device)
    assert isinstance(await reauthenticate(ada, device), Standing)
    entry: Entry = (await pg_house.account()).register.of_type("webauthn")[0]

    async with second_replica(pg_house) as other:
        thief = other.visitor("203.0.113.9")
        credential = device.get(await ask(thief))

        async def remove() -> Outcome:
            await asyncio.sleep(round_ * 0.002)
            return await pg_house.flows.webauthn.remove(await ada.visit(), [entry.id])

        login, removal = await at_once(answer(thief, credential), remove())

        assert isinstance(removal, Removed)
        events = await pg_house.events()
        if logged_in([login]):
            logins = [at for at, event in enumerate(events) if event == "logged_in"]
            assert logins[-1] < events.index("authenticator_removed")
        else:
            assert isinstance(login, Refused | CountersignError)
        assert await pg_house.registered("webauthn") == []
        late = await log_in(other.visitor("203.0.113.9"), device)
    assert isinstance(late, Refused)
