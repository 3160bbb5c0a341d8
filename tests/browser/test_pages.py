"""The pages as people meet them: with a mouse, with keys alone, with and without scripts."""

import re
from collections.abc import AsyncIterator
from secrets import token_hex

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.authenticator import Authenticator
from tests.browser.chromium import new_context
from tests.browser.served import Served, served

pytestmark = pytest.mark.asyncio(loop_scope="session")

PASSWORD = "correct-horse-9"
NO_AUTOFILL = "PublicKeyCredential.isConditionalMediationAvailable = async () => false"
"""Of a browser that offers no passkeys in fields: a device that is touched at once would log in."""

THERE = """[...document.querySelectorAll("a, button, input, select, summary")]
    .filter(element => element.checkVisibility())"""
REACHED = f"""() => {{
    const reached = document.activeElement;
    return [{THERE}.indexOf(reached), getComputedStyle(reached).outlineStyle !== "none"];
}}"""
"""What can be used, in the order in which it is read; and which of it has the focus, to be seen."""


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def site(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A suite with every page, not started where there is no browser."""
    async with served(tmp_path_factory.mktemp("pages") / "suite") as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, site: Served) -> AsyncIterator[BrowserContext]:
    """A browser that has not been there before."""
    context = await new_context(browser, base_url=site.base_url, locale="en")
    yield context
    await context.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(context: BrowserContext) -> AsyncIterator[Page]:
    """A page of it; whatever breaks a policy or throws fails the test."""
    page = await context.new_page()
    broken: list[str] = []
    page.on("pageerror", lambda error: broken.append(str(error)))
    page.on("console", lambda message: broken.append(message.text))
    yield page
    assert [text for text in broken if not text.startswith("Failed to load resource")] == []


@pytest.fixture
def email() -> str:
    """An address that nobody has given yet."""
    return f"p{token_hex(6)}@example.org"


async def sign_up(page: Page, site: Served, email: str) -> None:
    """Sign up with a password."""
    await page.goto("/accounts/signup/")
    await page.fill("[name=email]", email)
    await page.fill("[name=password]", PASSWORD)
    await page.get_by_role("button", name="Create an account").click()
    await page.fill("[name=key]", await site.mailed_code(email))
    await page.get_by_role("button", name="Verify").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")


async def turn_on_totp(page: Page, site: Served) -> tuple[str, list[str]]:
    """Set up an app, and return its secret and the recovery codes."""
    await page.goto("/accounts/2fa/totp/activate/")
    if await page.locator("[name=password]").count():
        await page.fill("[name=password]", PASSWORD)
        await page.get_by_role("button", name="Continue").click()
    await page.click("summary")
    secret = (await page.inner_text("#secret")).replace(" ", "")
    await page.fill("[name=code]", await site.fresh_code(secret))
    await page.get_by_role("button", name="Switch it on").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Recovery codes")
    return secret, await page.locator(".codes li").all_inner_texts()


async def log_out(page: Page) -> None:
    """Log out."""
    await page.goto("/accounts/logout/")
    await page.get_by_role("button", name="Log out").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Log in")


async def log_in(page: Page, email: str) -> None:
    """Give address and password."""
    await page.goto("/accounts/login/")
    await page.fill("[name=email]", email)
    await page.fill("[name=password]", PASSWORD)
    await page.get_by_role("button", name="Log in", exact=True).click()


async def test_a_newcomer_gets_from_the_root_to_a_login_by_passkey(
    page: Page, site: Served, email: str
) -> None:
    """By what is offered first on each page, and without reading anything."""
    await page.add_init_script(NO_AUTOFILL)
    await Authenticator.plug_in(page)
    await page.goto("/")
    await page.get_by_role("link", name="Create an account").click()
    await page.get_by_role("link", name="Sign up with a passkey").click()
    await page.fill("[name=email]", email)
    await page.get_by_role("button", name="Continue").click()
    await page.fill("[name=key]", await site.mailed_code(email))
    await page.get_by_role("button", name="Verify").click()
    await page.get_by_role("button", name="Make a passkey").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    await log_out(page)

    await page.get_by_role("button", name="Log in with a passkey").click()

    await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    await expect(page.get_by_text(email)).to_be_visible()


async def test_a_passkey_is_offered_in_the_field_of_the_address(
    page: Page, site: Served, email: str
) -> None:
    device = await Authenticator.plug_in(page)
    await sign_up(page, site, email)
    await page.goto("/accounts/2fa/webauthn/add/")
    await page.fill("[name=password]", PASSWORD)
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("button", name="Add it").click()
    await expect(page.get_by_text("Your key was added.")).to_be_visible()
    await device.touches(False)
    await log_out(page)
    await page.goto("/accounts/signup/")
    await device.touches(True)  # what has been asked for before is not answered by that

    await page.goto("/accounts/login/?next=/accounts/email/", wait_until="commit")

    await expect(page.get_by_role("heading", level=1)).to_have_text("Email addresses")


async def test_a_passkey_that_is_not_known_any_more_is_told_with_a_way_on(
    page: Page, site: Served, email: str
) -> None:
    await page.add_init_script(NO_AUTOFILL)
    device = await Authenticator.plug_in(page)
    await sign_up(page, site, email)
    await page.goto("/accounts/2fa/webauthn/add/")
    await page.fill("[name=password]", PASSWORD)
    await page.get_by_role("button", name="Continue").click()
    await page.get_by_role("button", name="Add it").click()
    await expect(page.get_by_text("Your key was added.")).to_be_visible()
    await page.goto("/accounts/2fa/webauthn/")
    (kept,) = await device.credentials()
    await page.get_by_role("link", name=re.compile("Remove")).click()
    await page.get_by_role("button", name="Remove").click()
    await expect(page.get_by_text("Your key was removed.")).to_be_visible()
    if not await device.credentials():  # the browser was told, and has forgotten it
        await device.put(kept)
    await log_out(page)

    await page.get_by_role("button", name="Log in with a passkey").click()

    await expect(page.get_by_role("alert")).to_contain_text("not known here")
    await expect(page.get_by_label("Email address")).to_be_visible()


async def test_a_passkey_that_is_not_on_this_device_is_told_with_a_way_on(page: Page) -> None:
    await page.add_init_script(NO_AUTOFILL)
    await Authenticator.plug_in(page)
    await page.goto("/accounts/login/")

    await page.get_by_role("button", name="Log in with a passkey").click()

    await expect(page.get_by_role("alert")).to_contain_text("there is no key here that fits")
    await expect(page.get_by_role("button", name="Log in with a passkey")).to_be_enabled()
    await expect(page.get_by_label("Email address")).to_be_visible()


async def test_who_has_lost_their_phone_gets_in_by_a_recovery_code(
    page: Page, site: Served, email: str
) -> None:
    await sign_up(page, site, email)
    _, codes = await turn_on_totp(page, site)
    await log_out(page)
    await log_in(page, email)

    await page.get_by_role("link", name="Recovery code").click()
    await page.fill("[name=code]", f"{codes[0][:4]} {codes[0][4:]}")
    await page.get_by_role("button", name="Log in", exact=True).click()
    await page.get_by_role("button", name="Not this one").click()

    await expect(page.get_by_text("9 of 10 left")).to_be_visible()


async def test_a_trusted_browser_asks_for_the_password_alone(
    page: Page, site: Served, email: str
) -> None:
    await sign_up(page, site, email)
    secret, _ = await turn_on_totp(page, site)
    await log_out(page)
    await log_in(page, email)
    await page.fill("[name=code]", await site.fresh_code(secret))
    await page.get_by_role("button", name="Log in", exact=True).click()
    await page.get_by_role("button", name="Trust this browser").click()
    await log_out(page)

    await log_in(page, email)
    await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    await page.goto("/accounts/2fa/trusted-browsers/")
    await page.get_by_role("button", name=re.compile("Trust no more")).click()
    await log_out(page)
    await log_in(page, email)

    await expect(page.get_by_role("heading", level=1)).to_have_text("One more step")


async def test_whose_cookie_was_stolen_sees_the_thief_and_ends_their_session(
    browser: Browser, context: BrowserContext, page: Page, site: Served, email: str
) -> None:
    await sign_up(page, site, email)
    stolen = await context.cookies()
    thief = await new_context(browser, base_url=site.base_url, locale="en")
    await thief.add_cookies([{**cookie} for cookie in stolen])  # type: ignore[typeddict-item]
    elsewhere = await thief.new_page()
    await elsewhere.goto("/accounts/email/")
    await expect(elsewhere.get_by_role("heading", level=1)).to_have_text("Email addresses")
    await elsewhere.goto("/accounts/2fa/totp/activate/")
    await expect(elsewhere.get_by_role("heading", level=1)).to_have_text("Is it you?")

    await page.goto("/accounts/password/change/")
    await page.fill("[name=current_password]", PASSWORD)
    await page.fill("[name=new_password]", "another long one 7")
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.get_by_text("Your password was changed.")).to_be_visible()

    await elsewhere.goto("/accounts/email/")
    await expect(elsewhere.get_by_role("heading", level=1)).to_have_text("Log in")
    await thief.close()


async def test_without_scripts_everything_works_but_keys(
    browser: Browser, site: Served, email: str
) -> None:
    context = await new_context(
        browser, base_url=site.base_url, locale="en", java_script_enabled=False
    )
    page = await context.new_page()
    await sign_up(page, site, email)
    secret, _ = await turn_on_totp(page, site)
    await log_out(page)
    await expect(page.get_by_role("button", name="Log in with a passkey")).to_be_hidden()
    await log_in(page, email)
    await page.fill("[name=code]", await site.fresh_code(secret))
    await page.get_by_role("button", name="Log in", exact=True).click()
    await page.get_by_role("button", name="Not this one").click()
    await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")
    await page.goto("/accounts/2fa/webauthn/add/")
    await page.get_by_role("link", name="Password").click()
    await page.fill("[name=password]", PASSWORD)
    await page.get_by_role("button", name="Continue").click()

    said = page.locator("noscript p")  # by its text playwright finds nothing that is in there
    await expect(said).to_be_visible()
    await expect(said).to_contain_text("need JavaScript")
    await context.close()


async def test_a_key_is_all_that_is_needed_of_a_keyboard(
    page: Page, site: Served, email: str
) -> None:
    """Everything is reached by Tab, in the order in which it is read, and done by Enter."""
    await page.goto("/accounts/signup/")
    await page.keyboard.type(email)
    await page.keyboard.press("Tab")
    await page.keyboard.type(PASSWORD)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Verify your email address")
    await page.keyboard.type(await site.mailed_code(email))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Overview")

    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.keyboard.press("Tab")

    inside = await page.evaluate("document.querySelector('main').contains(document.activeElement)")
    assert inside
    await page.reload()
    there: int = await page.evaluate(f"{THERE}.length")
    reached: list[int] = []
    for _ in range(there):
        await page.keyboard.press("Tab")
        place, outlined = await page.evaluate(REACHED)
        assert outlined, place
        reached.append(place)
    assert reached == list(range(there))


async def test_a_field_that_is_wrong_has_the_focus_and_says_why(page: Page, email: str) -> None:
    await page.goto("/accounts/login/")
    await page.fill("[name=email]", email)
    await page.get_by_role("button", name="Log in", exact=True).click()

    field = page.get_by_label("Password", exact=True)
    await expect(field).to_be_focused()
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_accessible_description("Please fill this in.")
    assert (await page.title()).startswith("Error:")


async def test_codes_are_copied(
    context: BrowserContext, page: Page, site: Served, email: str
) -> None:
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    await sign_up(page, site, email)
    _, codes = await turn_on_totp(page, site)

    await page.get_by_role("button", name="Copy").click()

    await expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert (await page.evaluate("navigator.clipboard.readText()")).split("\n") == codes
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Download").click()
    file = await download.value
    assert file.suggested_filename == "recovery-codes.txt"
    kept = (await file.path()).read_text()
    assert all(code in kept for code in codes)


async def test_somebody_chooses_their_language(page: Page) -> None:
    await page.goto("/accounts/login/?next=/accounts/email/")
    await page.get_by_label("Language").select_option("de")
    await page.get_by_role("button", name="Change").click()

    await expect(page.locator("html")).to_have_attribute("lang", "de")
    assert page.url.endswith("/accounts/login/?next=%2Faccounts%2Femail%2F")
