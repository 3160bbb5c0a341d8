"""A walk by every page, in every state that it has: what is looked at, the caller decides."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, ClassVar

from playwright.async_api import Page

from tests.browser.authenticator import Authenticator
from tests.browser.served import Served

Seen = Callable[[str], Awaitable[None]]

PASSWORD = "correct-horse-9"
SPOIL = "fields => { for (const field of fields) field.value = 'x'; }"
SUBMIT = "button:not([type=button]):visible"


@dataclass
class Walk:
    """Somebody who goes from page to page: what they look at on the way, the caller decides.

    Nothing depends on words, so that it can be gone in any language.
    """

    page: Page
    suite: Served
    seen: Seen
    settings: ClassVar[dict[str, Any]] = {}
    """What a site has to be told, for all of this to be there."""
    email: str = field(default_factory=lambda: f"p{token_hex(6)}@example.org")

    async def at(self, path: str, state: str | None = None) -> None:
        """Open a page."""
        await self.page.goto(f"{self.suite.base_url}/accounts/{path}")
        if state is not None:
            await self.seen(state)

    async def send(
        self, state: str | None, button: str = SUBMIT, status: int | None = None, **typed: str
    ) -> None:
        """Fill in the form that has these fields, send it, and look at what comes of it.

        `status` is what is answered, if that is not to be told from what comes next.
        """
        wanted = f"[name={next(iter(typed))}]:visible" if typed else button
        form = self.page.locator("main form").filter(has=self.page.locator(wanted)).first
        for name, value in typed.items():
            await form.locator(f"[name={name}]:visible").fill(value)
        async with self.page.expect_navigation() as navigation:
            await form.locator(button).first.click()
        answer = await navigation.value
        assert status is None or answer.status == status
        if state is not None:
            await self.seen(state)


@dataclass
class Tour(Walk):
    """Somebody who goes everywhere, and does everything wrong once before it is right."""

    secret: str = ""
    codes: list[str] = field(default_factory=list)

    async def go(self) -> None:
        """Go everywhere."""
        self.device = await Authenticator.plug_in(self.page)
        await self.outside()
        await self.sign_up()
        await self.settle_in()
        await self.manage()
        await self.come_back()
        await self.leave()

    async def outside(self) -> None:
        """Look at what everybody sees."""
        await self.at("", "login")
        await self.send("login_errors", email="nobody")
        await self.at("signup/", "signup")
        await self.send("signup_errors", email=self.email, password="short")
        await self.at("login/code/", "login_code_request")
        await self.send("login_code", email=f"no-{self.email}")
        await self.send("login_code_wrong", code="BCDF-GHJK")
        await self.at("password/reset/", "password_reset")
        await self.send("password_reset_code", email=f"no-{self.email}")
        await self.send("password_reset_wrong", key="BCDF-GHJK", password="12345")
        await self.at("nowhere/", "not_found")
        await self.at("../inbox", "inbox_empty")
        await self.at("login/")
        await self.page.locator("[name=csrfmiddlewaretoken]").evaluate_all(SPOIL)
        await self.send("stale_form", email=self.email, password=PASSWORD, status=403)

    async def sign_up(self) -> None:
        """Sign up by passkey."""
        await self.at("signup/passkey/", "signup_passkey")
        await self.send("verify_code", email=self.email)
        await self.send("verify_code_wrong", key="BCDF-GHJK")
        code = await self.suite.mailed_code(self.email)
        await self.send("passkey_make", key=code)
        await self.device.verifies(False)
        await self.page.click("[data-go]")
        await self.page.wait_for_selector("[data-trouble]:visible")
        await self.seen("passkey_make_refused")
        await self.device.verifies(True)
        await self.page.fill("[name=name]", "My phone")
        await self.send("overview")

    async def settle_in(self) -> None:
        """Add what protects the account."""
        await self.at("2fa/", "authenticators")
        await self.at("2fa/webauthn/", "keys")
        await self.at("2fa/webauthn/add/", "reauthenticate_key")
        await self.send("key_add")
        await self.page.click("[data-go]")
        await self.page.wait_for_selector("[data-trouble]:visible")
        await self.seen("key_add_known")
        await self.at("2fa/recovery-codes/", "recovery_codes_none")
        await self.at("2fa/totp/activate/")
        await self.page.click("details summary")
        await self.seen("totp")
        self.secret = (await self.page.inner_text("#secret")).replace(" ", "")
        await self.send("totp_wrong", code="000000")
        await self.send("recovery_codes", code=await self.suite.fresh_code(self.secret))
        await self.at("2fa/recovery-codes/generate/", "recovery_codes_renew")
        await self.send("recovery_codes_fresh")
        self.codes = await self.page.locator(".codes li").all_inner_texts()
        await self.at("password/set/", "password_set")
        await self.send("password_set_errors", new_password="12345")
        await self.send("overview_protected", new_password=PASSWORD)
        await self.at("password/change/", "password_change")
        await self.send("password_change_errors", current_password="no", new_password="12345")

    async def manage(self) -> None:
        """Look after keys and addresses."""
        await self.at("2fa/", "authenticators_protected")
        await self.at("2fa/webauthn/", "keys_one")
        await self.page.click("a[href$='/edit/']")
        await self.seen("key_edit")
        await self.send("key_edit_empty", name="")
        await self.send(
            "key_renamed", name="Phone of Ada, with a long name that has to break somewhere"
        )
        await self.page.click("a[href$='/remove/']")
        await self.seen("key_remove")
        await self.at("2fa/totp/deactivate/", "totp_remove")
        await self.at("email/", "emails")
        await self.send("emails_wrong", email="nobody", button="[name=action_add]")
        other = f"other-{self.email}"
        await self.send("emails_code", email=other, button="[name=action_add]")
        code = await self.suite.mailed_code(other)
        await self.send("emails_two", key=code)
        await self.at("sessions/", "sessions")
        await self.at("activity/", "away")
        await self.at("../inbox", "inbox")

    async def come_back(self) -> None:
        """Log out, and in again by a second factor."""
        await self.device.touches(False)  # or the login page lets them in as soon as it is shown
        await self.at("logout/", "logout")
        await self.send("logged_out")
        await self.at("login/?next=/accounts/2fa/trusted-browsers/")
        await self.send("authenticate_key", email=self.email, password=PASSWORD)
        await self.page.click("a[href*='by=totp']")
        await self.seen("authenticate_totp")
        await self.send("authenticate_totp_wrong", code="000000")
        await self.page.click("a[href*='by=recoverycodes']")
        await self.seen("authenticate_recovery")
        await self.send("trust", code=self.codes[0])
        await self.send("trusted_browsers", button="[name=trust][value=true]")

    async def leave(self) -> None:
        """Delete the account."""
        await self.at("delete/")
        await self.page.click("a[href*='by=password']")
        await self.seen("reauthenticate_password")
        await self.send("reauthenticate_password_wrong", password="no")
        await self.send("delete", password=PASSWORD)
        await self.send("delete_unsure")
        await self.page.check("[name=sure]")
        await self.send("deleted")


@dataclass
class Detour(Walk):
    """Somebody at a site with usernames, and links in mails in place of codes."""

    settings: ClassVar[dict[str, Any]] = {
        "account_login_methods": "username,email",
        "account_signup_fields": "username,email*,password1*",
        "account_email_verification_by_code_enabled": False,
        "account_password_reset_by_code_enabled": False,
        "mfa_passkey_signup_enabled": False,
    }
    username: str = field(default_factory=lambda: f"u{token_hex(6)}")

    async def go(self) -> None:
        """Go everywhere that is otherwise than on the tour."""
        await self.sign_up()
        await self.add_an_address()
        await self.forget()
        await self.try_too_often()

    async def sign_up(self) -> None:
        """Sign up with a username, and verify by a link."""
        await self.at("login/", "by_either_name")
        await self.send("by_either_name_wrong", login=self.username, password="no")
        await self.at("signup/", "with_username")
        email, password = self.email, PASSWORD
        await self.send("with_username_wrong", username="a b", email=email, password=password)
        await self.send("link_sent", username=self.username, email=email, password=password)
        await self.follow_link("link_followed")
        await self.send("verified")
        await self.at("login/")
        await self.send("protected_by_one_thing", login=self.username, password=PASSWORD)
        await self.at("2fa/", "authenticators_none")

    async def add_an_address(self) -> None:
        """Add an address that is not verified yet."""
        await self.at("email/")
        other = f"other-{self.email}"
        await self.send("address_unverified", email=other, button="[name=action_add]")

    async def forget(self) -> None:
        """Set a new password by a link, which then is of no use."""
        await self.at("logout/")
        await self.send("away_from_it")
        await self.at("password/reset/", "forgotten")
        await self.suite.deliver()  # else what was mailed before may come after the link
        await self.send("reset_link_sent", email=self.email)
        link = await self.follow_link("new_password")
        await self.send("new_password_wrong", password="12345")
        await self.send("new_password_set", password=f"new-{PASSWORD}")
        await self.page.goto(link)
        await self.seen("reset_link_used")

    async def try_too_often(self) -> None:
        """Get the password wrong until nothing is checked any more."""
        await self.at("login/")
        for tried in range(1, 13):
            state = f"wrong_{tried}" if tried in (1, 12) else None
            await self.send(state, login=self.username, password="no")

    async def follow_link(self, state: str) -> str:
        """Open the link in the newest mail, and return it."""
        link = await self.suite.mailed_link(self.email)
        await self.page.goto(link)
        await self.seen(state)
        return link
