"""Resets of passwords over the public API: what clients see, and what can be set."""

from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import unquote

import pytest
from pydantic import ValidationError

from services.session.domain.codes import CodeFormat
from services.session.domain.mails import MailKind
from services.session.domain.password_reset import PasswordResets
from tests.session.house import ADA, PASSWORD, House
from tests.session.making import MakeApi
from tests.session.test_api_contract import Answer, Api
from tests.session.test_api_settings import settings
from tests.session.trusting import Trusting, open_trusting, pending, protected

REQUEST, RESET = "auth/password/request", "auth/password/reset"
HEADER = "X-Password-Reset-Key"
NEW = "battery-staple-7"
WRONG = "BBBB-BBBB"
BY_CODE = {"account_password_reset_by_code_enabled": True}
PAGE = "https://app.example.org/reset?key="
BY_LINK = {"headless_frontend_urls": f'{{"account_reset_password_from_key": "{PAGE}{{key}}"}}'}
WAYS = [{"id": "login"}, {"id": "signup"}]
IDLE = [*WAYS, {"id": "password_reset_by_code", "is_pending": False}]
WAITING = [*WAYS, {"id": "password_reset_by_code", "is_pending": True}]


async def leaving(make_api: MakeApi, **changes: object) -> Api:
    """Return a client of Ada, who is logged out, where that is set."""
    api: Api = await make_api(**changes)
    await api.join()
    await api.log_out()
    await api.house.notices()
    await api.get("config")
    return api


async def link(house: House) -> str:
    """Return the key in the link that was mailed."""
    (mail,) = await house.mails()
    return unquote(mail.facts["link"].removeprefix(PAGE))


async def look(api: Api, key: str) -> Answer:
    """Look whose password a key is for."""
    return await api.call("GET", RESET, **{HEADER: key})


# What clients see


async def test_a_reset_by_code_looks_as_in_the_contract(make_api: MakeApi) -> None:
    api = await leaving(make_api, **BY_CODE)
    assert (await api.get("auth/session")).flows == IDLE
    asked = await api.post(REQUEST, email="Ada@Example.org")
    assert (asked.status, asked.flows) == (401, WAITING)
    assert asked.body["meta"]["is_authenticated"] is False
    assert ("session_token" in asked.body["meta"]) is (api.client == "app")
    assert (await api.get("auth/session")).flows == WAITING
    code = await api.house.code()
    shown = await look(api, code)
    assert shown.status == 200
    assert shown.body["data"]["user"]["email"] == ADA
    assert shown.body.keys() == {"status", "data"}
    weak = await api.post(RESET, key=code, password="a1!")
    assert (weak.status, weak.codes) == (400, [("password_too_short", "password")])

    done = await api.post(RESET, key=code, password=NEW)

    assert (done.status, done.flows) == (401, IDLE)
    assert (await api.post(RESET, key=code, password=NEW)).body == {"status": 409}
    assert (await look(api, code)).body == {"status": 409}
    assert (await api.post("auth/login", email=ADA, password=NEW)).status == 200


async def test_a_reset_by_link_looks_as_in_the_contract(make_api: MakeApi) -> None:
    api = await leaving(make_api, **BY_LINK)
    asked = await api.post(REQUEST, email=ADA)
    assert asked.body == {"status": 200}
    assert (await api.get("auth/session")).flows == WAYS
    key = await link(api.house)
    shown = await look(api, key)
    assert (shown.status, shown.body["data"]["user"]["email"]) == (200, ADA)
    for answer in (
        await look(api, "no-key"),
        await api.post(RESET, key="no-key", password=NEW),
    ):
        assert (answer.status, answer.codes) == (400, [("invalid_password_reset", "key")])

    done = await api.post(RESET, key=key, password=NEW)

    assert (done.status, done.flows) == (401, WAYS)
    again = await api.post(RESET, key=key, password=NEW)
    assert (again.status, again.codes) == (400, [("invalid_password_reset", "key")])
    assert (await api.post("auth/login", email=ADA, password=NEW)).status == 200


async def test_where_there_is_neither_code_nor_page_nobody_resets_any(make_api: MakeApi) -> None:
    api = await leaving(make_api, headless_only=True)

    assert (await api.post(REQUEST, email=ADA)).status == 404
    assert (await api.post(RESET, key=WRONG, password=NEW)).status == 404
    assert (await api.get("auth/session")).flows == WAYS


async def test_the_configuration_says_how_passwords_are_reset(make_api: MakeApi) -> None:
    for changes, by_code in ((BY_CODE, True), (BY_LINK, False)):
        api = await make_api(**changes)
        account = (await api.get("config")).body["data"]["account"]
        assert account["password_reset_by_code_enabled"] is by_code


async def test_it_is_listed_last_wherever_flows_are(make_api: MakeApi) -> None:
    """As by allauth: after a step that is awaited, and to who has to prove themselves again."""
    api = await leaving(make_api, **BY_CODE)
    await api.post(REQUEST, email=ADA)
    begun = await api.post("auth/signup", email="new@example.org", password=PASSWORD)
    verify = {"id": "verify_email", "is_pending": True}
    assert begun.flows == [*WAYS, verify, WAITING[-1]]
    await api.post("auth/login", email=ADA, password=PASSWORD)
    needed = await api.post("account/authenticators/totp", code="123456")
    assert needed.flows == [{"id": "reauthenticate"}, IDLE[-1]]
    await api.log_out()
    if api.client == "app":
        api.token = "gone"
        assert (await api.get("auth/session")).flows == IDLE


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "required"),
        ({"email": None}, "required"),
        ({"email": " "}, "required"),
        ({"email": "ada"}, "invalid"),
        ({"email": 7}, "invalid"),
        ({"username": "ada"}, "required"),
    ],
)
async def test_what_is_no_address_is_refused(
    make_api: MakeApi, members: dict[str, object], code: str
) -> None:
    api = await leaving(make_api, **BY_CODE)
    refused = await api.post(REQUEST, **members)

    assert (refused.status, refused.codes) == (400, [(code, "email")])
    assert await api.house.mails() == []


@pytest.mark.parametrize(
    ("members", "codes"),
    [
        ({}, [("required", "key"), ("required", "password")]),
        ({"key": 7, "password": 7}, [("invalid", "key"), ("invalid", "password")]),
        ({"password": "a1!"}, [("required", "key"), ("password_too_short", "password")]),
    ],
)
async def test_what_is_no_code_is_refused_and_counted(
    make_api: MakeApi, members: dict[str, object], codes: list[tuple[str, str]]
) -> None:
    """O4: an empty POST sets no password, and is one of the three."""
    api = await leaving(make_api, **BY_CODE)
    await api.post(REQUEST, email=ADA)
    right = await api.house.code()
    for _ in range(3):
        refused = await api.post(RESET, **members)
        assert (refused.status, refused.codes) == (400, codes)

    assert (await api.post(RESET, key=right, password=NEW)).status == 409
    assert (await api.get("auth/session")).flows == IDLE


async def test_what_is_no_key_is_refused(make_api: MakeApi) -> None:
    api = await leaving(make_api, **BY_LINK)
    await api.post(REQUEST, email=ADA)
    key = await link(api.house)
    for members, codes in (
        ({}, [("required", "key"), ("required", "password")]),
        ({"key": 7}, [("invalid", "key"), ("required", "password")]),
        ({"key": "a"}, [("invalid_password_reset", "key"), ("required", "password")]),
        ({"key": key}, [("required", "password")]),
        ({"key": key, "password": "12345"}, None),
    ):
        refused = await api.post(RESET, **members)
        assert refused.status == 400
        assert codes is None or refused.codes == codes
    shown = await api.get(RESET)
    assert (shown.status, shown.codes) == (400, [("required", "key")])


async def test_too_many_requests_say_when_to_come_back(make_api: MakeApi) -> None:
    """L9."""
    api = await leaving(make_api, **BY_CODE)
    for _ in range(5):
        assert (await api.post(REQUEST, email=ADA)).status == 401

    refused = await api.post(REQUEST, email=ADA)

    assert refused.body == {"status": 429}
    assert refused.headers["retry-after"] == "300"
    mails = await api.house.mails()
    for _ in range(20):
        await api.post(RESET, key=mails[-1].facts["code"], password="a1!")
    limited = await api.post(RESET, key=mails[-1].facts["code"], password=NEW)
    assert (limited.body, limited.headers["retry-after"]) == ({"status": 429}, "60")


async def test_who_is_logged_in_is_told_so(make_api: MakeApi) -> None:
    """As by allauth; until the password is another, which ends the session."""
    api = await leaving(make_api, **BY_CODE)
    await api.post("auth/login", email=ADA, password=PASSWORD)
    asked = await api.post(REQUEST, email=ADA)
    assert asked.status == 200
    assert "session_token" not in asked.body["meta"]

    done = await api.post(RESET, key=await api.house.code(), password=NEW)

    assert (done.status, done.flows) == (401, IDLE)
    after = await api.get("auth/session")
    assert after.status == (410 if api.client == "app" else 401)


async def test_a_reset_may_log_in(make_api: MakeApi) -> None:
    for changes in (BY_CODE, BY_LINK):
        api: Api = await make_api(**changes, account_login_on_password_reset=True)
        if changes is BY_CODE:
            await api.join()
            await api.log_out()
        await api.get("config")
        api.house.clock.turn(minutes=6)
        await api.post(REQUEST, email=ADA)
        by_code = changes is BY_CODE
        key = await (api.house.code() if by_code else link(api.house))
        done = await api.post(RESET, key=key, password=NEW if by_code else "another-horse-8")
        assert done.status == 200
        (method,) = done.body["data"]["methods"]
        email = {"email": ADA} if by_code else {}
        assert method == {"method": "password_reset", "at": method["at"], **email}
        assert ("session_token" in done.body["meta"]) is (api.client == "app")
        assert (await api.get("auth/session")).status == 200


async def test_a_link_leads_to_the_page_that_is_configured(make_api: MakeApi) -> None:
    """N11: and nowhere that a request names."""
    api = await leaving(make_api, **BY_LINK)
    await api.call("POST", REQUEST, {"email": ADA}, **{"x-forwarded-host": "evil.example"})
    (mail,) = await api.house.mails()

    assert mail.kind is MailKind.PASSWORD_RESET_LINK
    assert mail.facts["link"].startswith(PAGE)


# Trust in a browser


@pytest.fixture
async def trusting(house: House) -> AsyncIterator[Trusting]:
    """Where browsers are trusted, and passwords are reset by code, which logs in."""
    async with open_trusting(house, **BY_CODE, account_login_on_password_reset=True) as trusting:
        yield trusting


async def test_a_reset_ends_trust(trusting: Trusting) -> None:
    """K2, O7: the browser that was trusted is asked for the second factor, and may be anew."""
    browser = await protected(trusting)
    await browser.come_to_be_trusted()
    await browser.log_out()
    await browser.api.get("config")
    assert (await browser.post(REQUEST, email=ADA)).status == 401
    code = await trusting.house.code()

    begun = await browser.post(RESET, key=code, password=NEW)

    assert pending(begun) == "mfa_authenticate"
    assert pending(await browser.give_code()) == "mfa_trust"
    assert (await browser.decide(trusts=False)).status == 200


# What can be set


def test_the_settings_make_the_rules() -> None:
    """Of codes that differ from others, and of what they do not say as of all others."""
    for given, form in (
        ({"account_password_reset_by_code_format": '{"numeric": true}'}, CodeFormat(numeric=True)),
        ({"allauth_user_code_format": '{"length": 10}'}, CodeFormat(length=10)),
    ):
        assert settings(**given).policy.password_resets == PasswordResets(format=form)
    chosen = settings(password_reset_timeout="90m", account_password_reset_by_code_timeout="10m")
    assert chosen.policy.password_resets.link_lifetime == timedelta(minutes=90)
    assert chosen.policy.password_resets.codes.lifetime == timedelta(minutes=10)


@pytest.mark.parametrize(
    "given",
    [
        {"account_password_reset_by_code_timeout": "16m"},
        {"account_password_reset_by_code_timeout": "0s"},
        {"account_password_reset_by_code_max_attempts": "0"},
        {"account_password_reset_by_code_max_attempts": "11"},
        {"account_password_reset_by_code_format": '{"length": 5}'},
        {"password_reset_timeout": "4d"},
        {"password_reset_timeout": "59s"},
        {"headless_frontend_urls": '{"account_reset_password_from_key": "/reset"}'},
    ],
)
def test_what_would_be_unsafe_cannot_be_set(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        settings(**given)
