"""`make run`, and somebody who has never seen it: they click what is offered first."""

import re

import pytest
from playwright.async_api import Browser, expect

from tests.browser.authenticator import Authenticator
from tests.browser.chromium import new_context
from tests.suites import RunningSuite

pytestmark = pytest.mark.asyncio(loop_scope="session")

EMAIL = "newcomer@example.org"
NO_AUTOFILL = "PublicKeyCredential.isConditionalMediationAvailable = async () => false"


async def test_a_newcomer_gets_to_a_login_by_passkey_without_reading_anything(
    browser: Browser, own_suite: RunningSuite
) -> None:
    """Their mail is where the page with the field for the code says; they copy and paste."""
    context = await new_context(browser, base_url=own_suite.base_url, locale="en")
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = await context.new_page()
    await page.add_init_script(NO_AUTOFILL)
    await Authenticator.plug_in(page)
    heading = page.get_by_role("heading", level=1)
    await page.goto("/")
    await expect(page.get_by_role("link", name="Mail me a login code")).to_be_visible()
    await expect(page.get_by_role("link", name="Forgotten your password?")).to_be_visible()
    await page.get_by_role("link", name="Create an account").click()
    await page.get_by_role("link", name="Sign up with a passkey").click()
    await expect(heading).to_have_text("Sign up with a passkey")
    await expect(page.get_by_label("Email address")).to_be_focused()
    await page.keyboard.type(EMAIL)
    await page.keyboard.press("Enter")
    await expect(heading).to_have_text("Verify your email address")

    async with context.expect_page() as opened:
        await page.locator("main").get_by_role("link", name="Development inbox").click()
    inbox = await opened.value
    mail = inbox.get_by_role("article").filter(has_text=EMAIL)
    await mail.get_by_role("button", name="Copy").click()
    await expect(mail.get_by_role("button", name="Copied")).to_be_visible()
    await inbox.close()
    await page.get_by_label("Code").press("Control+v")
    await expect(page.get_by_label("Code")).to_have_value(re.compile(r"\w{4}-\w{4}"))
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Make a passkey").click()
    await expect(heading).to_have_text("Overview")
    await page.get_by_role("link", name="Log out").click()
    await page.get_by_role("button", name="Log out").click()
    await page.get_by_role("button", name="Log in with a passkey").click()

    await expect(heading).to_have_text("Overview")
    await expect(page.get_by_text(EMAIL)).to_be_visible()
    await context.close()
