"""What is set is what people meet, from the environment's names through every service."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pyotp
import pytest

from tests.journeys.keys import KEYS, KeyHolder
from tests.journeys.person import CODES, TOTP, Person
from tests.journeys.suite import InProcess, in_process
from tests.session.tokens import private_pem

Chosen = Callable[..., AbstractAsyncContextManager[InProcess]]


@pytest.fixture
def chosen(tmp_path: Path) -> Chosen:
    """Return what runs a suite with settings that differ from their defaults."""
    return lambda **settings: in_process(tmp_path / "suite", **settings)


async def joined(suite: InProcess) -> Person:
    """Return somebody who has signed up with an app and proved the password again."""
    person = Person(suite=suite, client=suite.client("app"))
    await person.sign_up()
    await person.reauthenticate()
    return person


async def mails(suite: InProcess, address: str) -> list[dict[str, str]]:
    """Return what was mailed to that address, newest first."""
    await suite.deliver()
    listing = (await suite.client("app").http.get("/inbox.json")).json()["messages"]
    return [mail for mail in listing if mail["to"] == address]


async def test_codes_are_of_the_form_that_is_set(chosen: Chosen) -> None:
    """MFA_TOTP_DIGITS, MFA_TOTP_PERIOD and MFA_TOTP_ISSUER."""
    form = {"mfa_totp_digits": 8, "mfa_totp_period": "60s", "mfa_totp_issuer": "Acme"}
    async with chosen(**form) as suite:
        person = await joined(suite)
        offer = await person.client.get(TOTP)
        told = parse_qs(urlsplit(offer.meta["totp_url"]).query)
        secret = offer.meta["secret"]
        short = await person.client.post(TOTP, {"code": pyotp.TOTP(secret).at(suite.clock())})
        device = pyotp.TOTP(secret, digits=8, interval=60)
        right = await person.client.post(TOTP, {"code": device.at(suite.clock())})

    assert (told["digits"], told["period"], told["issuer"]) == (["8"], ["60"], ["Acme"])
    assert (short.status, right.status) == (400, 200)


@pytest.mark.parametrize(("tolerance", "status"), [(0, 400), (1, 200)])
async def test_late_codes_are_as_good_as_is_set(
    chosen: Chosen, tolerance: int, status: int
) -> None:
    """MFA_TOTP_TOLERANCE."""
    async with chosen(mfa_totp_tolerance=tolerance) as suite:
        person = await joined(suite)
        secret = (await person.client.get(TOTP)).meta["secret"]
        code = pyotp.TOTP(secret).at(suite.clock())
        suite.clock.advance(timedelta(seconds=30))
        late = await person.client.post(TOTP, {"code": code})

    assert late.status == status


async def test_a_code_for_tests_passes_where_it_is_set(chosen: Chosen) -> None:
    """MFA_TOTP_INSECURE_BYPASS_CODE."""
    async with chosen(mfa_totp_insecure_bypass_code="123456") as suite:
        person = await joined(suite)
        await person.client.get(TOTP)
        made = await person.client.post(TOTP, {"code": "123456"})
        await person.log_out()
        await person.log_in()
        passed = await person.give_code("123456")

    assert (made.status, passed.status) == (200, 200)


async def test_recovery_codes_are_as_many_and_as_long_as_is_set(chosen: Chosen) -> None:
    """MFA_RECOVERY_CODE_COUNT, MFA_RECOVERY_CODE_DIGITS and MFA_RECOVERY_CODES_SHOW_ONCE."""
    form = {
        "mfa_recovery_code_count": 4,
        "mfa_recovery_code_digits": 9,
        "mfa_recovery_codes_show_once": True,
    }
    async with chosen(**form) as suite:
        person = await joined(suite)
        await person.turn_on_totp()
        codes = await person.codes()
        again = await person.client.get(CODES)

    assert [len(code) for code in codes] == [9, 9, 9, 9]
    assert "unused_codes" not in again.body["data"]


@pytest.mark.parametrize("wish", ["required", "preferred", "discouraged"])
async def test_users_are_verified_as_is_set(chosen: Chosen, wish: str) -> None:
    """MFA_WEBAUTHN_USER_VERIFICATION: of a second factor; of a passkey they always are."""
    async with chosen(
        mfa_supported_types=("totp", "webauthn"), mfa_webauthn_user_verification=wish
    ) as suite:
        person = await joined(suite)
        asked = [(await person.client.get(f"{KEYS}{query}")) for query in ("", "?passwordless")]
        wishes = [
            answer.body["data"]["creation_options"]["publicKey"]["authenticatorSelection"]
            for answer in asked
        ]

    assert [told["userVerification"] for told in wishes] == [wish, "required"]


@pytest.mark.parametrize(("allowed", "status"), [(False, 400), (True, 200)])
async def test_every_port_of_this_machine_is_let_in_where_that_is_set(
    chosen: Chosen, status: int, *, allowed: bool
) -> None:
    """MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN."""
    async with chosen(
        mfa_supported_types=("totp", "webauthn"), mfa_webauthn_allow_insecure_origin=allowed
    ) as suite:
        holder = KeyHolder(suite=suite, client=suite.client("app"))
        holder.device.origin = "http://localhost:3000"
        await holder.sign_up()
        await holder.reauthenticate()
        added = await holder.add_key("My key")

    assert added.status == status


async def test_codes_of_addresses_have_the_form_and_the_time_that_are_set(chosen: Chosen) -> None:
    """ACCOUNT_EMAIL_VERIFICATION_BY_CODE_FORMAT and ACCOUNT_EMAIL_VERIFICATION_BY_CODE_TIMEOUT."""
    async with chosen(
        account_email_verification_by_code_format='{"numeric": true, "length": 7, "dashed": false}',
        account_email_verification_by_code_timeout="1m",
    ) as suite:
        person = Person(suite=suite, client=suite.client("app"))
        await person.client.post("auth/signup", person.credentials)
        (mail,) = await mails(suite, person.email)
        (code,) = [line for line in mail["text"].splitlines() if line.isdigit()]
        suite.clock.advance(timedelta(seconds=61))
        late = await person.client.post("auth/email/verify", {"key": code})

    assert len(code) == 7
    assert late.status == 409


@pytest.mark.parametrize(("told", "count"), [(True, 1), (False, 0)])
async def test_people_are_told_by_mail_as_is_set(chosen: Chosen, count: int, *, told: bool) -> None:
    """ACCOUNT_EMAIL_NOTIFICATIONS."""
    async with chosen(account_email_notifications=told) as suite:
        person = await joined(suite)
        before = len(await mails(suite, person.email))
        await person.turn_on_totp()
        after = len(await mails(suite, person.email))

    assert after - before == count


@pytest.mark.parametrize(("told", "count"), [(True, 1), (False, 0)])
async def test_strangers_are_told_by_mail_as_is_set(
    chosen: Chosen, count: int, *, told: bool
) -> None:
    """ACCOUNT_EMAIL_UNKNOWN_ACCOUNTS: that somebody has asked for a code in their name."""
    async with chosen(
        account_login_by_code_enabled=True, account_email_unknown_accounts=told
    ) as suite:
        asked = await suite.client("app").post("auth/code/request", {"email": "no@example.org"})
        mailed = await mails(suite, "no@example.org")

    assert asked.pending == ["login_by_code"]
    assert len(mailed) == count


async def test_tokens_last_as_long_as_is_set(chosen: Chosen) -> None:
    """HEADLESS_JWT_ACCESS_TOKEN_EXPIRES_IN and HEADLESS_JWT_REFRESH_TOKEN_EXPIRES_IN."""
    settings: dict[str, Any] = {
        "headless_token_strategy": "jwt",
        "headless_jwt_private_key": private_pem(),
        "headless_jwt_access_token_expires_in": "2m",
        "headless_jwt_refresh_token_expires_in": "1h",
    }
    async with chosen(**settings) as suite:
        client = suite.client("app")
        tokens = (await Person(suite=suite, client=client).sign_up()).meta
        claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
        suite.clock.advance(timedelta(minutes=59))
        renewed = await client.post("tokens/refresh", {"refresh_token": tokens["refresh_token"]})
        suite.clock.advance(timedelta(minutes=61))
        given = {"refresh_token": renewed.body["data"]["refresh_token"]}
        late = await client.post("tokens/refresh", given)

    assert claims["exp"] - claims["iat"] == 120
    assert (renewed.status, late.status) == (200, 400)
