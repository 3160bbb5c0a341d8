"""People who add security keys, name and lose them, and some who never had a password."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.journeys.client import Client
from tests.journeys.keys import KEYS, LIST, SIGNUP, KeyHolder
from tests.journeys.person import CODES, TOTP
from tests.journeys.suite import PERIOD, SHORT_CODES, InProcess, Running, in_process
from tests.suite.processes import processes, successor
from tests.suites import RunningSuite, is_up, running_suite, until
from tests.webauthn.authenticator import Device

AUTHENTICATE = "auth/webauthn/authenticate"
WITH_KEYS: dict[str, Any] = {
    "mfa_supported_types": ("recovery_codes", "totp", "webauthn"),
    "mfa_passkey_login_enabled": True,
    "mfa_passkey_signup_enabled": True,
}


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path, **WITH_KEYS) as running:
        yield running


async def test_a_key_is_added_named_used_and_removed(suite: InProcess, client: Client) -> None:
    person = KeyHolder(suite=suite, client=client)
    await person.sign_up()
    early = await client.get(KEYS)
    assert (early.status, early.flows[:1]) == (401, ["reauthenticate"])
    await person.reauthenticate()

    added = await person.add_key(" My key ")
    assert (added.status, added.meta["recovery_codes_generated"]) == (200, True)
    (key,) = await person.keys()
    assert key == added.body["data"]
    assert (key["name"], key["is_passwordless"], key["last_used_at"]) == ("My key", False, None)
    assert (key["transports"], key["backed_up"]) == (["internal"], False)
    assert key["serves_alone"] is False
    second = await person.add_key(passwordless=True)
    assert (second.body["data"]["name"], second.meta["recovery_codes_generated"]) == (
        "Passkey",
        False,
    )
    renamed = await client.call("PUT", KEYS, {"id": key["id"], "name": "In the drawer"})
    assert renamed.body["data"]["name"] == "In the drawer"

    await person.log_out()
    pending = await person.log_in()
    assert pending.pending == ["mfa_authenticate"]
    assert pending.types == ["recovery_codes", "webauthn"]
    session = await person.give_key(AUTHENTICATE)
    assert (session.status, session.methods) == (200, ["password", "mfa"])
    used = [entry for entry in await person.keys() if entry["last_used_at"] is not None]
    assert len(used) == 1

    await person.reauthenticate()
    gone = await client.call("DELETE", KEYS, {"authenticators": [key["id"]]})
    ids = gone.meta["signal"]["allAcceptedCredentials"]["allAcceptedCredentialIds"]
    assert (gone.status, len(ids)) == (200, 1)
    rest = [entry["id"] for entry in await person.keys()]
    assert (await client.call("DELETE", KEYS, {"authenticators": rest})).status == 200
    assert (await client.get(LIST)).body == {"status": 200, "data": []}
    assert (await client.get(CODES)).status == 404
    await person.log_out()
    assert (await person.log_in()).status == 200


async def test_a_removed_key_opens_nothing(suite: InProcess, client: Client) -> None:
    """Whichever of the two devices is still there does."""
    person = KeyHolder(suite=suite, client=client)
    await person.sign_up()
    await person.reauthenticate()
    lost = (await person.add_key("Lost")).body["data"]["id"]
    kept, person.device = person.device, Device(origin=client.origin)
    await person.add_key("Kept")
    kept, person.device = person.device, kept
    assert (await client.call("DELETE", KEYS, {"authenticators": [lost]})).status == 200
    await person.log_out()
    await person.log_in()

    asked = (await client.get(AUTHENTICATE)).body["data"]["request_options"]
    (credential,) = person.device.credentials.values()
    refused = await client.post(
        AUTHENTICATE, {"credential": person.device.get(asked, credential=credential)}
    )
    assert (refused.status, refused.codes) == (400, ["incorrect_code"])
    person.device = kept
    assert (await person.give_key(AUTHENTICATE)).status == 200


async def test_somebody_signs_up_without_a_password(suite: InProcess, client: Client) -> None:
    person = KeyHolder(suite=suite, client=client)
    await client.get("config")
    unverified = await client.post(SIGNUP, {"email": person.email})
    assert (unverified.status, unverified.pending) == (401, ["verify_email"])
    assert (await client.get(SIGNUP)).status == 409
    code = await suite.mailed_code(person.email)
    owing = await client.post("auth/email/verify", {"key": code})
    assert (owing.status, owing.pending) == (401, ["mfa_signup_webauthn"])
    assert (await client.get(LIST)).status == 401
    assert (await client.get("auth/session")).pending == ["mfa_signup_webauthn"]

    shown = await client.get(SIGNUP)
    body = {"name": "Phone", "credential": person.make(shown)}
    session = await client.call("PUT", SIGNUP, body)

    assert (session.status, session.methods) == (200, ["mfa"])
    assert session.body["data"]["user"]["has_usable_password"] is False
    assert [key["name"] for key in await person.keys()] == ["Phone"]
    assert (await client.get(CODES)).status == 404
    last = {"authenticators": [key["id"] for key in await person.keys()]}
    kept = await client.call("DELETE", KEYS, last)
    assert (kept.status, kept.codes) == (409, ["cannot_delete_authenticator"])
    await person.log_out()
    back = await person.give_key("auth/webauthn/login")
    assert back.status == 200
    assert back.body["data"]["user"]["email"] == person.email


async def test_without_the_setting_there_is_no_trace_of_keys(tmp_path: Path, kind: str) -> None:
    async with in_process(tmp_path) as suite:
        person = KeyHolder(suite=suite, client=suite.client(kind))
        await person.sign_up()
        assert "mfa_login_webauthn" not in (await person.client.get("auth/session")).body["data"]
        for method, path in (
            ("GET", KEYS),
            ("POST", KEYS),
            ("PUT", KEYS),
            ("DELETE", KEYS),
            ("POST", SIGNUP),
            ("GET", AUTHENTICATE),
            ("GET", "auth/webauthn/login"),
        ):
            body: dict[str, Any] | None = None if method == "GET" else {}
            assert (await person.client.call(method, path, body)).status == 404


async def test_sign_up_by_passkey_is_a_choice_of_its_own(tmp_path: Path, kind: str) -> None:
    async with in_process(tmp_path, **(WITH_KEYS | {"mfa_passkey_signup_enabled": False})) as suite:
        client = suite.client(kind)
        await client.get("config")
        assert (await client.post(SIGNUP, {"email": "ada@example.org"})).status == 404
        assert (await client.get("auth/webauthn/login")).status == 200


@pytest.mark.long
def test_while_webauthn_is_stopped_totp_is_enough(tmp_path: Path) -> None:
    """O4: its options and answers are 503, nobody is let past, and all others log in."""
    env = {**SHORT_CODES, "MFA_TRUST_ENABLED": "false"}
    with running_suite(tmp_path / "var", split=True, env=env) as running:
        asyncio.run(_do_without_webauthn(running))


async def _do_without_webauthn(running: RunningSuite) -> None:
    async with Running(base_url=running.base_url, period=PERIOD) as suite:
        ada = KeyHolder(suite=suite, client=suite.client("app"))
        await ada.sign_up()
        await ada.reauthenticate()
        await ada.turn_on_totp()
        key = (await ada.add_key("Mine")).body["data"]
        shown = await ada.client.get(KEYS)
        there = KeyHolder(
            suite=suite,
            client=suite.client("browser"),
            email=ada.email,
            secret=ada.secret,
            device=ada.device,
        )
        await there.client.get("config")
        assert (await there.log_in()).pending == ["mfa_authenticate"]
        asked = (await there.client.get(AUTHENTICATE)).body["data"]["request_options"]
        webauthn = processes(running)["serve webauthn"]
        webauthn.suspend()
        try:
            for method, path, body in (
                ("GET", KEYS, None),
                ("POST", KEYS, {"credential": ada.make(shown)}),
                ("PUT", KEYS, {"id": key["id"], "name": "New"}),
            ):
                away = await ada.client.call(method, path, body)
                assert (away.status, "retry-after" in away.headers) == (503, True)
            assert (await there.client.get(AUTHENTICATE)).status == 503
            answered = {"credential": ada.device.get(asked)}
            assert (await there.client.post(AUTHENTICATE, answered)).status == 503
            assert (await there.client.get("auth/session")).pending == ["mfa_authenticate"]
            assert (await suite.client("app").get("auth/webauthn/login")).status == 503
            assert (await there.give_second_factor(trusts=False)).status == 200
            assert await there.keys() == await ada.keys()
        finally:
            webauthn.resume()
        await ada.reauthenticate()
        assert (await ada.add_key("Another")).status == 200
        assert (await ada.client.delete(TOTP)).status == 200
        await _outlive_a_killed_webauthn(running, there)


async def _outlive_a_killed_webauthn(running: RunningSuite, owing: KeyHolder) -> None:
    """Be refused while it is dead, and let in by its successor, which knows what was asked."""
    await owing.log_out()
    await owing.log_in()
    asked = (await owing.client.get(AUTHENTICATE)).body["data"]["request_options"]
    answered = {"credential": owing.device.get(asked)}
    killed = processes(running)["serve webauthn"]
    killed.kill()
    killed.wait()
    assert (await owing.client.post(AUTHENTICATE, answered)).status == 503
    assert (await owing.client.get("auth/session")).pending == ["mfa_authenticate"]

    successor(running, "serve webauthn", killed)
    until(lambda: is_up(running.url("WEBAUTHN_OPS_PORT")), "its successor")

    assert (await owing.client.post(AUTHENTICATE, answered)).status == 200
