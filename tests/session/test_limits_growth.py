"""What a login costs does not grow: neither with the accounts, nor with a person's sessions."""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from services.session.flows.outcomes import Sessions, Standing
from shared.database import Database
from shared.token import hash_token
from tests.session.house import House, Visitor, counted, faults_of

PEOPLE = 1_000_000
SCANNED = re.compile(r"Seq Scan on \w+")

CROWD = """
SET session_replication_role = replica;
INSERT INTO users (id, created_at, password_hash, factor_epoch, session_epoch, register,
                   register_number, mfa_failures, mfa_rests_until)
SELECT 'u' || n, 0, 'x', 0, 0, '{"entries":[],"serials":{}}', 0, 0, 0
FROM generate_series(1, $1::int) n;
INSERT INTO emails (id, user_id, address, verified_at, is_primary)
SELECT 'e' || n, 'u' || n, 'u' || n || '@example.net', 0, 1 FROM generate_series(1, $1::int) n;
INSERT INTO sessions (id, kind, token_hash, version, user_id, session_epoch, created_at,
                      expires_at, methods, ip, user_agent)
SELECT 's' || n, 'app', decode(md5(n::text), 'hex'), 0, 'u' || n, 0, 0, 9e15::bigint, '[]',
       '192.0.2.9', '' FROM generate_series(1, $1::int) n;
INSERT INTO attempts (key, count, ceiling, window_ends_at)
SELECT 'a' || n, 1, 5, 9e15::bigint FROM generate_series(1, $1::int) n;
INSERT INTO origins (user_id, network, agent, seen_at)
SELECT 'u' || n, md5(n::text), 'x', 0 FROM generate_series(1, $1::int) n;
INSERT INTO claimed_addresses (user_id, address, created_at)
SELECT 'u' || n, 'c' || n || '@example.net', 0 FROM generate_series(1, $1::int / 10) n;
INSERT INTO mails (id, sealed, created_at, due_at, attempts, topic)
SELECT 'm' || n, ''::bytea, 0, 9e15::bigint, 0, 't' || n FROM generate_series(1, $1::int / 10) n;
INSERT INTO refresh_tokens (session_id, sid, current_hash)
SELECT 's' || n, 's' || n, ''::bytea FROM generate_series(1, $1::int / 10) n;
ANALYZE
"""


@asynccontextmanager
async def connected(db: Database) -> AsyncIterator[Any]:
    """Connect beside the service, with patience for what it never does."""
    async with db._backend._own_connection() as connection:  # type: ignore[attr-defined]
        await connection.execute("SET statement_timeout = 0")
        yield connection


async def crowd(house: House) -> None:
    """Let many people have accounts, sessions and failures: foreign keys unchecked, for speed."""
    async with connected(house.db) as connection:
        for command in CROWD.split(";"):
            sql = command.replace("$1", str(PEOPLE))
            await connection.execute(sql, timeout=500)


async def plans(house: House, sent: Sequence[tuple[str, list[object]]]) -> dict[str, str]:
    """Return how PostgreSQL runs each statement, with its values and whatever they are.

    The latter is what becomes of one that a connection has run for a while.
    """
    found: dict[str, str] = {}
    async with connected(house.db) as connection:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        for text, values in sent:
            rows = await connection.fetch(f"EXPLAIN {text}", *values)
            await connection.execute(f"PREPARE look AS {text}")
            nulls = ", ".join(["NULL"] * len(values))
            rows += await connection.fetch(f"EXPLAIN EXECUTE look({nulls})")
            await connection.execute("DEALLOCATE look")
            found[text] = "\n".join(row[0] for row in rows)
    return found


def overheard(house: House) -> list[tuple[str, list[object]]]:
    """Return a list of what is sent to the database from now on."""
    backend: Any = house.db._backend
    sent, fetch = [], backend._fetch

    async def listening(text: str, arguments: list[object]) -> Any:
        sent.append((text, arguments))
        return await fetch(text, arguments)

    backend._fetch = listening
    return sent


async def log_in(ada: Visitor) -> None:
    """Log in with both factors, at a new client."""
    fresh = ada.elsewhere()
    await fresh.log_in()
    assert isinstance(await fresh.authenticate(fresh.otp()), Standing)
    assert (await fresh.visit()).authenticated
    ada.house.clock.turn(seconds=30)


@pytest.mark.long
async def test_no_statement_walks_a_table(pg_house: House) -> None:
    """Among a million others, all goes by indexes: logins, accepted or refused, and sessions."""
    ada = await (await pg_house.visitor().join()).protect()
    other = ada.elsewhere()
    await other.log_in()
    await other.authenticate(other.otp())
    session = (await other.visit()).session
    assert session is not None
    pg_house.clock.turn(seconds=30)
    await crowd(pg_house)
    sent = overheard(pg_house)

    await log_in(ada)
    for email in ("ada@example.org", "nobody@example.org"):
        assert faults_of(await pg_house.visitor().log_in(email, "wrong"))
    await ada.reauthenticate()
    await ada.reauthenticate("wrong")
    shown = await ada.sessions()
    assert isinstance(shown, Sessions)
    assert len(shown.listed) == 3
    assert isinstance(await ada.end_sessions(session.id), Sessions)
    assert isinstance(await ada.end_all_sessions(), Standing)

    found = await plans(pg_house, sent)
    assert len(found) >= 10
    assert sum("FROM sessions" in text for text in found) >= 3
    for text, plan in found.items():
        assert not SCANNED.search(plan), f"{text}\n{plan}"


COUNTERS = """
INSERT INTO attempts (key, count, ceiling, window_ends_at)
SELECT 'a' || n, 1, 5, 9e15::bigint FROM generate_series(1, 400) n
"""


async def test_counters_are_looked_up_by_their_keys(pg_house: House) -> None:
    """Nobody's login goes through those of others, though the table is new to the planner."""
    ada = await (await pg_house.visitor().join()).protect()
    async with connected(pg_house.db) as connection:
        await connection.execute(COUNTERS)
    sent = overheard(pg_house)

    await log_in(ada)
    assert faults_of(await pg_house.visitor().log_in("nobody@example.org", "wrong"))

    found = {text: plan for text, plan in (await plans(pg_house, sent)).items() if "max(" in text}
    assert len(found) == 1
    for text, plan in found.items():
        assert "attempts_pkey" in plan
        assert "attempts_window_ends_at" not in plan, f"{text}\n{plan}"
        assert "Seq Scan on attempts" not in plan, f"{text}\n{plan}"


async def test_a_hundred_sessions_cost_a_login_nothing(house: House) -> None:
    """Nothing walks through a person's sessions."""
    ada = await (await house.visitor().join()).protect()
    once = await cost(ada)
    session = (await ada.visit()).session
    assert session is not None
    for n in range(100):
        other = replace(session, id=f"s{n}")
        token = hash_token(f"token {n}")
        write = house.store.open_session(other, token, ip="192.0.2.9", user_agent="test")
        assert await house.store.write(write) is not None

    assert await cost(ada) == once
    assert len(await house.session_rows()) > 100


async def cost(ada: Visitor) -> dict[str, float]:
    """Return the statements and commits of a login."""
    before = counted()
    await log_in(ada)
    return {name: count - before[name] for name, count in counted().items()}
