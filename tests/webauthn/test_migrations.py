"""What a database knew before a migration, it knows after it."""

import asyncio

import pytest
from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import text
from sqlalchemy.engine import Connection

from services.webauthn.store import CredentialStore
from shared import migrations
from shared.database import Database

LOCATION = "services.webauthn.migrations"

USER = "INSERT INTO users (user_id, handle) VALUES ('ada', :handle)"
CREDENTIAL = """INSERT INTO credentials
    (id, user_id, credential_id, public_key, algorithm, sign_count, aaguid, name, transports,
     discoverable, user_verified, backup_eligible, backed_up, attestation, attested, created_at,
     enrolled_session, enrolled_proof)
    VALUES ('a1', 'ada', :handle, :handle, -7, 0, '', 'Mine', '[]',
     :discoverable, :user_verified, 0, 0, 'none', 0, 0, 's1', :handle)"""


@pytest.mark.parametrize(
    ("discoverable", "user_verified", "serves_alone"),
    [(1, 1, True), (None, 1, True), (0, 1, False), (1, 0, False), (None, 0, False)],
)
async def test_who_logged_in_by_a_passkey_still_does(
    database_url: str, discoverable: int | None, user_verified: int, serves_alone: bool
) -> None:
    """What had been asked for was not kept then; what was no way in has not become one."""

    def before(connection: Connection) -> None:
        config, script = migrations._scripts(LOCATION)
        with EnvironmentContext(
            config, script, fn=lambda revision, _: script._upgrade_revs("0002", revision)
        ) as environment:
            environment.configure(connection=connection)
            environment.run_migrations()
        row = {"handle": b"h", "discoverable": discoverable, "user_verified": user_verified}
        for statement in (USER, CREDENTIAL):
            connection.execute(text(statement), row)

    await asyncio.to_thread(migrations._within, database_url, before)

    await asyncio.to_thread(migrations.migrate, database_url, LOCATION)

    db = Database(database_url, source="webauthn")
    (kept,) = await CredentialStore(db).all("ada")
    await db.close()
    assert kept.serves_alone is serves_alone
    assert kept.rp_id is None
