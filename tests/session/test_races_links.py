"""Links followed by many at once, over two replicas on PostgreSQL."""

import asyncio

from sqlalchemy import select

from services.session.flows.outcomes import Refused, Standing
from services.session.store.tables import claimed_addresses, emails
from shared.database import Statement
from shared.errors import Unavailable
from tests.session.addressing import LATER, NEW, add, by_link, joined, key
from tests.session.house import ADA, House, Visitor, faults_of, second_replica

MANY = 12


async def follow(who: Visitor, link: str) -> list[str] | None:
    """Follow a link; return the codes of a refusal, or None if it did."""
    try:
        outcome = await who.verify(link)
    except Unavailable:
        return ["unavailable"]
    assert isinstance(outcome, Standing | Refused)
    return None if isinstance(outcome, Standing) else faults_of(outcome)


async def owners(house: House, email: str) -> list[str]:
    """Return whose an address is."""
    rows = await house.db.all(Statement(select(emails.c.user_id, emails.c.address)))
    return [row.user_id for row in rows if row.address == email]


async def test_a_link_is_followed_once(pg_house: House) -> None:
    """O1: at sign-up and for an address that is added."""
    house = pg_house.under(by_link())
    async with second_replica(house) as other:
        replicas = (house, other.under(by_link()))
        await house.visitor().sign_up()
        link = await key(house)

        outcomes = await asyncio.gather(
            *(follow(replicas[n % 2].visitor(f"198.51.100.{n}"), link) for n in range(MANY))
        )

        assert outcomes.count(None) == 1
        others = [codes for codes in outcomes if codes is not None]
        assert {code for codes in others for code in codes} == {"invalid_or_expired_key"}
        assert (await house.events()).count("email_verified") == 1


async def test_an_added_address_counts_once(pg_house: House) -> None:
    house = pg_house.under(by_link())
    async with second_replica(house) as other:
        replicas = (house, other.under(by_link()))
        ada = await joined(house, ADA)
        await add(ada)
        link = await key(house)

        outcomes = await asyncio.gather(
            *(follow(replicas[n % 2].visitor(f"198.51.100.{n}"), link) for n in range(MANY))
        )

        assert outcomes.count(None) == 1
        assert len(await owners(house, NEW)) == 1
        assert await house.db.all(Statement(select(claimed_addresses.c.address))) == []
        assert (await house.events()).count("email_added") == 1


async def test_an_address_that_many_claim_is_one_persons(pg_house: House) -> None:
    """Each has a link of their own, and all are followed at once."""
    house = pg_house.under(by_link())
    async with second_replica(house) as other:
        replicas = (house, other.under(by_link()))
        links = []
        for n in range(4):
            who = await joined(house, f"p{n}@example.org")
            house.clock.turn(seconds=LATER.total_seconds())
            await add(who)
            links.append(await key(house))
            house.clock.turn(seconds=LATER.total_seconds())

        outcomes = await asyncio.gather(
            *(
                follow(replicas[n % 2].visitor(f"198.51.100.{n}"), link)
                for n, link in enumerate(links)
            )
        )

        assert outcomes.count(None) == 1
        assert outcomes.count(["email_taken"]) == len(links) - 1
        assert len(await owners(house, NEW)) == 1


async def test_a_claim_is_removed_or_counts(pg_house: House) -> None:
    """Its link and its removal at once: never both."""
    house = pg_house.under(by_link())
    async with second_replica(house) as other:
        replicas = (house, other.under(by_link()))
        ada = await joined(house, ADA)
        for _ in range(5):
            house.clock.turn(seconds=LATER.total_seconds())
            await add(ada)
            link = await key(house)
            followed, removed = await asyncio.gather(
                follow(replicas[1].visitor("198.51.100.1"), link), _removed(ada)
            )

            counts = len(await owners(house, NEW)) == 1
            assert counts is (followed is None and not removed)
            if counts:
                await _removed(ada)


async def _removed(who: Visitor) -> bool:
    """Remove the address; tell whether it was."""
    visit = await who.visit()
    try:
        outcome = await who.house.flows.emails.remove(visit, NEW)
    except Unavailable:
        return False
    return not isinstance(outcome, Refused)
