"""Passkeys, which log in alone: by a button, from the field, and never without their user."""

from base64 import b64encode, urlsafe_b64decode

import pytest
from playwright.async_api import Page, expect

from tests.browser.authenticator import Authenticator
from tests.browser.chromium import PageClient, Thrown
from tests.browser.keys import FOB, KEYS, SECURITY_KEY, last_method, register
from tests.journeys.client import Answer, Json
from tests.journeys.person import Person
from tests.suites import Output

pytestmark = pytest.mark.asyncio(loop_scope="session")

LOGIN = "auth/webauthn/login"
MINUTES = 60_000  # of a page's clock


def is_by_passkey(session: Answer) -> bool:
    """Tell whether somebody is logged in by passkey, and by nothing else."""
    (method,) = session.body["data"]["methods"]
    return session.status == 200 and (method["type"], method["passwordless"]) == ("webauthn", True)


def in_base64(text: str) -> str:
    """Return base64url, which browsers write, as the DevTools protocol does."""
    return b64encode(urlsafe_b64decode(text + "=" * (-len(text) % 4))).decode()


async def test_a_passkey_logs_in_alone(person: Person, client: PageClient, page: Page) -> None:
    await Authenticator.plug_in(page)
    key = await register(client, passwordless=True)
    await person.log_out()

    session = await client.do("login")

    assert (key["is_passwordless"], key["serves_alone"]) == (True, True)
    assert is_by_passkey(session)
    assert session.body["data"]["user"]["email"] == person.email


async def test_a_passkey_is_a_second_factor_too(
    person: Person, client: PageClient, page: Page
) -> None:
    await Authenticator.plug_in(page)
    await register(client, passwordless=True)
    await person.log_out()
    assert (await person.log_in()).pending == ["mfa_authenticate"]

    answer = await client.do("authenticate")

    assert answer.status == 200 or answer.pending == ["mfa_trust"]


async def test_a_passkey_logs_in_from_the_field(
    person: Person, client: PageClient, page: Page
) -> None:
    await Authenticator.plug_in(page)
    await register(client, passwordless=True)
    await person.log_out()

    await page.goto("/login.html")

    await expect(page.locator("output")).to_have_text(f"Logged in as {person.email}.")
    assert is_by_passkey(await client.get("auth/session"))


async def test_a_passkey_logs_in_by_the_button_while_the_field_waits(
    person: Person, client: PageClient, page: Page
) -> None:
    device = await Authenticator.plug_in(page)
    await register(client, passwordless=True)
    await person.log_out()
    await device.touches(False)
    async with page.expect_response(f"**/{LOGIN}"):
        await page.goto("/login.html")
    await device.touches(True)  # from the next question on

    await page.get_by_role("button").click()

    await expect(page.locator("output")).to_have_text(f"Logged in as {person.email}.")


async def test_the_field_has_a_fresh_challenge_however_long_the_page_is_open(
    person: Person, client: PageClient, page: Page
) -> None:
    device = await Authenticator.plug_in(page)
    await register(client, passwordless=True)
    await person.log_out()
    await device.touches(False)
    await page.clock.install()
    async with page.expect_response(f"**/{LOGIN}"):
        await page.goto("/login.html")
    await device.touches(True)  # from the next question on

    await page.clock.run_for(5 * MINUTES)

    await expect(page.locator("output")).to_have_text(f"Logged in as {person.email}.")


async def test_who_is_logged_in_already_is_told_so(person: Person, page: Page) -> None:
    await Authenticator.plug_in(page)

    await page.goto("/login.html")

    await expect(page.locator("output")).to_have_text(f"Logged in as {person.email}.")


async def test_a_browser_without_a_passkey_leaves_the_field_alone(
    client: PageClient, page: Page
) -> None:
    await Authenticator.plug_in(page)

    await page.goto("/login.html")
    await page.get_by_role("button").click()

    await expect(page.locator("output")).to_have_text("No passkey: NotAllowedError.")


async def test_a_passkey_does_nothing_for_who_is_not_its_user(
    person: Person, client: PageClient, page: Page
) -> None:
    device = await Authenticator.plug_in(page)
    await register(client, passwordless=True)
    await person.log_out()
    await device.verifies(False)

    with pytest.raises(Thrown, match="NotAllowedError"):
        await client.do("login")

    assert (await client.get("auth/session")).status == 401


async def test_a_device_that_knows_no_user_makes_no_passkey(
    person: Person, client: PageClient, page: Page
) -> None:
    await Authenticator.plug_in(page, **FOB)

    with pytest.raises(Thrown, match="NotAllowedError"):
        await client.do("register", "Mine", {"passwordless": True})


@pytest.mark.parametrize("kind", [FOB, SECURITY_KEY], ids=["touched", "verified"])
async def test_a_second_factor_never_logs_in_alone_whatever_its_device_makes_of_it(
    kind: Json, person: Person, client: PageClient, page: Page, ledger: Output
) -> None:
    """Neither if its user was verified when it was made: no passkey was asked for."""
    device = await Authenticator.plug_in(page, **{**kind, "hasResidentKey": True})
    offer = await client.get(KEYS)
    handle = offer.body["data"]["creation_options"]["publicKey"]["user"]["id"]
    await register(client)
    (kept,) = await device.credentials()
    await device.unplug()
    other = await Authenticator.plug_in(page, **SECURITY_KEY)
    await other.put(kept, isResidentCredential=True, userHandle=in_base64(handle))
    await person.log_out()
    before = ledger.position

    refused = await client.do("login")

    assert (refused.status, refused.codes) == (400, ["incorrect_code"])
    assert refused.params == ["credential"]
    assert (await client.get("auth/session")).status == 401
    ledger.wait_for('"reason": "not_alone"', after=before)


async def test_a_passkey_whose_counter_goes_back_logs_nobody_in(
    person: Person, client: PageClient, page: Page, ledger: Output
) -> None:
    device = await Authenticator.plug_in(page, **SECURITY_KEY)
    await register(client, passwordless=True)
    (copied,) = await device.credentials()
    await person.log_out()
    assert is_by_passkey(await client.do("login"))

    await device.replace(copied)
    await person.log_out()
    before = ledger.position
    refused = await client.do("login")

    assert (refused.status, refused.codes) == (400, ["incorrect_code"])
    ledger.wait_for('"reason": "counter"', after=before)


async def test_a_browser_forgets_a_passkey_that_is_removed(
    person: Person, client: PageClient, page: Page
) -> None:
    device = await Authenticator.plug_in(page)
    key = await register(client, passwordless=True)

    removed = await client.call("DELETE", KEYS, {"authenticators": [key["id"]]})

    assert removed.status == 200
    assert await device.credentials() == []


async def test_a_browser_that_was_away_forgets_it_at_the_next_login(
    person: Person, client: PageClient, page: Page
) -> None:
    device = await Authenticator.plug_in(page)
    key = await register(client, passwordless=True)
    (kept,) = await device.credentials()
    await client.call("DELETE", KEYS, {"authenticators": [key["id"]]})
    await device.put(kept)  # as if it had not heard
    await person.log_out()

    refused = await client.do("login")

    assert (refused.status, refused.codes) == (400, ["incorrect_code"])
    assert await device.credentials() == []


async def test_a_passkey_that_is_there_is_kept_and_called_as_its_owner(
    person: Person, client: PageClient, page: Page
) -> None:
    device = await Authenticator.plug_in(page)
    await register(client, passwordless=True)
    await person.log_out()

    session = await client.do("login")

    (kept,) = await device.credentials()
    assert last_method(session)["type"] == "webauthn"
    assert kept["userName"] == person.email
