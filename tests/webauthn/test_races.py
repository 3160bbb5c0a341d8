"""Two at once: real concurrency, over two services on one PostgreSQL database."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from services.webauthn.domain.policy import Use
from services.webauthn.flows import WebAuthnFlows
from services.webauthn.store import CredentialStore, Place
from shared.database import Database
from shared.errors import NotFound
from shared.migrations import migrate
from tests.hands import Hands
from tests.webauthn.authenticator import Device, Lies
from tests.webauthn.conftest import RULES, enrol, recorded

ROUNDS = 20
AT_ONCE = 8


@pytest.fixture
async def two(postgresql_url: str, clock: Hands) -> AsyncIterator[list[Database]]:
    """Two connection pools, as two processes have them."""
    migrate(postgresql_url, "services.webauthn.migrations")
    databases = [Database(postgresql_url, source="webauthn", clock=clock) for _ in range(2)]
    yield databases
    for db in databases:
        await db.close()


@pytest.fixture
def replicas(two: list[Database], clock: Hands) -> list[WebAuthnFlows]:
    return [WebAuthnFlows(CredentialStore(db), clock, RULES) for db in two]


async def test_parallel_posts_of_one_assertion_accept_it_once(
    replicas: list[WebAuthnFlows], two: list[Database]
) -> None:
    """W7.2-11: of any number of racing requests with one assertion, exactly one is accepted."""
    device = Device()
    await enrol(replicas[0], device, passwordless=True)
    for _ in range(ROUNDS):
        offer = await replicas[0].challenge_anybody("s1")
        answer = device.get(dict(offer.options))

        judgements = await asyncio.gather(
            *(replicas[n % 2].verify_anybody("s1", answer) for n in range(AT_ONCE))
        )

        reasons = [judgement.reason for judgement in judgements]
        assert reasons.count(None) == 1
        assert set(reasons) == {None, "no_challenge"}
    events = await recorded(two[0])
    assert events.count("accepted") == ROUNDS


async def test_a_key_and_its_copy_at_once_are_not_both_let_in(
    replicas: list[WebAuthnFlows], two: list[Database]
) -> None:
    """W7.2-22: two assertions with one count, in two sessions, are accepted once."""
    device = Device(counts=True)
    await enrol(replicas[0], device)
    for n in range(ROUNDS):
        answers = []
        for session in ("s1", "s2"):
            offer = await replicas[0].challenge("ada", ["a1"], session, Use.AUTHENTICATE)
            answers.append((session, device.get(dict(offer.options), Lies(counter=n + 1))))

        judgements = await asyncio.gather(
            *(
                replicas[i].verify("ada", ["a1"], session, Use.AUTHENTICATE, answer)
                for i, (session, answer) in enumerate(answers)
            )
        )

        reasons = [judgement.reason for judgement in judgements]
        assert reasons.count(None) == 1
        assert set(reasons) == {None, "counter"}
    events = await recorded(two[0])
    assert events.count("accepted") == events.count("clone_suspected") == ROUNDS


async def test_two_sessions_at_once_are_both_let_in(replicas: list[WebAuthnFlows]) -> None:
    """W7.2-22: a passkey, which does not count, may be used in many places at once."""
    device = Device()
    await enrol(replicas[0], device)
    for _ in range(ROUNDS):
        offers = [
            await replicas[0].challenge("ada", ["a1"], f"s{n}", Use.AUTHENTICATE)
            for n in range(AT_ONCE)
        ]

        judgements = await asyncio.gather(
            *(
                replicas[n % 2].verify(
                    "ada", ["a1"], f"s{n}", Use.AUTHENTICATE, device.get(dict(offer.options))
                )
                for n, offer in enumerate(offers)
            )
        )

        assert [judgement.reason for judgement in judgements] == [None] * AT_ONCE


async def test_parallel_completions_of_one_enrolment_make_one_authenticator(
    replicas: list[WebAuthnFlows], two: list[Database]
) -> None:
    for n in range(ROUNDS):
        place = Place(f"e{n}", f"user{n}", "s1")
        offer = await replicas[0].begin(place, "ada")
        credential = Device().create(dict(offer.options))

        made = await asyncio.gather(
            *(replicas[i % 2].complete(place, credential, None) for i in range(AT_ONCE))
        )

        assert {authenticator.id for authenticator in made if authenticator} == {f"e{n}"}
        assert None not in made
        assert len(await replicas[1].authenticators(f"user{n}")) == 1
    assert (await recorded(two[0])).count("activated") == ROUNDS


async def test_a_credential_that_two_register_at_once_is_one_persons(
    replicas: list[WebAuthnFlows], two: list[Database]
) -> None:
    """W7.1-26: the loser of the race gets an answer, no error."""
    for n in range(ROUNDS):
        stolen = Lies(credential_id=bytes([n]) * 32)
        made = await asyncio.gather(
            *(
                enrol(replicas[i % 2], Device(), f"{n}-{i}", f"user{n}-{i}", stolen)
                for i in range(AT_ONCE)
            )
        )

        assert sum(authenticator is not None for authenticator in made) == 1
    events = await recorded(two[0])
    assert events.count("activation_failed: taken") == ROUNDS * (AT_ONCE - 1)


async def test_a_person_gets_one_handle(replicas: list[WebAuthnFlows]) -> None:
    """W7.2-6: however many sessions enrol for the first time at once."""
    for n in range(ROUNDS):
        offers = await asyncio.gather(
            *(
                replicas[i % 2].begin(Place(f"{n}-{i}", f"user{n}", f"s{i}"), "ada")
                for i in range(AT_ONCE)
            )
        )

        assert len({offer.options["publicKey"]["user"]["id"] for offer in offers}) == 1


async def test_asking_twice_at_once_leaves_one_challenge(replicas: list[WebAuthnFlows]) -> None:
    for n in range(ROUNDS):
        place = Place(f"e{n}", f"user{n}", "s1")
        offers = await asyncio.gather(
            *(replicas[i % 2].begin(place, "ada") for i in range(AT_ONCE))
        )

        made = []
        for offer in offers:
            try:
                made.append(
                    await replicas[0].complete(place, Device().create(dict(offer.options)), None)
                )
            except NotFound:
                continue
        assert len([authenticator for authenticator in made if authenticator]) <= 1


async def test_a_removal_beats_a_completion_or_undoes_it(replicas: list[WebAuthnFlows]) -> None:
    for n in range(ROUNDS):
        place = Place(f"e{n}", f"user{n}", "s1")
        offer = await replicas[0].begin(place, "ada")
        credential = Device().create(dict(offer.options))

        await asyncio.gather(
            replicas[0].complete(place, credential, None),
            replicas[1].remove(place.user_id, place.id),
            return_exceptions=True,
        )

        # Removed before, between, or after: it is gone, and stays so.
        with pytest.raises(NotFound):
            await replicas[0].complete(place, credential, None)
        assert await replicas[0].authenticators(place.user_id) == []


async def test_a_removal_beats_a_verification_or_comes_after_it(
    replicas: list[WebAuthnFlows],
) -> None:
    for n in range(ROUNDS):
        device = Device()
        await enrol(replicas[0], device, f"e{n}", passwordless=True)
        offer = await replicas[0].challenge_anybody("s1")
        answer = device.get(dict(offer.options))

        judgement, _ = await asyncio.gather(
            replicas[0].verify_anybody("s1", answer), replicas[1].remove("ada", f"e{n}")
        )

        assert judgement.reason in {None, "unknown_credential"}
        assert (await replicas[0].verify_anybody("s1", answer)).reason == "no_challenge"
