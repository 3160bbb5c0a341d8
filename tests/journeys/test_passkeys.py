"""People who log in with a passkey alone, or show a key after their password."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest_asyncio

from tests.journeys.client import Answer, Client
from tests.journeys.keys import KEYS, KeyHolder
from tests.journeys.suite import InProcess, in_process

LOGIN = "auth/webauthn/login"
AUTHENTICATE = "auth/webauthn/authenticate"
REAUTHENTICATE = "auth/webauthn/reauthenticate"
SETTINGS: dict[str, Any] = {
    "mfa_supported_types": ("recovery_codes", "totp", "webauthn"),
    "mfa_passkey_login_enabled": True,
    "mfa_passkey_signup_enabled": True,
    "mfa_trust_enabled": True,
}


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[InProcess]:
    """A suite in this process, with passkeys, in which browsers can be trusted."""
    async with in_process(tmp_path, **SETTINGS) as running:
        yield running


async def with_passkey(suite: InProcess, client: Client) -> KeyHolder:
    """Return somebody who has a passkey, and is logged out."""
    person = KeyHolder(suite=suite, client=client)
    await person.sign_up()
    await person.reauthenticate()
    assert (await person.add_key("Phone", passwordless=True)).status == 200
    await person.log_out()
    return person


def is_alone(answer: Answer) -> bool:
    """Tell whether somebody is logged in by a passkey and nothing else."""
    if answer.status != 200:
        return False
    (method,) = answer.body["data"]["methods"]
    return method["method"] == "mfa" and method["passwordless"] is True


async def test_a_passkey_is_enough_and_no_browser_is_trusted_for_it(
    suite: InProcess, client: Client
) -> None:
    """K4, O1: it skips the second factor and the question of trust, and nothing else."""
    ada = await with_passkey(suite, client)

    assert is_alone(await ada.give_key(LOGIN))
    assert (await client.get("auth/session")).status == 200
    assert (await client.get(KEYS)).status == 401  # a login is no fresh proof
    assert (await ada.give_key(REAUTHENTICATE)).status == 200
    assert (await client.get(KEYS)).status == 200
    await ada.log_out()
    assert (await ada.log_in()).pending == ["mfa_authenticate"]


async def test_a_key_after_the_password_is_a_second_factor_like_any(
    suite: InProcess, client: Client
) -> None:
    """K4: then browsers are asked whether they are to be trusted."""
    ada = await with_passkey(suite, client)
    assert (await ada.log_in()).pending == ["mfa_authenticate"]

    answer = await ada.give_key(AUTHENTICATE)

    if client.kind == "browser":
        assert answer.pending == ["mfa_trust"]
        answer = await client.post("auth/2fa/trust", {"trust": True})
    assert (answer.status, answer.methods) == (200, ["password", "mfa"])
    await ada.log_out()
    back = await ada.log_in()
    assert (back.status == 200) == (client.kind == "browser")


async def test_strangers_lock_nobody_out_of_a_passkey(suite: InProcess, client: Client) -> None:
    """L8: after wrong passwords and wrong codes without number."""
    ada = await with_passkey(suite, client)
    stranger = suite.client("app")
    for _ in range(6):
        await stranger.post("auth/login", {"email": ada.email, "password": "guessed"})
    assert (await ada.log_in()).codes == ["too_many_login_attempts"]

    assert is_alone(await ada.give_key(LOGIN))


async def test_a_login_by_passkey_takes_the_place_of_one_halfway(
    suite: InProcess, client: Client
) -> None:
    """Autofill is offered on the page that waits for the second factor, too."""
    ada = await with_passkey(suite, client)
    assert (await ada.log_in()).pending == ["mfa_authenticate"]
    asked = await client.get(LOGIN)
    assert (await client.get("auth/session")).pending == ["mfa_authenticate"]

    credential = ada.device.get(asked.body["data"]["request_options"])
    assert is_alone(await client.post(LOGIN, {"credential": credential}))


async def test_a_removed_passkey_is_forgotten_by_the_browser(
    suite: InProcess, client: Client
) -> None:
    """Its refusal says which it was; with what is left the list is told at the next login."""
    ada = await with_passkey(suite, client)
    await ada.give_key(LOGIN)
    await ada.reauthenticate()
    (old,) = await ada.keys()
    (lost,) = ada.device.credentials.values()
    assert (await ada.add_key("Laptop", passwordless=True)).status == 200
    assert (await client.call("DELETE", KEYS, {"authenticators": [old["id"]]})).status == 200
    await ada.log_out()

    asked = (await client.get(LOGIN)).body["data"]["request_options"]
    given = ada.device.get(asked, credential=lost)
    refused = await client.post(LOGIN, {"credential": given})
    assert (refused.status, refused.codes) == (400, ["incorrect_code"])
    assert refused.meta["signal"]["unknownCredential"]["credentialId"] == given["id"]
    session = await ada.give_key(LOGIN)
    assert is_alone(session)
    accepted = session.meta["signal"]["allAcceptedCredentials"]
    assert given["id"] not in accepted["allAcceptedCredentialIds"]
