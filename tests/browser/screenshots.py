"""Pictures of the pages, for documents and for whoever looks after them: `make screenshots`."""

import asyncio
import logging
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import structlog
from playwright.async_api import Browser

from tests.browser.accessibility import SCREENS, Screen, turn_to
from tests.browser.chromium import chromium
from tests.browser.served import served
from tests.browser.tour import Tour

PHONE = Screen(width=390, height=760, scheme="light")
PICTURES = {
    "en": {
        "login": SCREENS["desktop, light"],
        "signup_errors": PHONE,
        "verify_code": PHONE,
        "overview_protected": SCREENS["desktop, light"],
        "totp": SCREENS["desktop, light"],
        "recovery_codes": SCREENS["desktop, dark"],
        "keys_one": SCREENS["desktop, dark"],
        "authenticate_key": PHONE,
        "authenticate_totp_wrong": Screen(width=390, height=760, scheme="dark"),
        "trust": PHONE,
        "sessions": SCREENS["desktop, light"],
    },
    "ar": {"overview_protected": PHONE, "login": PHONE},
    "de": {"login": Screen(width=390, height=760, scheme="dark")},
}
"""The states of the tour that are kept, by language, and on what."""


async def take(folder: Path) -> None:
    """Go on the tour in each language, and take the pictures."""
    async with chromium() as browser:
        for language in PICTURES:
            await _in_language(browser, language, folder)


async def _in_language(browser: Browser, language: str, folder: Path) -> None:
    wanted = PICTURES[language]
    with TemporaryDirectory() as directory:
        async with served(Path(directory) / "suite") as site:
            context = await browser.new_context(base_url=site.base_url, locale=language)
            page = await context.new_page()

            async def seen(state: str) -> None:
                if state in wanted:
                    await turn_to(page, wanted[state])
                    await page.screenshot(path=folder / f"{state}.{language}.png", full_page=True)
                    await turn_to(page, SCREENS["desktop, light"])

            tour = Tour(page, site, seen, email="ada@example.org")
            await tour.go()
            await context.close()


if __name__ == "__main__":
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    chosen = Path(sys.argv[1])
    chosen.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(chosen))
