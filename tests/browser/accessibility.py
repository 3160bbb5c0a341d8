"""axe-core, which holds a page against WCAG 2.2 AA, on screens of several kinds."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from playwright.async_api import Page

from tests import servers

SOURCE = Path(__file__).parent / "axe" / "node_modules" / "axe-core" / "axe.min.js"
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
ENTRIES = """() => ["navigation", "resource"].flatMap(kind => performance.getEntriesByType(kind))
    .filter(entry => !entry.name.startsWith("data:"))
    .map(entry => [new URL(entry.name).origin, entry.decodedBodySize])"""
RUN = "tags => axe.run(document, { runOnly: tags, resultTypes: ['violations'] })"


@dataclass(frozen=True, kw_only=True)
class Screen:
    """A kind of screen."""

    width: int
    height: int
    scheme: Literal["light", "dark"]


SCREENS = {
    "desktop, light": Screen(width=1280, height=800, scheme="light"),
    "desktop, dark": Screen(width=1280, height=800, scheme="dark"),
    "phone, light": Screen(width=320, height=640, scheme="light"),
    "phone, dark": Screen(width=320, height=640, scheme="dark"),
}


async def turn_to(page: Page, screen: Screen) -> None:
    """Show the page on that screen."""
    await page.set_viewport_size({"width": screen.width, "height": screen.height})
    await page.emulate_media(color_scheme=screen.scheme, reduced_motion="reduce")


async def faults_on_all_screens(page: Page) -> list[str]:
    """Return what is wrong with the page that is shown, on any screen."""
    faults = []
    # By the developers' protocol: the page's own policy lets no such script in.
    await page.evaluate(_source())
    for name, screen in SCREENS.items():
        await turn_to(page, screen)
        faults += [f"{name}: {fault}" for fault in await _faults(page)]
        width = await page.evaluate("document.documentElement.scrollWidth")
        if width > screen.width:
            faults.append(f"{name}: is {width} pixels wide")
    await turn_to(page, SCREENS["desktop, light"])
    return faults


async def weigh(page: Page) -> tuple[int, set[str]]:
    """Return how many bytes the page and all that belongs to it are, and whence they came."""
    entries: list[tuple[str, int]] = await page.evaluate(ENTRIES)
    return sum(size for _, size in entries), {origin for origin, _ in entries}


async def _faults(page: Page) -> list[str]:
    found: dict[str, Any] = await page.evaluate(RUN, TAGS)
    return [
        f"{violation['id']}: {node['html']}: {node['failureSummary']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]


@cache
def _source() -> str:
    if not SOURCE.is_file():
        servers.give_up("axe-core is not installed: run `make test-browser`")
    return SOURCE.read_text("utf-8")
