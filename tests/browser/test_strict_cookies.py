"""Session cookies that are Strict: links of other sites leave them out, and set none over them."""

from collections.abc import Iterator

import pytest
from playwright.async_api import Browser, Page

from tests.browser.chromium import PageClient
from tests.browser.conftest import ENV
from tests.journeys.person import Person
from tests.suites import RunningSuite, running_suite

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.thorough]

ELSEWHERE = "http://127.0.0.1:1/"
LOGIN = "auth/webauthn/login"


@pytest.fixture(scope="module")
def own_suite(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSuite]:
    """A suite of this module's own, of which the cookies are."""
    env = {**ENV, "SESSION_COOKIE_SAMESITE": "strict"}
    with running_suite(tmp_path_factory.mktemp("strict") / "var", env=env) as running:
        yield running


async def test_a_link_of_another_site_logs_nobody_out(
    person: Person, client: PageClient, page: Page
) -> None:
    """N9: not even one to where a session is opened for who has none."""
    kept = (await client.cookies())["sessionid"]
    url = f"{client.origin}/_allauth/browser/v1/{LOGIN}"
    link = f'<!doctype html><title>A page of others</title><a href="{url}">Look</a>'
    await page.route(ELSEWHERE, lambda route: route.fulfill(content_type="text/html", body=link))
    await page.goto(ELSEWHERE)

    async with page.expect_response(url) as answered:
        await page.click("a")
    answer = await answered.value

    sent = await answer.request.all_headers()
    assert "sessionid=" not in sent.get("cookie", "")
    assert (answer.status, await answer.json()) == (403, {"status": 403})
    assert kept["sameSite"] == "Strict"
    assert (await client.cookies())["sessionid"]["value"] == kept["value"]
    await page.goto(f"{client.origin}/blank.html")
    assert (await client.get("auth/session")).status == 200


async def test_a_page_of_the_site_has_a_session_opened(client: PageClient) -> None:
    assert (await client.get(LOGIN)).status == 200

    assert (await client.cookies())["sessionid"]["sameSite"] == "Strict"
