"""Refresh tokens used at once, at two replicas, on PostgreSQL: of one session one counts."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice

import pytest

from services.session.flows import Policy
from services.session.flows.outcomes import Gone, Outcome, Refreshed
from services.session.flows.tokens import REFUSED
from shared.token import hash_token
from tests.session.house import House, second_replica
from tests.session.test_tokens import claims_of, is_over, rows
from tests.session.tokens import App, join, rules

AT_ONCE = 8
ROUNDS = 12


@dataclass
class Replicas:
    """Two replicas of a house that gives tokens."""

    one: House
    other: House = field(repr=False)

    def copies(self, app: App, number: int) -> list[App]:
        """Return the same app several times, at either replica in turn."""
        return [app.copy(house) for house in islice(cycle((self.one, self.other)), number)]


@pytest.fixture
async def replicas(pg_house: House) -> AsyncIterator[Replicas]:
    policy = Policy(tokens=rules())
    async with second_replica(pg_house) as other:
        yield Replicas(pg_house.under(policy), other.under(policy))


async def renewed(apps: Sequence[App]) -> list[Outcome]:
    """Have all of them renew at once."""
    return list(await asyncio.gather(*(app.renew() for app in apps)))


async def counting(ada: App, apps: Sequence[App]) -> list[App]:
    """Return those whose refresh token is the last of the session."""
    sid = claims_of(ada.refresh)["sid"]
    (last,) = [row.current_hash for row in await rows(ada.house) if row.sid == sid]
    return [app for app in apps if hash_token(claims_of(app.refresh)["jti"]) == last]


async def test_of_renewals_at_once_one_token_is_left(replicas: Replicas) -> None:
    """An app that asks twice is no thief; but never are there two tokens to go on from."""
    for number in range(ROUNDS):
        ada = await join(replicas.one, f"ada{number}@example.org")
        apps = replicas.copies(ada, AT_ONCE)

        outcomes = await renewed(apps)

        assert all(isinstance(outcome, Refreshed) for outcome in outcomes)
        assert len({app.refresh for app in apps}) == AT_ONCE
        (last,) = await counting(ada, apps)
        assert isinstance(await last.renew(), Refreshed)
        assert await next(app for app in apps if app is not last).renew() == REFUSED
        assert await is_over(ada)


async def test_an_owner_and_a_thief_at_once_are_both_out(replicas: Replicas) -> None:
    """Whoever is first: the other shows what others have followed upon. And it is told once."""
    for number in range(ROUNDS):
        ada = await join(replicas.one, f"ada{number}@example.org")
        thief = ada.copy(replicas.other)
        await ada.renew()

        outcomes = await renewed([ada, thief] if number % 2 else [thief, ada])

        assert REFUSED in outcomes
        assert await is_over(ada)
        assert (await ada.renew(), await thief.renew()) == (REFUSED, REFUSED)
        assert (await replicas.one.events()).count("refresh_token_reused") == number + 1


async def test_many_who_show_the_same_old_token_end_the_session_once(replicas: Replicas) -> None:
    ada = await join(replicas.one)
    thieves = replicas.copies(ada, AT_ONCE)
    await ada.renew()
    await ada.renew()
    await replicas.one.notices()

    outcomes = await renewed(thieves)

    assert outcomes == [REFUSED] * AT_ONCE
    assert (await replicas.one.events()).count("refresh_token_reused") == 1
    assert len(await replicas.one.notices()) == 1


async def test_a_logout_is_final_for_what_is_renewed_meanwhile(replicas: Replicas) -> None:
    for number in range(ROUNDS):
        ada = await join(replicas.one, f"ada{number}@example.org")
        apps = replicas.copies(ada, 3)

        await asyncio.gather(apps[0].renew(), ada.visitor.log_out(), apps[1].renew())

        for app in apps:
            assert await app.renew() == REFUSED
            with pytest.raises(Gone):
                await app.visit()
        assert "refresh_token_reused" not in await replicas.one.events()
    assert await rows(replicas.one) == []


async def test_sessions_that_are_ended_by_the_epoch_are_not_renewed(replicas: Replicas) -> None:
    """The write that ends all sessions touches none of them."""
    for number in range(ROUNDS):
        ada = await join(replicas.one, f"ada{number}@example.org")
        apps = replicas.copies(ada, 3)

        await asyncio.gather(apps[0].renew(), ada.visitor.end_all_sessions(), apps[1].renew())

        for app in apps:
            assert await app.renew() == REFUSED
        assert "refresh_token_reused" not in await replicas.one.events()
