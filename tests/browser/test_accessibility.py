"""axe-core finds nothing, on any page in any state, on any screen, in either direction."""

from pathlib import Path

import pytest
from playwright.async_api import Browser

from tests.browser.accessibility import faults_on_all_screens, weigh
from tests.browser.chromium import new_context
from tests.browser.served import served
from tests.browser.tour import Detour, Tour

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.thorough]

MOST = 60 * 1024  # bytes of a page with all that belongs to it, before anything is compressed


@pytest.mark.timeout(1500)
@pytest.mark.parametrize("language", ["en", "ar"])
@pytest.mark.parametrize(("walk", "fewest"), [(Tour, 55), (Detour, 15)])
async def test_nothing_is_found_on_any_page(
    browser: Browser, tmp_path: Path, language: str, walk: type[Tour | Detour], fewest: int
) -> None:
    """And every page is light, and needs nothing from elsewhere."""
    faults: dict[str, list[str]] = {}
    weights: dict[str, int] = {}
    origins: set[str] = set()
    async with served(tmp_path / "suite", **walk.settings) as site:
        context = await new_context(browser, base_url=site.base_url, locale=language)
        page = await context.new_page()

        async def seen(state: str) -> None:
            assert state not in weights
            weights[state], whence = await weigh(page)
            origins.update(whence)
            if found := await faults_on_all_screens(page):
                faults[state] = found

        await walk(page, site, seen).go()
        direction = await page.get_attribute("html", "dir")
        await context.close()

    assert faults == {}
    assert {state: size for state, size in weights.items() if size >= MOST} == {}
    assert origins == {site.base_url}
    assert direction == ("rtl" if language == "ar" else "ltr")
    assert len(weights) >= fewest
