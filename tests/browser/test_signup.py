"""Signing up by passkey, without a password at any time."""

import pytest
from playwright.async_api import Page

from tests.browser.authenticator import Authenticator
from tests.browser.chromium import PageClient, Thrown
from tests.journeys.person import Person

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIGNUP = "auth/webauthn/signup"


async def verified(stranger: Person) -> None:
    """Begin, and verify the address: what is missing then is the passkey."""
    client = stranger.client
    await client.get("config")
    begun = await client.post(SIGNUP, {"email": stranger.email})
    assert (begun.status, begun.pending) == (401, ["verify_email"])
    code = await stranger.suite.mailed_code(stranger.email)
    pending = await client.post("auth/email/verify", {"key": code})
    assert (pending.status, pending.pending) == (401, ["mfa_signup_webauthn"])


async def test_somebody_signs_up_by_passkey_and_comes_back_with_it(
    stranger: Person, client: PageClient, page: Page
) -> None:
    device = await Authenticator.plug_in(page)
    await verified(stranger)

    session = await client.do("signUp", "My phone")
    assert session.status == 200
    assert session.body["data"]["user"]["email"] == stranger.email
    (key,) = (await client.get("account/authenticators")).body["data"]
    assert (key["name"], key["is_passwordless"]) == ("My phone", True)
    await stranger.log_out()
    back = await client.do("login")

    assert (back.status, back.methods) == (200, ["mfa"])
    (kept,) = await device.credentials()
    assert (kept["isResidentCredential"], kept["userName"]) == (True, stranger.email)


async def test_a_sign_up_is_not_over_without_a_passkey(
    stranger: Person, client: PageClient, page: Page
) -> None:
    device = await Authenticator.plug_in(page, isUserVerified=False)
    await verified(stranger)

    with pytest.raises(Thrown, match="NotAllowedError"):
        await client.do("signUp", "My phone")

    assert (await client.get("auth/session")).pending == ["mfa_signup_webauthn"]
    await device.verifies(True)
    assert (await client.do("signUp", "My phone")).status == 200
