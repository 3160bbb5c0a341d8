"""Security keys beside a password: registered, asked for at a login, and before a change."""

import pytest
from playwright.async_api import Page

from tests.browser.authenticator import Authenticator
from tests.browser.chromium import PageClient, Thrown
from tests.browser.keys import (
    FOB,
    KEYS,
    PHONE,
    SECURITY_KEY,
    U2F,
    last_method,
    log_in_with,
    register,
)
from tests.journeys.client import Json
from tests.journeys.person import Person
from tests.suites import RunningSuite, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize(
    "device",
    [
        pytest.param(PHONE, id="a-phone"),
        pytest.param(SECURITY_KEY, id="a-key-with-a-pin"),
        pytest.param(FOB, id="a-key-to-touch"),
        pytest.param(U2F, id="a-key-from-before"),
    ],
)
async def test_a_key_of_any_kind_is_a_second_factor(
    person: Person, client: PageClient, page: Page, device: Json
) -> None:
    await Authenticator.plug_in(page, **device)

    key = await register(client)
    assert key["is_passwordless"] is False
    session = await log_in_with(person, client)
    assert (session.status, session.methods) == (200, ["password", "mfa"])
    assert last_method(session)["type"] == "webauthn"
    assert "passwordless" not in last_method(session)
    proved = await client.do("reauthenticate")

    assert (proved.status, proved.methods) == (200, ["password", "mfa", "mfa"])
    assert last_method(proved)["reauthenticated"] is True


async def test_another_key_has_nothing_to_answer_with(
    person: Person, client: PageClient, page: Page
) -> None:
    device = await Authenticator.plug_in(page, **SECURITY_KEY)
    await register(client)
    await device.unplug()
    await Authenticator.plug_in(page, **SECURITY_KEY)
    await person.log_out()
    await person.log_in()

    with pytest.raises(Thrown, match="NotAllowedError"):
        await client.do("authenticate")


async def test_a_device_is_registered_once(person: Person, client: PageClient, page: Page) -> None:
    await Authenticator.plug_in(page, **SECURITY_KEY)
    await register(client)

    with pytest.raises(Thrown, match="InvalidStateError"):
        await client.do("register", "Twice")


async def test_a_key_is_renamed_and_removed(person: Person, client: PageClient, page: Page) -> None:
    await Authenticator.plug_in(page, **SECURITY_KEY)
    key = await register(client)

    renamed = await client.call("PUT", KEYS, {"id": key["id"], "name": "In the safe"})
    listed = await client.get("account/authenticators")
    removed = await client.call("DELETE", KEYS, {"authenticators": [key["id"]]})

    assert (renamed.status, renamed.body["data"]["name"]) == (200, "In the safe")
    assert [entry.get("name") for entry in listed.body["data"]] == ["In the safe", None]
    assert removed.status == 200
    assert (await client.get("account/authenticators")).body["data"] == []


async def test_a_key_whose_counter_goes_back_is_refused_and_its_owner_is_told(
    person: Person, client: PageClient, page: Page, own_suite: RunningSuite
) -> None:
    device = await Authenticator.plug_in(page, **SECURITY_KEY)
    await register(client)
    (copied,) = await device.credentials()
    assert (await log_in_with(person, client)).status == 200

    await device.replace(copied)
    await person.log_out()
    await person.log_in()
    refused = await client.do("authenticate")

    assert (refused.status, refused.codes) == (400, ["incorrect_code"])
    assert refused.params == ["credential"]
    until(
        lambda: "copied" in own_suite.mailbox.messages(person.email)[-1]["Subject"],
        "mail about a copy",
        seconds=10,
    )
