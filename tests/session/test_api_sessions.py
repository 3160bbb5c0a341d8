"""Passwords and sessions as clients see them: status, shape, and both clients."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from pydantic import ValidationError

from services.session.main import create_app
from tests.session.house import ADA, PASSWORD, House
from tests.session.test_api_contract import ANONYMOUS, GONE, Answer, Api, settings_for

NEW = "battery-staple-7"
CHANGE = "account/password/change"
SESSIONS = "auth/sessions"
DJANGO = "django.contrib.auth.password_validation."


@pytest.fixture(params=["app", "browser"])
def client(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@asynccontextmanager
async def opened(
    house: House, client: str, number: int = 1, **changes: object
) -> AsyncIterator[list[Api]]:
    """Yield clients of a service with those settings."""
    app = create_app(settings_for(house, **changes), house.clock, house.wires)
    async with app.router.lifespan_context(app):
        made = [
            httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://localhost:8000")
            for _ in range(number)
        ]
        yield [Api(http, house, client) for http in made]
        for http in made:
            await http.aclose()


async def log_in(api: Api, password: str = PASSWORD) -> Answer:
    await api.get("auth/session")
    return await api.post("auth/login", email=ADA, password=password)


def is_over(answer: Answer, client: str) -> bool:
    if client == "app":
        return answer.body == GONE
    return (answer.status, answer.body["meta"]) == (401, {"is_authenticated": False})


async def test_a_password_is_changed(house: House, client: str) -> None:
    """N2, N4: 200 with a new token; the other session is over."""
    async with opened(house, client, 2) as (api, other):
        await api.join()
        await log_in(other)
        token, cookie = api.token, api.http.cookies.get("sessionid")

        answer = await api.post(CHANGE, current_password=PASSWORD, new_password=NEW)

        assert answer.status == 200
        assert answer.body["data"]["user"]["email"] == ADA
        assert answer.body["meta"]["is_authenticated"] is True
        if client == "app":
            assert api.token != token
        else:
            assert api.http.cookies["sessionid"] != cookie
        assert (await api.get("auth/session")).status == 200
        assert is_over(await other.get("auth/session"), client)


async def test_what_is_wrong_with_a_change(house: House, client: str) -> None:
    async with opened(house, client) as (api,):
        assert (await api.get("auth/session")).status == 401
        await api.join()
        cases: list[tuple[dict[str, object], list[tuple[str, str]]]] = [
            ({}, [("required", "current_password"), ("required", "new_password")]),
            ({"new_password": NEW}, [("required", "current_password")]),
            ({"current_password": PASSWORD}, [("required", "new_password")]),
            ({"current_password": 1, "new_password": NEW}, [("invalid", "current_password")]),
            (
                {"current_password": "no", "new_password": "123"},
                [
                    ("enter_current_password", "current_password"),
                    ("password_too_short", "new_password"),
                    ("password_too_common", "new_password"),
                    ("password_entirely_numeric", "new_password"),
                ],
            ),
        ]
        for body, codes in cases:
            answer = await api.call("POST", CHANGE, body)
            assert (answer.status, answer.codes) == (400, codes)
        assert answer.body["errors"][0]["message"] == "Please type your current password."


async def test_a_change_may_log_out(house: House, client: str) -> None:
    async with opened(house, client, account_logout_on_password_change=True) as (api,):
        await api.join()
        answer = await api.post(CHANGE, current_password=PASSWORD, new_password=NEW)
        assert answer.status == 401
        assert answer.body["data"] == {"flows": ANONYMOUS}
        assert is_over(await api.get("auth/session"), client)
        assert api.http.cookies.get("sessionid") is None


async def test_too_many_changes(house: House, client: str) -> None:
    """L9: 429 with Retry-After."""
    rates = '{"change_password": "1/m/user"}'
    async with opened(house, client, account_rate_limits=rates) as (api,):
        await api.join()
        await api.post(CHANGE, current_password="no", new_password=NEW)
        answer = await api.post(CHANGE, current_password=PASSWORD, new_password=NEW)
        assert (answer.status, answer.body) == (429, {"status": 429})
        assert int(answer.headers["retry-after"]) > 0


async def test_sessions_are_listed_and_ended(house: House, client: str) -> None:
    async with opened(house, client, 2) as (api, other):
        await api.join()
        await log_in(other)

        answer = await api.get(SESSIONS)
        assert answer.status == 200
        mine, theirs = answer.body["data"]
        assert mine.keys() == {"id", "ip", "user_agent", "created_at", "is_current"}
        assert (mine["is_current"], theirs["is_current"]) == (True, False)
        assert mine["created_at"] == house.clock().timestamp()

        answer = await api.call("DELETE", SESSIONS, {"sessions": [theirs["id"]]})
        assert (answer.status, answer.body["data"]) == (200, [mine])
        assert is_over(await other.get("auth/session"), client)

        answer = await api.call("DELETE", SESSIONS, {"sessions": [mine["id"]]})
        assert (answer.status, answer.body["data"]) == (401, {"flows": ANONYMOUS})
        assert api.http.cookies.get("sessionid") is None
        assert is_over(await api.get("auth/session"), client)


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (None, [("required", "sessions")]),
        ({}, [("required", "sessions")]),
        ({"sessions": []}, [("required", "sessions")]),
        ({"sessions": "abc"}, [("invalid_list", "sessions")]),
        ({"sessions": [1]}, [("invalid_pk_value", "sessions")]),
        ({"sessions": ["x"] * 101}, [("max_length", "sessions")]),
        ({"sessions": ["unknown"]}, [("invalid_choice", "sessions")]),
        ({"all": 1}, [("invalid", "all")]),
        ({"all": False}, [("required", "sessions")]),
    ],
)
async def test_what_is_wrong_with_ending_sessions(
    house: House, client: str, body: object, codes: list[tuple[str, str]]
) -> None:
    async with opened(house, client) as (api,):
        await api.join()
        answer = await api.call("DELETE", SESSIONS, body)
        assert (answer.status, answer.codes) == (400, codes)
        assert (await api.get("auth/session")).status == 200


async def test_all_sessions_are_ended(house: House, client: str) -> None:
    """N4: our extension; 401 for the one that asked."""
    async with opened(house, client, 2) as (api, other):
        await api.join()
        await log_in(other)
        answer = await api.call("DELETE", SESSIONS, {"all": True})
        assert (answer.status, answer.body["data"]) == (401, {"flows": ANONYMOUS})
        for each in (api, other):
            assert is_over(await each.get("auth/session"), client)


async def test_activity_is_shown_where_it_is_tracked(house: House) -> None:
    async with opened(house, "app", usersessions_track_activity=True) as (api,):
        await api.join()
        house.clock.turn(minutes=5)
        (session,) = (await api.get(SESSIONS)).body["data"]
        assert session["last_seen_at"] == house.clock().timestamp()
        config = (await api.get("config")).body["data"]
        assert config["usersessions"] == {"track_activity": True}


async def test_unused_sessions_are_over(house: House, client: str) -> None:
    """N5: by SESSION_IDLE_TIMEOUT."""
    async with opened(house, client, session_idle_timeout="1h") as (api,):
        await api.join()
        house.clock.turn(minutes=59)
        assert (await api.get("auth/session")).status == 200
        house.clock.turn(hours=1)
        assert is_over(await api.get("auth/session"), client)


async def test_what_opens_changes_is_what_the_answer_lists(house: House, client: str) -> None:
    """N7: only the second factor, with MFA_REQUIRE_MFA_FOR_CHANGES."""
    async with opened(house, client, mfa_require_mfa_for_changes=True) as (api,):
        await api.join()
        await api.protect()
        await api.post("auth/reauthenticate", password=PASSWORD)
        answer = await api.delete("account/authenticators/totp")
        assert answer.status == 401
        assert answer.flows == [{"id": "mfa_reauthenticate", "types": ["recovery_codes", "totp"]}]
        await api.post("auth/2fa/reauthenticate", code=api.otp())
        assert (await api.delete("account/authenticators/totp")).status == 200


# Settings


def test_without_a_word_djangos_four_rules_hold(house: House) -> None:
    rules = settings_for(house).policy.passwords.rules
    assert (rules.min_length, rules.similarity) == (8, 0.7)
    assert rules.refuse_common
    assert rules.refuse_numeric


def test_validators_are_djangos(house: House) -> None:
    """The longer of the two lengths holds, and what is not listed is not asked for."""
    text = (
        f'[{{"NAME": "{DJANGO}MinimumLengthValidator", "OPTIONS": {{"min_length": 12}}}},'
        '{"NAME": "UserAttributeSimilarityValidator",'
        ' "OPTIONS": {"max_similarity": 0.5, "user_attributes": ["email"]}}]'
    )
    rules = settings_for(house, auth_password_validators=text).policy.passwords.rules
    assert (rules.min_length, rules.similarity) == (12, 0.5)
    assert not rules.refuse_common
    assert not rules.refuse_numeric
    longer = settings_for(house, auth_password_validators=text, account_password_min_length=15)
    assert longer.policy.passwords.rules.min_length == 15
    assert settings_for(house, auth_password_validators="[]").policy.passwords.rules.min_length == 8


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "{}",
        "[1]",
        '[{"NAME": "my.own.Validator"}]',
        '[{"NAME": "os.path.MinimumLengthValidator"}]',
        '[{"NAME": "MinimumLengthValidator", "OPTIONS": {"min_length": "12"}}]',
        '[{"NAME": "MinimumLengthValidator", "OPTIONS": {"min_length": 65}}]',
        '[{"NAME": "MinimumLengthValidator", "OPTIONS": []}]',
        '[{"NAME": "MinimumLengthValidator", "EXTRA": 1}]',
        '[{"NAME": "CommonPasswordValidator", "OPTIONS": {"password_list_path": "/x"}}]',
        '[{"NAME": "UserAttributeSimilarityValidator", "OPTIONS": {"max_similarity": 0}}]',
        '[{"NAME": "UserAttributeSimilarityValidator", "OPTIONS": {"user_attributes": ["x"]}}]',
    ],
)
def test_other_validators_are_refused(house: House, text: str) -> None:
    with pytest.raises(ValidationError, match="auth_password_validators"):
        settings_for(house, auth_password_validators=text)


@pytest.mark.parametrize(
    "changes",
    [
        {"account_password_min_length": 5},
        {"account_password_min_length": 65},
        {"session_idle_timeout": "1m"},
        {"account_reauthentication_timeout": "0s"},
    ],
)
def test_values_that_protect_nobody_are_refused(house: House, changes: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        settings_for(house, **changes)
