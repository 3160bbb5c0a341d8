"""Two at once: real concurrency, over two services on one PostgreSQL database."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.recovery.domain.codes import Verdict
from services.recovery.flows import CodeFlows, TrustFlows
from shared.database import Database
from shared.errors import NotFound
from shared.migrations import migrate
from tests.hands import Hands
from tests.recovery.conftest import code_flows, recorded, trust_flows
from tests.recovery.test_flows_codes import codes_of, made
from tests.recovery.test_flows_trust import EPOCH, checked, trusted

ROUNDS = 20
AT_ONCE = 8


@pytest.fixture
async def two(postgresql_url: str, clock: Hands) -> AsyncIterator[list[Database]]:
    """Two connection pools, as two processes have them."""
    migrate(postgresql_url, "services.recovery.migrations")
    databases = [Database(postgresql_url, source="recovery", clock=clock) for _ in range(2)]
    yield databases
    for db in databases:
        await db.close()


@pytest.fixture
def replicas(two: list[Database], clock: Hands) -> list[CodeFlows]:
    return [code_flows(db, clock) for db in two]


@pytest.fixture
def keepers(two: list[Database], clock: Hands) -> list[TrustFlows]:
    return [trust_flows(db, clock) for db in two]


async def test_parallel_uses_of_one_code_accept_it_once(
    replicas: list[CodeFlows], two: list[Database]
) -> None:
    """R1: of any number of racing requests with one code, exactly one is accepted."""
    for n in range(ROUNDS):
        codes = await made(replicas[0], f"a{n}", "ada")

        judgements = await asyncio.gather(
            *(replicas[i % 2].verify("ada", [f"a{n}"], codes[0]) for i in range(AT_ONCE))
        )

        verdicts = [judgement.verdict for judgement in judgements]
        assert verdicts.count(Verdict.ACCEPTED) == 1
        assert verdicts.count(Verdict.REPLAYED) == AT_ONCE - 1
        assert (await replicas[1].sets("ada"))[n].unused == 9
    events = await recorded(two[0])
    assert events.count("code_accepted") == ROUNDS
    assert events.count("code_replayed") == ROUNDS * (AT_ONCE - 1)


async def test_parallel_uses_of_different_codes_are_all_accepted(
    replicas: list[CodeFlows],
) -> None:
    """R1: and each is told how many are left: every number once."""
    for n in range(ROUNDS):
        codes = await made(replicas[0], f"a{n}", f"user{n}")

        judgements = await asyncio.gather(
            *(replicas[i % 2].verify(f"user{n}", [f"a{n}"], code) for i, code in enumerate(codes))
        )

        left = [judgement.use.unused for judgement in judgements if judgement.use]
        assert sorted(left) == list(range(10))


async def test_parallel_making_of_one_set_makes_one_set(
    replicas: list[CodeFlows], two: list[Database]
) -> None:
    """R4: asked twice at once, one set is made, and both are shown it."""
    for n in range(ROUNDS):
        shown = await asyncio.gather(
            *(replicas[i % 2].make("ada", f"a{n}", "s1", shown=True) for i in range(AT_ONCE))
        )

        assert len({codes_of(each) for each in shown}) == 1
        accepted = await replicas[1].verify("ada", [f"a{n}"], codes_of(shown[0])[0])
        assert accepted.verdict is Verdict.ACCEPTED
    assert (await recorded(two[0])).count("codes_generated") == ROUNDS


async def test_of_parallel_views_one_sees_what_is_seen_once(
    two: list[Database], clock: Hands
) -> None:
    """R3: codes that are shown once are shown to one."""
    replicas = [code_flows(db, clock, show_once=True) for db in two]
    for n in range(ROUNDS):
        await replicas[0].make("ada", f"a{n}", "s1", shown=False)

        shown = await asyncio.gather(
            *(replicas[i % 2].reveal("ada", f"a{n}") for i in range(AT_ONCE))
        )

        assert sum(each.codes is not None for each in shown) == 1
    assert (await recorded(two[0])).count("codes_viewed") == ROUNDS


async def test_what_is_spent_meanwhile_is_not_shown_as_unused(replicas: list[CodeFlows]) -> None:
    for n in range(ROUNDS):
        codes = await made(replicas[0], f"a{n}", "ada")

        used, shown = await asyncio.gather(
            replicas[0].verify("ada", [f"a{n}"], codes[0]),
            asyncio.gather(*(replicas[1].reveal("ada", f"a{n}") for _ in range(3))),
        )

        assert used.verdict is Verdict.ACCEPTED
        for each in shown:
            assert len(codes_of(each)) == each.set.unused
        assert codes_of(await replicas[1].reveal("ada", f"a{n}")) == codes[1:]


async def test_nothing_that_is_done_at_once_waits_for_the_other(
    two: list[Database], clock: Hands
) -> None:
    """Uses, views, erasures and removals of one set take their locks in one order: no deadlock."""
    replicas = [code_flows(db, clock, show_once=True) for db in two]
    for n in range(ROUNDS):
        set_id = f"a{n}"
        await code_flows(two[0], clock).make("ada", set_id, "s1", shown=True)
        codes = await made(code_flows(two[0], clock), f"b{n}")
        outcomes = await asyncio.gather(
            *(replicas[i % 2].verify("ada", [f"b{n}"], code) for i, code in enumerate(codes)),
            replicas[0].erase_viewed(),
            replicas[1].erase_viewed(),
            replicas[0].reveal("ada", f"b{n}"),
            replicas[1].remove("ada", f"b{n}"),
            replicas[0].remove("ada", f"b{n}"),
            return_exceptions=True,
        )

        errors = [each for each in outcomes if isinstance(each, BaseException)]
        assert all(isinstance(error, NotFound) for error in errors), errors
    assert {kept.id for kept in await replicas[0].sets("ada")} == {f"a{n}" for n in range(ROUNDS)}


async def test_a_removal_beats_a_making_or_undoes_it(replicas: list[CodeFlows]) -> None:
    """R5: a set is whole or not there; what a late request makes, a repeated removal ends."""
    for n in range(ROUNDS):
        shown, _ = await asyncio.gather(
            replicas[0].make("ada", f"a{n}", "s1", shown=True), replicas[1].remove("ada", f"a{n}")
        )

        for kept in await replicas[0].sets("ada"):
            assert codes_of(await replicas[1].reveal("ada", kept.id)) == codes_of(shown)
        await replicas[1].remove("ada", f"a{n}")
        assert await replicas[0].sets("ada") == []


async def test_two_tabs_at_once_are_both_trusted(
    keepers: list[TrustFlows], two: list[Database]
) -> None:
    """K8: with the token of now or the next one, and both are given the same successor."""
    for _ in range(ROUNDS):
        tokens = (await trusted(keepers[0])).tokens
        for _ in range(3):
            outcomes = await asyncio.gather(
                *(checked(keepers[i % 2], tokens) for i in range(AT_ONCE))
            )
            assert all(outcome.browser_id for outcome in outcomes)
            assert len({outcome.tokens for outcome in outcomes}) == 1
            tokens = outcomes[0].tokens
    events = await recorded(two[0])
    assert events.count("trust_used") == ROUNDS * 3 * AT_ONCE
    assert "trust_replayed" not in events


async def test_a_stolen_token_used_at_once_ends_the_series_once(
    keepers: list[TrustFlows], two: list[Database]
) -> None:
    """K8: one theft is told of once, and nobody is trusted after it."""
    for _ in range(ROUNDS):
        stolen = (await trusted(keepers[0])).tokens
        mine = (await checked(keepers[0], (await checked(keepers[0], stolen)).tokens)).tokens

        outcomes = await asyncio.gather(*(checked(keepers[i % 2], stolen) for i in range(AT_ONCE)))

        assert not any(outcome.browser_id for outcome in outcomes)
        assert (await checked(keepers[1], mine)).browser_id is None
    assert (await recorded(two[0])).count("trust_replayed") == ROUNDS


async def test_a_revocation_beats_a_use_or_follows_it(keepers: list[TrustFlows]) -> None:
    """K5: nobody is trusted by what is revoked, whatever is under way."""
    for _ in range(ROUNDS):
        given = await trusted(keepers[0])

        await asyncio.gather(
            *(checked(keepers[i % 2], given.tokens) for i in range(4)),
            keepers[1].revoke("ada", None),
        )

        assert await keepers[0].browsers("ada", (), EPOCH) == []
        assert (await checked(keepers[0], given.tokens)).browser_id is None


async def test_parallel_revocations_are_recorded_once(
    keepers: list[TrustFlows], two: list[Database]
) -> None:
    """K7: each browser is in one answer and in one event."""
    for _ in range(ROUNDS):
        given = [(await trusted(keepers[0])).browser_id for _ in range(4)]

        answers = await asyncio.gather(
            keepers[0].revoke("ada", None),
            keepers[1].revoke("ada", None),
            keepers[0].revoke("ada", given[:2]),
            keepers[1].revoke("ada", given[1:3]),
        )

        assert sorted(each for answer in answers for each in answer.browser_ids) == sorted(given)
    assert (await recorded(two[0])).count("trust_revoked") == 4 * ROUNDS


async def test_no_two_who_delete_browsers_wait_for_each_other(keepers: list[TrustFlows]) -> None:
    for n in range(ROUNDS):
        held = [(await trusted(keepers[0], epoch=n)).tokens[0] for _ in range(6)]

        await asyncio.gather(
            *(trusted(keepers[i % 2], epoch=n + 1, held=held) for i in range(4)),
            *(keeper.revoke("ada", None) for keeper in keepers),
            *(keeper.forget("ada") for keeper in keepers),
            *(keeper.sweep() for keeper in keepers),
        )

        await keepers[0].forget("ada")
        assert await keepers[1].browsers("ada", (), n + 1) == []


async def test_many_who_are_trusted_at_once_are_soon_no_more_than_the_most(
    two: list[Database], clock: Hands
) -> None:
    """K7: they do not see one another, but whoever comes next sees all."""
    keepers = [trust_flows(db, clock, max_browsers=3) for db in two]
    await asyncio.gather(*(trusted(keepers[i % 2]) for i in range(AT_ONCE)))
    clock.turn(seconds=1)

    last = await trusted(keepers[0])

    listed = await keepers[1].browsers("ada", last.tokens, EPOCH)
    assert len(listed) == 3
    assert listed[0].is_current
