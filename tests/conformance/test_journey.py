"""A factor of someone else's in a suite: one folder, and one line that says where it is."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from services.cli.keys import make
from services.session.settings import Settings
from shared.errors import ConfigurationError
from shared.settings import load
from tests.conformance.serving import serving
from tests.conformance.subjects import yubikey_factor
from tests.conformance.yubikey.factor import create_app
from tests.conformance.yubikey.otp import Secret, YubiKey
from tests.journeys.client import Answer, Client
from tests.journeys.person import Person
from tests.journeys.suite import NOON, Hands, InProcess, in_process

KEY = "account/authenticators/yubikey"


@dataclass
class Later:
    """The suite's clock, for who begins before it."""

    of: Hands | None = None

    def __call__(self) -> float:
        """Return what it shows."""
        return (NOON if self.of is None else self.of()).timestamp()


@dataclass
class Town:
    """A suite, and the factor beside it until that is stopped."""

    suite: InProcess
    server: AsyncExitStack

    async def stop_the_factor(self) -> None:
        """End the factor."""
        await self.server.aclose()


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    """A suite that was told one thing more than it is by default."""
    make(tmp_path / "keys")
    callers = (tmp_path / "keys" / "public" / "callers.json").read_text()
    clock = Later()
    factor = yubikey_factor(str(tmp_path / "yubikey.db"), clock, callers=callers)
    async with AsyncExitStack() as server:
        url = await server.enter_async_context(serving(create_app(factor)))
        line = json.dumps({"yubikey": url})
        async with in_process(tmp_path, mfa_other_factors=line) as suite:
            clock.of = suite.clock
            yield Town(suite, server)
    factor.keeper.close()


@pytest.fixture(params=["app", "browser"])
def client(town: Town, request: pytest.FixtureRequest) -> Client:
    """Each kind of client in turn."""
    return town.suite.client(request.param)


async def enrolled(person: Person) -> YubiKey:
    """Sign up, and enrol a key."""
    await person.sign_up()
    await person.reauthenticate()
    offer = await person.client.get(KEY)
    assert offer.status == 404
    private_id, aes = (bytes.fromhex(offer.meta[name]) for name in ("private_id", "key"))
    key = YubiKey(Secret(offer.meta["public_id"], private_id, aes))
    stranger = await person.client.post(KEY, {"code": YubiKey(Secret.new()).touch()})
    made = await person.client.post(KEY, {"code": key.touch()})
    assert (stranger.status, stranger.body["errors"][0]["code"]) == (400, "incorrect_code")
    assert (made.status, made.body["data"]["type"]) == (200, "yubikey")
    assert made.meta["recovery_codes_generated"] is True
    return key


async def second_factor(client: Client, code: str) -> Answer:
    return await client.post("auth/2fa/authenticate", {"code": code})


async def test_a_person_lives_with_it(town: Town, client: Client) -> None:
    person = Person(suite=town.suite, client=client)
    key = await enrolled(person)

    shown = await client.get(KEY)
    listed = await client.get("account/authenticators")
    await person.log_out()
    owing = await person.log_in()
    typed = key.touch()
    passed = await second_factor(client, typed)
    again = await client.post("auth/2fa/reauthenticate", {"code": typed})
    fresh = await client.post("auth/2fa/reauthenticate", {"code": key.touch()})
    removed = await client.delete(KEY)
    await person.log_out()
    alone = await person.log_in()

    assert shown.body["data"]["type"] == "yubikey"
    assert {entry["type"] for entry in listed.body["data"]} == {"recovery_codes", "yubikey"}
    assert owing.pending == ["mfa_authenticate"]
    assert passed.body["data"]["methods"][-1]["type"] == "yubikey"
    assert (again.status, fresh.status, removed.status) == (400, 200, 200)
    assert alone.status == 200


async def test_codes_of_all_factors_go_into_one_field(town: Town, client: Client) -> None:
    person = Person(suite=town.suite, client=client)
    key = await enrolled(person)
    await person.turn_on_totp()

    for code in (key.touch(), await person.fresh_code()):
        await person.log_out()
        owing = await person.log_in()
        passed = await second_factor(client, code)
        assert owing.pending == ["mfa_authenticate"]
        assert passed.status == 200


async def test_without_it_nobody_is_let_past_and_the_others_work(
    town: Town, client: Client
) -> None:
    person = Person(suite=town.suite, client=client)
    key = await enrolled(person)
    await person.turn_on_totp()
    await person.log_out()
    await person.log_in()

    await town.stop_the_factor()
    away = await client.http.post(
        f"/_allauth/{client.kind}/v1/auth/2fa/authenticate",
        json={"code": key.touch()},
        headers=client.credentials(),
    )
    passed = await second_factor(client, await person.fresh_code())

    assert away.status_code == 503
    assert passed.status == 200


@pytest.mark.parametrize(
    "line",
    [
        "[]",
        "{",
        '{"totp": "http://x"}',
        '{"recovery": "http://x"}',
        '{"audit": "http://x"}',
        '{"session": "http://x"}',
        '{"A b": "http://x"}',
        '{"other": "ftp://x"}',
    ],
)
def test_a_line_that_cannot_work_is_refused(line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MFA_OTHER_FACTORS", line)

    with pytest.raises(ConfigurationError) as caught:
        load(Settings)

    assert any("MFA_OTHER_FACTORS" in problem for problem in caught.value.problems)
