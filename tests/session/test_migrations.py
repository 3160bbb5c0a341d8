"""What a database knew before a migration, it knows after it."""

import asyncio
import json

from alembic.runtime.environment import EnvironmentContext
from sqlalchemy import select, text
from sqlalchemy.engine import Connection

from services.session.domain.register import Entry, Intent, Pending, Register
from services.session.store.rows import register_of
from services.session.store.tables import keepers, users
from shared import migrations
from shared.clock import from_micros
from shared.database import Database, Statement

LOCATION = "services.session.migrations"

USERS = """INSERT INTO users
    (id, register, register_pending, deleted_at, created_at, factor_epoch, session_epoch,
     register_number, mfa_failures, mfa_rests_until)
    VALUES (:id, :register, :pending, :deleted_at, 0, 0, 0, 0, 0, 0)"""
SESSIONS = """INSERT INTO sessions
    (id, kind, token_hash, version, user_id, session_epoch, created_at, expires_at, methods,
     enrolments, ip, user_agent)
    VALUES (:id, 'app', :token_hash, 0, :id, 0, 0, 0, '[]', :enrolments, '', '')"""
DEAD = """INSERT INTO dead_authenticators (factor, authenticator_id, user_id, due_at, attempts)
    VALUES ('recovery_codes', :id, :id, 0, 0)"""


async def test_who_was_told_of_whom_is_read_from_what_there_was(database_url: str) -> None:
    """Registers, changes and enrolments under way, and what is still to be removed."""
    await asyncio.to_thread(migrations._within, database_url, _before_keepers)

    await asyncio.to_thread(migrations.migrate, database_url, LOCATION)

    db = Database(database_url, source="session")
    found = await db.all(Statement(select(*keepers.c).order_by(*keepers.c)))
    await db.close()
    assert [(row.user_id, row.factor) for row in found] == [
        ("dead", "recovery_codes"),
        ("entries", "recovery_codes"),
        ("entries", "totp"),
        ("pending", "webauthn"),
        ("shown", "totp"),
    ]


async def test_registers_keep_what_they_hold(database_url: str) -> None:
    """Beside it stands, from now on, how often something has come and gone."""
    await asyncio.to_thread(migrations._within, database_url, _before_serials)

    await asyncio.to_thread(migrations.migrate, database_url, LOCATION)

    db = Database(database_url, source="session")
    rows = await db.all(Statement(select(*users.c).order_by(users.c.id)))
    await db.close()
    held, nobody = (
        register_of(row.register_number, row.register, row.register_pending) for row in rows
    )
    assert nobody == Register()
    assert held.entries == (Entry(id="held 0", type="totp", created_at=from_micros(0)),)
    assert held.pending == Pending(intent=Intent.ADD, type="totp", id="x")
    assert held.serials == {}


def _before_serials(connection: Connection) -> None:
    """Make the tables of 0004, with somebody who has TOTP, and somebody who has nothing."""
    _upgrade(connection, "0004")
    _insert(connection, "held", "totp", pending="totp", enrolments={"totp": "e"})
    _insert(connection, "nobody")


def _before_keepers(connection: Connection) -> None:
    """Make the tables of 0003, with people who are known to factors in different ways."""
    _upgrade(connection, "0003")
    _insert(connection, "nobody")
    _insert(connection, "entries", "totp", "totp", "recovery_codes")
    _insert(connection, "pending", pending="webauthn")
    _insert(connection, "shown", enrolments={"totp": "e"})
    _insert(connection, "dead", dead=True)
    _insert(connection, "gone", deleted=True, dead=True)


def _upgrade(connection: Connection, revision: str) -> None:
    config, script = migrations._scripts(LOCATION)
    with EnvironmentContext(
        config, script, fn=lambda before, _: script._upgrade_revs(revision, before)
    ) as environment:
        environment.configure(connection=connection)
        environment.run_migrations()


def _insert(
    connection: Connection,
    id: str,
    *factors: str,
    pending: str | None = None,
    enrolments: dict[str, str] | None = None,
    deleted: bool = False,
    dead: bool = False,
) -> None:
    row = {
        "id": id,
        "token_hash": id.encode(),
        "register": json.dumps(
            [
                {"id": f"{id} {n}", "type": f, "created_at": 0, "last_used_at": None}
                for n, f in enumerate(factors)
            ]
        ),
        "pending": pending and json.dumps({"intent": "add", "type": pending, "id": "x"}),
        "enrolments": json.dumps(enrolments or {}),
        "deleted_at": 1 if deleted else None,
    }
    for statement in (USERS, SESSIONS, *((DEAD,) if dead else ())):
        connection.execute(text(statement), row)
