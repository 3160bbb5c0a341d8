"""The tables are as the store believes, and hold nothing that they need not."""

from sqlalchemy import select

from services.webauthn.domain.policy import Use
from services.webauthn.flows import WebAuthnFlows
from services.webauthn.store import (
    CredentialStore,
    Place,
    challenges,
    credentials,
    enrolments,
    metadata,
    users,
)
from shared.database import Database, Statement
from shared.migrations import differences, migrate
from tests.webauthn.authenticator import Device, Lies
from tests.webauthn.conftest import enrol, log_in, prove


def test_the_migrations_make_what_the_store_expects(migrated_url: str) -> None:
    assert differences(migrated_url, metadata) == []


def test_migrating_again_changes_nothing(migrated_url: str) -> None:
    migrate(migrated_url, "services.webauthn.migrations")

    assert differences(migrated_url, metadata) == []


async def count(db: Database) -> list[int]:
    """Return how many rows each table has."""
    tables = (users, credentials, enrolments, challenges)
    return [len(await db.all(Statement(select(*table.c)))) for table in tables]


async def test_nothing_is_left_of_what_is_answered(flows: WebAuthnFlows, db: Database) -> None:
    device = Device()
    await enrol(flows, device, passwordless=True)
    await prove(flows, device)
    await log_in(flows, device)

    assert await count(db) == [1, 1, 0, 0]


async def test_nothing_is_left_of_a_person_who_is_forgotten(
    flows: WebAuthnFlows, db: Database
) -> None:
    await enrol(flows, Device())
    await flows.begin(Place("a2", "ada", "s1"), "ada")
    await flows.challenge("ada", ["a1"], "s1", Use.AUTHENTICATE)
    await flows.challenge("ada", ["a1"], "s2", Use.REAUTHENTICATE)
    assert await count(db) == [1, 1, 1, 2]

    await flows.forget("ada")

    assert await count(db) == [0, 0, 0, 0]


async def test_what_is_enrolled_while_a_person_is_forgotten_goes_too(
    flows: WebAuthnFlows, store: CredentialStore, db: Database
) -> None:
    """Else nobody would see it any more, and its id would be taken for good."""
    id_ = Lies(credential_id=b"o" * 32)
    await store.drop_pending("eve")
    await enrol(flows, Device(), "e1", "eve", id_)
    await flows.begin(Place("e2", "eve", "s1"), "eve")

    await store.drop_user("eve")

    assert await count(db) == [0, 0, 0, 0]
    assert await enrol(flows, Device(), "f1", "fay", id_) is not None


async def test_challenges_do_not_pile_up(flows: WebAuthnFlows, db: Database) -> None:
    for _ in range(5):
        await flows.challenge_anybody("s1")
        await flows.challenge("ada", ["a1"], "s1", Use.AUTHENTICATE)
        await flows.begin(Place("a1", "ada", "s1"), "ada")

    assert await count(db) == [1, 0, 1, 2]
