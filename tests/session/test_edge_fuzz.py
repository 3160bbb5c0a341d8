"""Whatever is sent to the public API, it answers in its shape, never 500, and keeps its state."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.journeys.client import Answer, Client
from tests.journeys.person import TOTP, Person, enrolled, pending
from tests.journeys.suite import InProcess, in_process

MEMBERS = ("email", "password", "key", "code", "unknown")
WRITES = {
    "nobody": ("auth/signup", "auth/login", "auth/email/verify", "auth/2fa/authenticate"),
    "unverified": ("auth/email/verify", "account/email"),
    "pending": ("auth/2fa/authenticate", TOTP),
    "somebody": ("auth/reauthenticate", "auth/2fa/reauthenticate", TOTP, "account/email"),
}
JUDGED = {"incorrect_code", "incorrect_password", "email_password_mismatch"} | {
    "too_many_login_attempts",
    "rate_limited",
}
"""What was readable, and wrong: that is counted, so these may change what is stored."""

STATE = (
    "SELECT id, password_hash, factor_epoch, session_epoch, register, register_pending FROM users",
    "SELECT * FROM emails ORDER BY address",
    "SELECT * FROM claimed_addresses",
    "SELECT * FROM sessions ORDER BY id",
    "SELECT count(*) FROM mails",
    "SELECT * FROM dead_authenticators",
)
QUICK = settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

texts = st.text(st.characters(exclude_categories=()), max_size=40)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**19, max_value=10**400)
    | st.floats()
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3)
)
objects = st.dictionaries(st.sampled_from(MEMBERS) | texts, values, max_size=5)
bodies = (
    objects.map(lambda value: json.dumps(value).encode())
    | objects.map(lambda value: json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    | values.map(lambda value: json.dumps(value).encode())
    | st.binary(max_size=200)
)


@dataclass
class World:
    """A suite, and one app client in each state that a session can be in."""

    runner: asyncio.Runner
    suite: InProcess
    clients: dict[str, Client]

    def send(self, who: str, method: str, path: str, raw: bytes | None = None) -> Answer:
        """Make a request as the client in that state."""
        client = self.clients[who]
        return self.runner.run(client.call(method, path, raw=raw))

    def state(self) -> list[Any]:
        """Return everything that is stored, but for counters and events."""
        url = self.suite.settings.session_database_url.get_secret_value()
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as database:
            return [database.execute(query).fetchall() for query in STATE]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with asyncio.Runner() as runner:
        context = in_process(tmp_path_factory.mktemp("fuzz"))
        suite = runner.run(context.__aenter__())
        clients = runner.run(_clients(suite))
        yield World(runner, suite, clients)
        runner.run(context.__aexit__(None, None, None))


async def _clients(suite: InProcess) -> dict[str, Client]:
    unverified = Person(suite=suite, client=suite.client("app"))
    await unverified.client.post("auth/signup", unverified.credentials)
    return {
        "nobody": suite.client("app"),
        "unverified": unverified.client,
        "pending": (await pending(suite, suite.client("app"))).client,
        "somebody": (await enrolled(suite, suite.client("app"))).client,
    }


@pytest.mark.parametrize(
    ("who", "path"), [(who, path) for who, paths in WRITES.items() for path in paths]
)
@QUICK
@given(raw=bodies)
@example(raw=b"")
@example(raw=b"\xff\xfe{\x00}\x00")
@example(raw=b'{"email": NaN, "password": 1e999}')
@example(raw=b'{"email": "\\ud800", "password": "\\udfff", "code": "\\ud800", "key": "\\ud800"}')
@example(raw=b'{"email": "a\\u0000@b.org", "code": "\\u0000", "key": "\\u0000"}')
@example(raw=b'{"code": 1' + b"0" * 5000 + b"}")
@example(raw=b'{"code": "1", "code": "2"}')
@example(raw=b"[" * 5000 + b"]" * 5000)
@example(raw=b'{"a":' * 30 + b"1" + b"}" * 30)
@example(raw=b'{"password": "' + b"x" * 65536 + b'"}')
@example(raw=b'{"code": "' + b"1" * 60000 + b'", "key": "' + b"x" * 5000 + b'"}')
@example(raw=b'{"code": "\xd9\xa1\xd9\xa2\xd9\xa3\xd9\xa4\xd9\xa5\xd9\xa6", "key": "\xef\xbc\xa1"}')
def test_no_body_breaks_anything(world: World, who: str, path: str, raw: bytes) -> None:
    """D7: malformed, oversized, deep, NUL, surrogates, huge numbers, wrong types: a refusal."""
    before = world.state()

    answer = world.send(who, "POST", path, raw)

    assert answer.status in (400, 401, 409, 429)
    assert answer.body.keys() <= {"status", "data", "meta", "errors"}
    if answer.status == 400:
        assert answer.codes
    if not JUDGED & set(answer.codes):
        assert world.state() == before


@pytest.mark.parametrize(
    ("raw", "code", "param"),
    [
        (b"{", "invalid_json", None),
        (b"[]", "not_an_object", None),
        (b'"text"', "not_an_object", None),
        (b"null", "not_an_object", None),
        (b'{"email": "\xff"}', "invalid_utf8", None),
        (b'{"email": NaN}', "invalid_json", None),
        (b'{"email": 1e999}', "number_out_of_range", "email"),
        (b'{"email": 123456789012345678901}', "number_out_of_range", "email"),
        (b'{"email": "\\u0000"}', "null_characters_not_allowed", "email"),
        (b'{"password": "\\ud800"}', "lone_surrogate", "password"),
        (b'{"email": "a", "email": "b"}', "duplicate_member", "email"),
        (b'{"email":' + b"[" * 21 + b"]" * 21 + b"}", "too_deep", None),
        (b'{"email": "' + b"x" * 65536 + b'"}', "body_too_large", None),
    ],
)
def test_a_body_that_cannot_be_read_is_told_why(
    world: World, raw: bytes, code: str, param: str | None
) -> None:
    """D7: 400 in the contract's shape, and the member at fault is named."""
    answer = world.send("nobody", "POST", "auth/login", raw)

    assert (answer.status, answer.codes, answer.params) == (400, [code], [param])


@pytest.mark.parametrize("value", [0, 1.5, True, [], {}, ["a"], {"a": "b"}])
@pytest.mark.parametrize(
    ("who", "path", "members"),
    [
        ("nobody", "auth/signup", ("email", "password")),
        ("nobody", "auth/login", ("email", "password")),
        ("unverified", "auth/email/verify", ("key",)),
        ("pending", "auth/2fa/authenticate", ("code",)),
        ("somebody", "auth/reauthenticate", ("password",)),
        ("somebody", "auth/2fa/reauthenticate", ("code",)),
    ],
)
def test_types_are_not_coerced(
    world: World, who: str, path: str, members: tuple[str, ...], value: object
) -> None:
    """D7: a member of another type is named, and is no attempt."""
    before = world.state()

    answer = world.send(who, "POST", path, json.dumps(dict.fromkeys(members, value)).encode())

    assert answer.status == 400
    assert set(answer.codes) == {"invalid"}
    assert tuple(answer.params) == members
    assert world.state() == before


def test_a_chunked_body_without_a_length_is_bounded_too(world: World) -> None:
    """D7: a body is bounded by what arrives, not by what it claims."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b"x" * 1024

    http = world.clients["nobody"].http
    response = world.runner.run(http.post("/_allauth/app/v1/auth/login", content=endless()))

    assert (response.status_code, response.json()["errors"][0]["code"]) == (400, "body_too_large")


def test_unknown_members_are_ignored(world: World) -> None:
    raw = json.dumps({"email": "no@example.org", "password": "x", "more": [{"than": "that"}]})

    assert world.send("nobody", "POST", "auth/login", raw.encode()).status == 400
