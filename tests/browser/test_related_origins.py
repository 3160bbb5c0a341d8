"""Passkeys of one domain on pages of another, which the first has listed: by HTTPS, in Chromium."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests import servers
from tests.browser.authenticator import Authenticator
from tests.browser.chromium import (
    PageClient,
    Thrown,
    chromium,
    new_context,
    serve_examples,
    watched,
)
from tests.browser.conftest import ENV
from tests.browser.keys import register
from tests.browser.test_passkeys import is_by_passkey
from tests.browser.tls import Certificate, proxied
from tests.contract.plugin import Plugin
from tests.journeys.person import Person
from tests.suites import RunningSuite, running_suite

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.thorough]

OWN, RELATED, UNRELATED = HOSTS = ("example.com", "example.net", "example.org")
PAGES = tuple(f"https://{host}" for host in HOSTS)
LOCAL = ("localhost", "127.0.0.1")  # where tests look for mail


@pytest.fixture(scope="module")
def own_suite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSuite]:
    """A suite that pages of all three domains may call, and of which two may use the passkeys."""
    servers.need_program("Chromium")
    env = {
        **ENV,
        "WEBAUTHN_RP_ID": OWN,
        "WEBAUTHN_ORIGINS": f"https://{OWN}",
        "WEBAUTHN_RELATED_ORIGINS": f"https://{RELATED}",
        "ALLOWED_HOSTS": ",".join((*LOCAL, *HOSTS)),
        "CSRF_TRUSTED_ORIGINS": ",".join(PAGES),
    }
    with running_suite(tmp_path_factory.mktemp("related") / "var", env=env) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def browser(
    own_suite: RunningSuite, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Browser]:
    """A browser that finds all three there, and believes their certificate."""
    certificate = Certificate(tmp_path_factory.mktemp("tls"), *HOSTS)
    async with proxied(certificate, int(own_suite.variables["PORT"])) as port:
        found = [f"MAP {host}:443 127.0.0.1:{port}" for host in HOSTS]
        rules = ", ".join([*found, "MAP * ~NOTFOUND", *(f"EXCLUDE {host}" for host in LOCAL)])
        async with chromium(
            f"--host-resolver-rules={rules}",
            f"--ignore-certificate-errors-spki-list={certificate.spki}",
        ) as running:
            yield running


@pytest_asyncio.fixture(loop_scope="session")
async def page(browser: Browser, request: pytest.FixtureRequest) -> AsyncIterator[Page]:
    """A page of the domain that the passkeys are of."""
    plugin = request.config.pluginmanager.get_plugin("contract")
    assert isinstance(plugin, Plugin)
    context = await new_context(browser)
    page = await context.new_page()
    for origin in PAGES:
        await serve_examples(page, origin)
    async with watched(page, plugin.watch):
        await at(page, OWN)
        yield page
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def client(page: Page) -> AsyncIterator[PageClient]:
    """The API, as that page calls it."""
    client = PageClient(page, f"https://{OWN}")
    yield client
    await client.close()


async def at(page: Page, host: str) -> None:
    """Go to a page of that domain."""
    await page.goto(f"https://{host}/blank.html")


@pytest_asyncio.fixture(loop_scope="session")
async def visitor(person: Person, client: PageClient, page: Page) -> PageClient:
    """Somebody who has a passkey and is logged out, on whichever page they go to."""
    await Authenticator.plug_in(page)
    await register(client, passwordless=True)
    await person.log_out()
    return client


async def test_a_page_that_is_listed_uses_the_passkeys(
    visitor: PageClient, person: Person, page: Page
) -> None:
    await at(page, RELATED)

    session = await visitor.do("login")

    assert is_by_passkey(session)
    assert session.body["data"]["user"]["email"] == person.email
    assert (await visitor.get("auth/session")).status == 200
    await at(page, OWN)
    assert (await visitor.get("auth/session")).status == 401  # cookies do not cross
    assert is_by_passkey(await visitor.do("login"))


async def test_a_page_that_is_not_listed_does_not(visitor: PageClient, page: Page) -> None:
    await at(page, UNRELATED)

    with pytest.raises(Thrown, match="SecurityError"):
        await visitor.do("login")

    assert (await visitor.get("auth/session")).status == 401
