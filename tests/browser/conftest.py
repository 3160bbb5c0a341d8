"""One suite and one browser for all tests here; a context of their own, with cookies, for each."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.browser.chromium import PageClient, chromium, new_context, serve_examples, watched
from tests.contract.plugin import Plugin
from tests.journeys.person import Person
from tests.journeys.suite import PERIOD, SHORT_CODES, Running
from tests.suites import Output, RunningSuite, running_suite

ENV = {
    **SHORT_CODES,
    # All of them come from one address, and log in more often than one is meant to.
    "ACCOUNT_RATE_LIMITS": '{"login": "300/m/ip", "signup": "300/m/ip"}',
    "MFA_RATE_LIMITS": '{"webauthn_login": "300/m/ip"}',
}


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """Chromium."""
    async with chromium() as running:
        yield running


@pytest.fixture(scope="session")
def own_suite(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSuite]:
    """The suite, not started where there is no browser."""
    with running_suite(tmp_path_factory.mktemp("browser") / "var", env=ENV) as running:
        yield running


@pytest.fixture(scope="session")
def ledger(own_suite: RunningSuite) -> Iterator[Output]:
    """The audit trail, which says why something was refused."""
    with own_suite.follow() as events:
        yield events


@pytest_asyncio.fixture(loop_scope="session")
async def page(
    browser: Browser, own_suite: RunningSuite, request: pytest.FixtureRequest
) -> AsyncIterator[Page]:
    """A page of the suite's origin, in a browser that has not been there before.

    What the API answers to it is held against the contract, as everywhere.
    """
    plugin = request.config.pluginmanager.get_plugin("contract")
    assert isinstance(plugin, Plugin)
    context = await new_context(browser, base_url=own_suite.base_url)
    page = await context.new_page()
    await serve_examples(page, own_suite.base_url)
    await page.goto("/blank.html")
    async with watched(page, plugin.watch):
        yield page
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def client(page: Page, own_suite: RunningSuite) -> AsyncIterator[PageClient]:
    """The API, as that page calls it."""
    client = PageClient(page, own_suite.base_url)
    yield client
    await client.close()


@pytest.fixture
def stranger(own_suite: RunningSuite, client: PageClient) -> Person:
    """Somebody who has no account yet."""
    suite = Running(base_url=own_suite.base_url, period=PERIOD)
    return Person(suite=suite, client=client)


@pytest_asyncio.fixture(loop_scope="session")
async def person(stranger: Person) -> Person:
    """Somebody who has signed up, and is logged in and reauthenticated."""
    await stranger.sign_up()
    await stranger.reauthenticate()
    return stranger
