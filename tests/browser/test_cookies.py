"""Cookies as a browser keeps them, which is not always as they are set."""

import json
import time

import pytest
from playwright.async_api import Page

from services.session.settings import Settings
from tests.browser.chromium import BLANK, PageClient
from tests.journeys.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

LATENESS = 60  # seconds by which a machine may be slow

WRITE = """
async ([url, csrf]) => {
  const headers = { "Content-Type": "text/plain", ...(csrf && { "X-CSRFToken": csrf }) };
  const asked = { method: "DELETE", credentials: "include", headers };
  try {
    const answer = await fetch(url, asked);
    await answer.text();
    return answer.status;
  } catch (error) { return error.name; }
}
"""
POST_BLINDLY = """
async ([url, body]) => {
  const asked = { method: "POST", mode: "no-cors", credentials: "include", body };
  try { return (await fetch(url, asked)).type; } catch (error) { return error.name; }
}
"""


def default(setting: str) -> float:
    """Return how long a cookie is kept by default, in seconds."""
    age = Settings.model_fields[setting].default
    return float(age.total_seconds())


async def test_the_session_is_out_of_reach_of_scripts_and_of_other_sites(
    person: Person, client: PageClient, page: Page
) -> None:
    session = (await client.cookies())["sessionid"]

    assert (session["httpOnly"], session["sameSite"], session["path"]) == (True, "Lax", "/")
    assert session["domain"] == "localhost"  # none of its subdomains
    assert session["secure"] is False  # as there is no https here
    left = session["expires"] - time.time()
    assert default("session_cookie_age") - LATENESS < left <= default("session_cookie_age")
    assert "sessionid" not in await page.evaluate("document.cookie")


async def test_a_page_of_the_site_can_read_the_csrf_token_and_has_to(
    person: Person, client: PageClient, page: Page
) -> None:
    csrf = (await client.cookies())["csrftoken"]
    url = f"{client.origin}/_allauth/browser/v1/auth/session"

    assert (csrf["httpOnly"], csrf["sameSite"]) == (False, "Lax")
    assert f"csrftoken={csrf['value']}" in await page.evaluate("document.cookie")
    assert await page.evaluate(WRITE, [url, ""]) == 403
    assert await page.evaluate(WRITE, [url, csrf["value"]]) == 401  # logged out


async def test_logging_out_takes_the_session_from_the_browser(
    person: Person, client: PageClient
) -> None:
    await person.log_out()

    assert set(await client.cookies()) == {"csrftoken"}


async def test_a_page_of_another_port_gets_cookies_sent_and_nothing_done(
    person: Person, client: PageClient, page: Page
) -> None:
    before = (await client.get("auth/session")).methods
    token = (await client.cookies())["csrftoken"]["value"]
    api = f"{client.origin}/_allauth/browser/v1"
    await visit(page, "http://localhost:1/")

    async with page.expect_request(f"{api}/auth/reauthenticate") as asked:
        seen = await post_blindly(page, f"{api}/auth/reauthenticate", person)
    assert "sessionid=" in (await (await asked.value).all_headers())["cookie"]
    assert seen == "TypeError"  # nor may it read the answer
    assert await page.evaluate(WRITE, [f"{api}/auth/session", token]) == "TypeError"

    await page.goto(f"{client.origin}/blank.html")
    after = await client.get("auth/session")
    assert (after.status, after.methods) == (200, before)


async def test_a_page_of_another_site_gets_no_cookies_sent(
    person: Person, client: PageClient, page: Page
) -> None:
    url = f"{client.origin}/_allauth/browser/v1/auth/reauthenticate"
    await visit(page, "http://127.0.0.1:1/")

    async with page.expect_request(url) as asked:
        assert await post_blindly(page, url, person) == "TypeError"

    assert "cookie" not in await (await asked.value).all_headers()


async def visit(page: Page, url: str) -> None:
    """Open a page of somebody else's."""
    await page.route(url, lambda route: route.fulfill(content_type="text/html", body=BLANK))
    await page.goto(url)


async def post_blindly(page: Page, url: str, person: Person) -> str:
    """Post what any page may, without asking first, and return what the page sees of the answer."""
    seen: str = await page.evaluate(POST_BLINDLY, [url, json.dumps({"password": person.password})])
    return seen


async def test_trust_is_kept_as_it_is_set_and_outlives_sessions(
    person: Person, client: PageClient, page: Page
) -> None:
    await person.turn_on_totp()
    await person.log_out()
    assert (await person.log_in()).pending == ["mfa_authenticate"]
    assert (await person.give_second_factor(trusts=True)).status == 200

    first = (await client.cookies())["mfa_trusted"]
    await person.log_out()
    after = await client.cookies()
    back = await person.log_in()
    second = (await client.cookies())["mfa_trusted"]

    assert (first["httpOnly"], first["sameSite"], first["path"]) == (True, "Lax", "/")
    left = first["expires"] - time.time()
    assert default("mfa_trust_cookie_age") - LATENESS < left <= default("mfa_trust_cookie_age")
    assert "mfa_trusted" not in await page.evaluate("document.cookie")
    assert set(after) == {"csrftoken", "mfa_trusted"}
    assert (back.status, back.methods) == (200, ["password"])
    assert second["value"] != first["value"]  # each is good once


async def test_a_browser_that_has_kept_no_trust_is_asked(
    person: Person, client: PageClient, page: Page
) -> None:
    await person.turn_on_totp()
    await person.log_out()
    await person.log_in()
    await person.give_second_factor(trusts=True)
    await person.log_out()
    await page.context.clear_cookies(name="mfa_trusted")

    assert (await person.log_in()).pending == ["mfa_authenticate"]
