"""Passwords reset by many at once, over two replicas on PostgreSQL."""

import asyncio
from collections import Counter

import pytest

from services.session.flows.outcomes import Gone, Misfit, Outcome, Standing
from shared.errors import Unavailable
from tests.session.house import ADA, PASSWORD, House, Visitor, faults_of, second_replica
from tests.session.test_password_reset import NEW, WRONG, asked, is_over, logged_in, policy

MANY = 12


def passwords() -> list[str]:
    """Return passwords, another one for each of many."""
    return [f"{NEW}-{number}" for number in range(MANY)]


async def come_to(outcome: Outcome) -> str:
    """Return in a word what came of a reset."""
    if isinstance(outcome, Standing):
        return "reset"
    return "misfit" if outcome == Misfit() else ", ".join(faults_of(outcome))


async def opens(house: House, password: str) -> bool:
    """Tell whether a password is that of Ada."""
    return isinstance(await house.visitor().log_in(ADA, password), Standing)


@pytest.mark.parametrize("by_code", [True, False])
async def test_what_was_mailed_sets_one_password(pg_house: House, *, by_code: bool) -> None:
    """O1: one key, or one code in one session, given by many at once."""
    house = pg_house.under(policy(by_code=by_code))
    await (await house.visitor().join()).log_out()
    async with second_replica(house) as other:
        replicas = (house, other.under(policy(by_code=by_code)))
        ada = house.visitor()
        key = await asked(ada)
        visit = await ada.visit()

        outcomes = await asyncio.gather(
            *(
                replicas[n % 2].flows.reset_password.reset(visit, key, password)
                for n, password in enumerate(passwords())
            )
        )

        found = Counter([await come_to(outcome) for outcome in outcomes])
        lost = "misfit" if by_code else "invalid_password_reset"
        assert found == {"reset": 1, lost: MANY - 1}
        (right,) = [
            password
            for password, outcome in zip(passwords(), outcomes, strict=True)
            if isinstance(outcome, Standing)
        ]
        assert await opens(house, right)
        assert (await house.events()).count("password_reset") == 1


async def test_however_many_guess_at_once_three_are_judged(pg_house: House) -> None:
    """L2: in one session, of which the right one may be too late."""
    house = pg_house.under(policy())
    await (await house.visitor().join()).log_out()
    async with second_replica(house) as other:
        replicas = (house, other.under(policy()))
        ada = house.visitor()
        await asked(ada)
        visit = await ada.visit()
        judged = 0
        while visit.resets:
            outcomes = await asyncio.gather(
                *(replicas[n % 2].flows.reset_password.show(visit, WRONG) for n in range(MANY))
            )
            judged += sum(faults_of(outcome) == ["incorrect_code"] for outcome in outcomes)
            visit = await ada.visit()

        assert judged == 3
        failed = [row for row in await house.event_rows() if row.type.endswith("reset_failed")]
        assert len(failed) == 3


@pytest.mark.parametrize("logs_in", [False, True])
async def test_no_login_in_progress_survives_a_reset(pg_house: House, *, logs_in: bool) -> None:
    """N4, O6: logins with the old password and a reset at once, over and over.

    Whatever was begun with the old password is over when the new one counts.
    """
    house = pg_house.under(policy(logs_in=logs_in))
    await (await house.visitor().join()).log_out()
    async with second_replica(house) as other:
        replicas = (house, other.under(policy(logs_in=logs_in)))
        old = PASSWORD
        for password in passwords()[:6]:
            house.clock.turn(minutes=6)
            ada = replicas[0].visitor()
            key = await asked(ada)
            thieves = [replicas[n % 2].visitor(f"198.51.100.{n}") for n in range(6)]

            outcome, *_ = await asyncio.gather(
                ada.reset(key, password), *(_log_in(thief, old) for thief in thieves)
            )

            assert isinstance(outcome, Standing)
            assert [await is_over(thief) for thief in thieves if thief.token] == [
                True for thief in thieves if thief.token
            ]
            if logs_in:
                assert (await ada.visit()).authenticated
                await ada.log_out()
            old = password
        logged_in(await house.visitor().log_in(password=old))


async def _log_in(who: Visitor, password: str) -> None:
    try:
        await who.log_in(ADA, password)
    except Unavailable:  # the account changed meanwhile
        return


async def test_a_reset_and_a_change_at_once_leave_one_password(pg_house: House) -> None:
    """Whichever came first; neither waits for the other in vain."""
    house = pg_house.under(policy())
    ada = await house.visitor().join()
    async with second_replica(house) as other:
        replica = other.under(policy())
        old = PASSWORD
        for number in range(5):
            house.clock.turn(minutes=6)
            forgetful = replica.visitor("198.51.100.1")
            key = await asked(forgetful)
            reset, changed = f"{NEW}-r{number}", f"{NEW}-c{number}"

            outcomes = await asyncio.gather(
                forgetful.reset(key, reset),
                ada.change_password(old, changed),
                return_exceptions=True,
            )

            # A reset that is done ends the session in which the password is being changed.
            assert not [
                outcome
                for outcome in outcomes
                if isinstance(outcome, BaseException)
                and not isinstance(outcome, Unavailable | Gone)
            ]
            right = [await opens(house, password) for password in (reset, changed)]
            assert sum(right) == 1
            old = reset if right[0] else changed
            ada = house.visitor()
            logged_in(await ada.log_in(password=old))
