"""Chromium, alone on this machine, and what a page of the suite's does in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from playwright.async_api import (
    Browser,
    BrowserContext,
    Error,
    Page,
    Request,
    Route,
    async_playwright,
    expect,
)

from tests import servers
from tests.contract.document import Answer as Seen
from tests.contract.watch import Watch, is_public
from tests.journeys.client import Answer, Client, Json
from tests.suites import ROOT

TIMEOUT = 60_000  # milliseconds: for a busy machine
expect.set_options(timeout=TIMEOUT)

EXAMPLES = ROOT / "examples"
BLANK = "<!doctype html><title>A page of yours</title>"

FLAGS = (
    "--no-sandbox",  # which a container does not let it have
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)

CALL = """
async ([name, ...given]) => {
  const passkeys = await import("/passkeys.js");
  try { return await passkeys[name](...given); }
  catch (error) { return { thrown: error.name }; }
}
"""


class Thrown(Exception):
    """What the browser refused, or the person: the name of the exception that the page got."""


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """Start a browser, and end it. `flags` come behind those of all, and may be other ones."""
    path = servers.need_program("Chromium")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=[*FLAGS, *flags])
        yield browser
        await browser.close()


async def new_context(browser: Browser, **options: Any) -> BrowserContext:
    """Return a browser that has not been anywhere, and waits as long as a busy machine takes."""
    context = await browser.new_context(**options)
    context.set_default_timeout(TIMEOUT)
    return context


async def serve_examples(page: Page, origin: str) -> None:
    """Have `page` find what integrators are given at `origin`, where else the API alone is."""

    async def fulfil(route: Route) -> None:
        name = httpx.URL(route.request.url).path.removeprefix("/")
        if name == "blank.html":
            await route.fulfill(content_type="text/html", body=BLANK)
        else:
            await route.fulfill(path=EXAMPLES / name)

    for name in ("blank.html", "login.html", "passkeys.js"):
        await page.route(f"{origin}/{name}", fulfil)


@asynccontextmanager
async def watched(page: Page, watch: Watch) -> AsyncIterator[None]:
    """Hold what the API answers to `page` against the contract, in the end.

    A body that no script reads may never come to its end, and then is not waited for.
    """
    coming: list[asyncio.Task[Seen | None]] = []
    page.on("requestfinished", lambda request: coming.append(asyncio.create_task(_seen(request))))
    yield
    for seen in await asyncio.gather(*coming):
        if seen is not None:
            watch.check_at(httpx.URL(page.url), seen)


async def _seen(request: Request) -> Seen | None:
    """Return an answer, or None if it is none of the API, or the page has left meanwhile."""
    url = httpx.URL(request.url)
    if not is_public(url.path):
        return None
    try:
        response = await request.response()
        if response is None:
            return None
        body, headers = await response.json(), await response.all_headers()
    except Error:
        return None
    return Seen(
        method=request.method,
        path=url.path,
        status=response.status,
        body=body,
        headers=headers,
    )


class PageClient(Client):
    """The API as a page calls it that uses `examples/passkeys.js`."""

    def __init__(self, page: Page, base_url: str) -> None:
        super().__init__("browser", base_url=base_url)
        self.page = page

    async def call(self, method: str, path: str, body: Json | None = None, **more: Any) -> Answer:
        """Make a request from the page."""
        assert not more
        return await self.do("call", method, path, body)

    async def do(self, function: str, *given: object) -> Answer:
        """Call a function of the file, and return the API's answer. Raises Thrown."""
        body: Json = await self.page.evaluate(CALL, [function, *given])
        if "thrown" in body:
            raise Thrown(body["thrown"])
        return Answer(body["status"], body, httpx.Headers())

    async def cookies(self) -> dict[str, Any]:
        """Return what the browser has kept for the suite, by name."""
        kept = await self.page.context.cookies(self.origin)
        return {cookie["name"]: cookie for cookie in kept}
