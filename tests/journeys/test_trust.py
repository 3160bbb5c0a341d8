"""People who trust their browser: they come back, lend it, lose it, and are robbed."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.journeys.client import Answer, Client
from tests.journeys.person import TOTP, Person, enrolled
from tests.journeys.suite import PERIOD, SHORT_CODES, InProcess, Running, in_process
from tests.suite.processes import processes, suspend_at_rest
from tests.suites import RunningSuite, running_suite, until

BROWSERS = "account/trusted-browsers"
COOKIE = "mfa_trusted"


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[InProcess]:
    """A suite in this process, in which browsers can be trusted."""
    async with in_process(tmp_path, mfa_trust_enabled=True) as running:
        yield running


async def trusting(suite: InProcess | Running) -> Person:
    """Return somebody with TOTP who trusts the browser that they have, and is logged out."""
    person = await enrolled(suite, suite.client("browser"))
    await person.log_out()
    await trust(person)
    await person.log_out()
    return person


async def trust(person: Person) -> None:
    """Log in, and have the browser trusted."""
    assert (await person.log_in()).pending == ["mfa_authenticate"]
    session = await person.give_second_factor(trusts=True)
    assert (session.status, session.methods) == (200, ["password", "mfa"])


async def at(person: Person, client: Client) -> Person:
    """Return the same person at another browser."""
    await client.get("config")
    return Person(
        suite=person.suite,
        client=client,
        email=person.email,
        password=person.password,
        secret=person.secret,
    )


def trusted(answer: Answer) -> bool:
    """Tell whether a password was enough."""
    return answer.status == 200


async def test_who_comes_back_is_not_asked_until_the_password_changes(suite: InProcess) -> None:
    """K2, K3."""
    ada = await trusting(suite)
    back = await ada.log_in()
    assert (back.status, back.methods) == (200, ["password"])
    change = {"current_password": ada.password, "new_password": "battery-staple-8"}
    assert (await ada.client.post("account/password/change", change)).status == 200
    ada.password = change["new_password"]
    await ada.log_out()

    assert (await ada.log_in()).pending == ["mfa_authenticate"]
    assert (await ada.give_second_factor(trusts=True)).status == 200
    await ada.log_out()
    assert trusted(await ada.log_in())


async def test_a_new_phone_ends_trust_too(suite: InProcess) -> None:
    """K2."""
    ada = await trusting(suite)
    assert trusted(await ada.log_in())
    await ada.reauthenticate()
    assert (await ada.client.delete(TOTP)).status == 200
    await ada.turn_on_totp()
    await ada.log_out()

    assert (await ada.log_in()).pending == ["mfa_authenticate"]


async def test_a_browser_that_was_lost_is_revoked_from_another(suite: InProcess) -> None:
    """K7."""
    lost = await trusting(suite)
    here = await at(lost, suite.client("browser"))
    await trust(here)
    listed = (await here.client.get(BROWSERS)).body["data"]
    assert [browser["is_current"] for browser in listed] == [True, False]

    left = await here.client.call("DELETE", BROWSERS, {"browsers": [listed[1]["id"]]})

    assert [browser["id"] for browser in left.body["data"]] == [listed[0]["id"]]
    assert (await lost.log_in()).pending == ["mfa_authenticate"]
    await here.log_out()
    assert trusted(await here.log_in())


async def test_a_copied_cookie_is_found_out(suite: InProcess) -> None:
    """K8: whoever of the two comes second with what is over; then nobody is trusted."""
    ada = await trusting(suite)
    copy = ada.client.http.cookies.get(COOKIE)
    for _ in range(2):
        assert trusted(await ada.log_in())
        await ada.log_out()
    thief = await at(ada, suite.client("browser"))
    thief.client.http.cookies.set(COOKIE, str(copy))

    assert (await thief.log_in()).pending == ["mfa_authenticate"]
    assert (await ada.log_in()).pending == ["mfa_authenticate"]


async def test_several_people_use_one_browser(suite: InProcess) -> None:
    """K2: each is trusted, and one who is not asks for nothing of the others."""
    ada = await trusting(suite)
    shared = ada.client
    bob = await enrolled(suite, shared)
    await bob.log_out()
    assert (await bob.log_in()).pending == ["mfa_authenticate"]
    assert (await bob.give_second_factor(trusts=False)).status == 200
    await bob.log_out()
    assert (await bob.log_in()).pending == ["mfa_authenticate"]
    assert (await bob.give_second_factor(trusts=True)).status == 200
    await bob.log_out()

    for person in (ada, bob, ada):
        assert trusted(await person.log_in())
        own = (await shared.get(BROWSERS)).body["data"]
        assert [browser["is_current"] for browser in own] == [True]
        await person.log_out()


async def test_who_is_gone_is_trusted_nowhere(suite: InProcess) -> None:
    """K2: the address is somebody else's by then."""
    ada = await trusting(suite)
    assert trusted(await ada.log_in())
    await ada.reauthenticate()
    assert (await ada.client.delete("account")).status == 401
    again = await enrolled(suite, ada.client)
    again.email = ada.email
    await again.log_out()

    assert (await ada.log_in()).codes == ["email_password_mismatch"]


@pytest.mark.long
def test_while_recovery_stands_still_nobody_is_let_past(tmp_path: Path) -> None:
    """O4, K5: a cookie counts as absent; to trust is refused, and not to goes on."""
    with running_suite(tmp_path / "var", split=True, env=SHORT_CODES) as running:
        asyncio.run(_stand_still(running))


@pytest.mark.long
@pytest.mark.parametrize("split", [False, True], ids=["embedded", "split"])
def test_of_a_theft_its_owner_is_told_though_broker_and_worker_die(
    tmp_path: Path, split: bool
) -> None:
    """K8, D5: both are killed with -9 around it; one mail is sent all the same."""
    with running_suite(tmp_path / "var", split=split, env=SHORT_CODES) as running:
        email = asyncio.run(_rob(running))

        until(lambda: _warnings(running, email), "the mail")
        assert len(_warnings(running, email)) == 1


async def _rob(running: RunningSuite) -> str:
    """Have a copied cookie found out while nobody can tell; return whom it was copied from."""
    async with Running(base_url=running.base_url, period=PERIOD) as suite:
        ada = await trusting(suite)
        copy = ada.client.http.cookies.get(COOKIE)
        for _ in range(2):
            assert trusted(await ada.log_in())
            await ada.log_out()
        thief = await at(ada, suite.client("browser"))
        thief.client.http.cookies.set(COOKIE, str(copy))
        running_now = processes(running)
        worker = next(p for name, p in running_now.items() if name.startswith("worker session"))
        suspend_at_rest(running, worker)
        running_now["broker"].kill()
        assert (await thief.log_in()).pending == ["mfa_authenticate"]
        assert (await ada.log_in()).pending == ["mfa_authenticate"]
        worker.kill()
        return ada.email


def _warnings(running: RunningSuite, email: str) -> list[str]:
    """Return the subjects of the mails that warn of a copy."""
    subjects = [str(message["Subject"]) for message in running.mailbox.messages(email)]
    return [subject for subject in subjects if "may have been copied" in subject]


async def _stand_still(running: RunningSuite) -> None:
    async with Running(base_url=running.base_url, period=PERIOD) as suite:
        ada = await trusting(suite)
        there = await at(ada, suite.client("browser"))
        recovery = processes(running)["serve recovery"]
        recovery.suspend()
        try:
            assert (await ada.log_in()).pending == ["mfa_authenticate"]
            assert (await there.log_in()).pending == ["mfa_authenticate"]
            yes = await there.give_second_factor(trusts=True)
            assert (yes.status, "retry-after" in yes.headers) == (503, True)
            assert (await there.client.get("auth/session")).pending == ["mfa_trust"]
            assert (await there.client.post("auth/2fa/trust", {"trust": False})).status == 200
            assert (await there.client.get(BROWSERS)).status == 503
        finally:
            recovery.resume()
        assert trusted(await ada.log_in())
