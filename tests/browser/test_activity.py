"""What has happened to an account, as the ledger of a running suite has it."""

import re

import pytest
from playwright.async_api import Page, expect

from tests.browser.accessibility import faults_on_all_screens
from tests.journeys.person import Person

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.thorough]


async def test_somebody_sees_what_has_happened_to_their_account(person: Person, page: Page) -> None:
    refused = await person.client.post("auth/reauthenticate", {"password": "wrong-horse-9"})
    assert refused.status == 400

    async def shown() -> bool:
        await page.goto("/accounts/activity/")
        return await page.get_by_text("Failed to prove who you are").count() > 0

    for _ in range(100):  # it comes over the bus
        if await shown():
            break
    await expect(page.get_by_role("heading", level=1)).to_have_text("Recent activity")
    for words in ("Account created", "Logged in", "Failed to prove who you are"):
        await expect(page.get_by_role("heading", name=words)).to_be_visible()
    chart = page.get_by_role("img")
    await expect(chart.last).to_have_accessible_name(re.compile("Refused: 1"))
    assert await faults_on_all_screens(page) == []

    await page.get_by_label("Language").select_option("ar")
    await page.get_by_role("button", name="Change language").click()
    await expect(page.locator("html")).to_have_attribute("dir", "rtl")
    await expect(page.get_by_role("img").last).to_be_visible()
    assert await faults_on_all_screens(page) == []
