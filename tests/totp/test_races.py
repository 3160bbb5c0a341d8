"""Two at once: real concurrency, over two services on one PostgreSQL database."""

import asyncio
from collections.abc import AsyncIterator

import pyotp
import pytest

from services.totp.domain.codes import Policy, Verdict
from services.totp.flows import Offer, TotpFlows
from services.totp.store import PURPOSE, Authenticator, AuthenticatorStore
from shared.cipher import Cipher
from shared.database import Database
from shared.errors import Conflict, NotFound
from shared.migrations import migrate
from tests.hands import Hands
from tests.totp.conftest import RING
from tests.totp.test_flows import enrol, recorded

ROUNDS = 20
AT_ONCE = 8


@pytest.fixture
async def two(postgresql_url: str, clock: Hands) -> AsyncIterator[list[Database]]:
    """Two connection pools, as two processes have them."""
    migrate(postgresql_url, "services.totp.migrations")
    databases = [Database(postgresql_url, source="totp", clock=clock) for _ in range(2)]
    yield databases
    for db in databases:
        await db.close()


@pytest.fixture
def replicas(two: list[Database], clock: Hands) -> list[TotpFlows]:
    return [TotpFlows(AuthenticatorStore(db, Cipher(RING, PURPOSE)), clock, Policy()) for db in two]


async def test_parallel_verifications_of_one_code_accept_it_once(
    replicas: list[TotpFlows], clock: Hands, two: list[Database]
) -> None:
    """T1: of any number of racing requests with one code, exactly one is accepted."""
    device = await enrol(replicas[0], clock)
    for _ in range(ROUNDS):
        clock.turn(seconds=30)
        code = device.at(clock())

        judgements = await asyncio.gather(
            *(replicas[n % 2].verify("ada", ["a1"], code) for n in range(AT_ONCE))
        )

        verdicts = [judgement.verdict for judgement in judgements]
        assert verdicts.count(Verdict.ACCEPTED) == 1
        assert verdicts.count(Verdict.REPLAYED) == AT_ONCE - 1
    events = await recorded(two[0])
    assert events.count("accepted") == ROUNDS
    assert events.count("replayed") == ROUNDS * (AT_ONCE - 1)


async def test_parallel_completions_of_one_enrolment_make_one_authenticator(
    replicas: list[TotpFlows], clock: Hands, two: list[Database]
) -> None:
    for n in range(ROUNDS):
        user = f"user{n}"
        offer = await replicas[0].begin(user, f"e{n}", "s1", "ada@example.com")
        code = pyotp.TOTP(offer.secret).at(clock())

        made = await asyncio.gather(
            *(replicas[i % 2].complete(user, f"e{n}", "s1", code, None) for i in range(AT_ONCE))
        )

        assert {authenticator.id for authenticator in made if authenticator} == {f"e{n}"}
        assert None not in made
        assert len(await replicas[1].authenticators(user)) == 1
        assert (await replicas[1].verify(user, [f"e{n}"], code)).verdict is Verdict.REPLAYED
    assert (await recorded(two[0])).count("activated") == ROUNDS


async def test_parallel_enrolments_of_one_session_leave_one_secret(
    replicas: list[TotpFlows], clock: Hands
) -> None:
    """T6: whichever comes last counts, and only that one can be completed."""
    for n in range(ROUNDS):
        offers = await asyncio.gather(
            *(
                replicas[i % 2].begin(f"user{n}", f"e{n}-{i}", "s1", "ada@example.com")
                for i in range(AT_ONCE)
            )
        )

        completed = []
        for offer in offers:
            code = pyotp.TOTP(offer.secret).at(clock())
            try:
                made = await replicas[0].complete(f"user{n}", offer.enrolment_id, "s1", code, None)
            except NotFound:
                continue
            completed.append(made)
        assert len(completed) == 1
        assert completed[0] is not None


async def test_of_secrets_asked_for_at_once_one_can_be_enrolled(
    replicas: list[TotpFlows], clock: Hands
) -> None:
    """T6: whichever comes last counts, also under one id."""
    for n in range(ROUNDS):
        user, enrolment = f"user{n}", f"e{n}"
        offers = await asyncio.gather(
            *(replicas[i % 2].begin(user, enrolment, "s1", "ada@x") for i in range(AT_ONCE))
        )

        codes = [pyotp.TOTP(offer.secret).at(clock()) for offer in offers]
        made = [await replicas[0].complete(user, enrolment, "s1", code, None) for code in codes]
        assert len({offer.secret for offer in offers}) == AT_ONCE
        assert len([authenticator for authenticator in made if authenticator]) == 1


async def test_what_is_begun_again_while_it_is_completed_has_one_outcome(
    replicas: list[TotpFlows], clock: Hands
) -> None:
    """T6: no secret is enrolled but that which was shown last before it was."""
    for n in range(ROUNDS):
        user, enrolment = f"user{n}", f"e{n}"
        old = pyotp.TOTP((await replicas[0].begin(user, enrolment, "s1", "ada@x")).secret)

        made, again = await asyncio.gather(
            replicas[0].complete(user, enrolment, "s1", old.at(clock()), None),
            replicas[1].begin(user, enrolment, "s1", "ada@x"),
            return_exceptions=True,
        )

        if made is None:  # begun again before it was completed
            assert isinstance(again, Offer)
            device = pyotp.TOTP(again.secret)
            assert await replicas[0].complete(user, enrolment, "s1", device.at(clock()), None)
        else:
            assert isinstance(made, Authenticator)
            assert await replicas[0].complete(user, enrolment, "s1", old.at(clock()), None)
            if isinstance(again, Offer):  # in the same moment: what it shows is dead
                late = pyotp.TOTP(again.secret).at(clock())
                assert await replicas[0].complete(user, enrolment, "s1", late, None) is None
            else:
                assert isinstance(again, Conflict)
        assert len(await replicas[0].authenticators(user)) == 1


async def test_a_removal_beats_a_completion_or_undoes_it(
    replicas: list[TotpFlows], clock: Hands
) -> None:
    for n in range(ROUNDS):
        user = f"user{n}"
        offer = await replicas[0].begin(user, f"e{n}", "s1", "ada@example.com")
        code = pyotp.TOTP(offer.secret).at(clock())

        await asyncio.gather(
            replicas[0].complete(user, f"e{n}", "s1", code, None),
            replicas[1].remove(user, f"e{n}"),
            return_exceptions=True,
        )

        # Removed before, between, or after: it is gone, and stays so.
        with pytest.raises(NotFound):
            await replicas[0].complete(user, f"e{n}", "s1", code, None)
        assert await replicas[0].authenticators(user) == []
