"""People who lose their device, use a recovery code, and are well again."""

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.client import Client
from tests.journeys.person import CODES, TOTP, Person, enrolled
from tests.journeys.suite import PERIOD, SHORT_CODES, InProcess, Running, in_process
from tests.suite.processes import processes
from tests.suites import RunningSuite, running_suite

WRONG = "00000000"


async def at(person: Person, client: Client) -> Person:
    """Return the same person at another client, with the password given."""
    there = Person(
        suite=person.suite,
        client=client,
        email=person.email,
        password=person.password,
        secret=person.secret,
    )
    await client.get("config")
    assert (await there.log_in()).pending == ["mfa_authenticate"]
    return there


async def stock(client: Client) -> Mapping[str, Any]:
    """Return how it is with the codes, as the list of authenticators has it."""
    listed = (await client.get("account/authenticators")).body["data"]
    (codes,) = [entry for entry in listed if entry["type"] == "recovery_codes"]
    return dict(codes)


async def test_who_loses_the_phone_uses_a_code_and_enrols_anew(
    suite: InProcess, client: Client
) -> None:
    """R1, R5: the codes of before are as dead as the device."""
    person = await enrolled(suite, client)
    codes = await person.codes()
    await person.log_out()

    assert (await person.log_in()).pending == ["mfa_authenticate"]
    assert (await person.give_code(codes[0])).methods == ["password", "mfa"]
    assert (await stock(client))["unused_code_count"] == 9
    lost = person.secret
    proved = await client.post("auth/2fa/reauthenticate", {"code": codes[1]})
    assert proved.status == 200
    assert (await client.delete(TOTP)).status == 200
    assert (await client.get(CODES)).status == 404
    await person.turn_on_totp()
    assert person.secret != lost

    fresh = await person.codes()
    assert not set(fresh) & set(codes)
    await person.log_out()
    assert (await person.log_in()).pending == ["mfa_authenticate"]
    for dead in (codes[2], codes[0], await suite.fresh_code(lost)):
        assert (await person.give_code(dead)).codes == ["incorrect_code"]
    assert (await person.give_second_factor(trusts=False)).status == 200


async def test_a_new_set_replaces_the_old_one(suite: InProcess, client: Client) -> None:
    """R4: at every client, and the sheet has what is needed and nothing else."""
    person = await enrolled(suite, client)
    old = await person.codes()
    there = await at(person, suite.client(client.kind))

    renewed = await client.post(CODES)

    new = renewed.body["data"]["unused_codes"]
    text = renewed.meta["recovery_codes_text"]
    assert [line for line in text.splitlines() if line in new] == new
    assert f"{person.email} at localhost" in text
    assert there.client.kind == client.kind
    ended = await there.client.post("auth/2fa/authenticate", {"code": new[0]})
    assert ended.status == (410 if client.kind == "app" else 401)
    again = await at(person, suite.client(client.kind))
    assert (await again.give_code(old[0])).codes == ["incorrect_code"]
    assert (await again.give_code(new[0])).status == 200


async def test_codes_do_not_come_back_to_life(suite: InProcess, client: Client) -> None:
    """R5: with the last factor they are gone, whatever is enrolled after that."""
    person = await enrolled(suite, client)
    codes = await person.codes()
    assert (await client.delete(TOTP)).status == 200
    assert (await client.get("account/authenticators")).body["data"] == []
    refused = await client.post(CODES)
    assert (refused.status, refused.codes) == (400, ["cannot_generate_recovery_codes"])
    await person.log_out()
    assert (await person.log_in()).status == 200

    await person.reauthenticate()
    await person.turn_on_totp()
    there = await at(person, suite.client(client.kind))
    assert (await there.give_code(codes[0])).codes == ["incorrect_code"]


async def test_without_them_there_is_no_trace_of_codes(tmp_path: Path, kind: str) -> None:
    async with in_process(tmp_path, mfa_supported_types=("totp",)) as suite:
        person = Person(suite=suite, client=suite.client(kind))
        await person.sign_up()
        await person.reauthenticate()
        activated = await person.turn_on_totp()
        assert activated.meta["recovery_codes_generated"] is False
        listed = (await person.client.get("account/authenticators")).body["data"]
        assert [entry["type"] for entry in listed] == ["totp"]
        assert (await person.client.get(CODES)).status == 404
        assert (await person.client.post(CODES)).status == 404


@pytest.mark.long
@pytest.mark.parametrize("split", [True])
def test_while_recovery_is_stopped_totp_is_enough(tmp_path: Path, split: bool) -> None:
    """O4: its codes are 503 and no guesses, and a factor is turned on without any."""
    env = {**SHORT_CODES, "MFA_TRUST_ENABLED": "false"}
    with running_suite(tmp_path / "var", split=split, env=env) as running:
        asyncio.run(_do_without_recovery(running))


async def _do_without_recovery(running: RunningSuite) -> None:
    async with Running(base_url=running.base_url, period=PERIOD) as suite:
        ada = await enrolled(suite, suite.client("app"))
        codes = await ada.codes()
        there = await at(ada, suite.client("browser"))
        bob = Person(suite=suite, client=suite.client("app"))
        await bob.sign_up()
        await bob.reauthenticate()
        recovery = processes(running)["serve recovery"]
        recovery.suspend()
        try:
            for code in (codes[0], *[WRONG] * 5):  # more than the limit, were they counted
                away = await there.client.post("auth/2fa/authenticate", {"code": code})
                assert (away.status, "retry-after" in away.headers) == (503, True)
            assert (await ada.client.post(CODES)).status == 503
            assert (await ada.client.get(CODES)).status == 503
            assert (await there.give_second_factor(trusts=False)).status == 200
            assert (await bob.turn_on_totp()).meta["recovery_codes_generated"] is False
            await bob.log_out()
            await bob.log_in()
            assert (await bob.give_second_factor(trusts=False)).status == 200
        finally:
            recovery.resume()
        # The first may have been judged by now, for nobody: what was asked had not been heard.
        again = await at(ada, suite.client("app"))
        assert (await again.give_code(codes[1])).status == 200
        assert (await bob.client.get(CODES)).status == 404
        await bob.reauthenticate()
        assert len((await bob.client.post(CODES)).body["data"]["unused_codes"]) == 10
