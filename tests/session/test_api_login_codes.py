"""Login codes over the public API: what clients see, what is trusted, and what can be set."""

from collections.abc import AsyncIterator

import pytest
from pydantic import ValidationError

from services.session.domain.codes import CodeFormat
from services.session.domain.login_by_code import ALWAYS
from services.session.domain.mails import MailKind
from services.session.domain.methods import MethodKind
from services.session.main import edge_settings
from tests.session.house import ADA, PASSWORD, House
from tests.session.making import MakeApi
from tests.session.test_api_contract import Answer, Api
from tests.session.test_api_passkeys import KEYS_ON, LOGIN, add_key
from tests.session.test_api_settings import settings
from tests.session.trusting import COOKIE, Trusting, open_trusting, pending
from tests.webauthn.authenticator import Device

REQUEST, CONFIRM, RESEND = "auth/code/request", "auth/code/confirm", "auth/code/resend"
WRONG = "BBBB-BBBB"
WAYS = [{"id": "login"}, {"id": "login_by_code"}, {"id": "signup"}]
WAITING = [{"id": "login"}, {"id": "login_by_code", "is_pending": True}, {"id": "signup"}]
INCORRECT = {"message": "Incorrect code.", "code": "incorrect_code", "param": "code"}
ENABLED = {"account_login_by_code_enabled": True, "account_login_by_code_supports_resend": True}


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    """A client where there are login codes, of Ada, who is logged out."""
    api: Api = await make_api(**ENABLED)
    await api.join()
    await api.log_out()
    await api.get("config")
    return api


# What clients see


async def test_a_login_by_code_looks_as_in_the_contract(api: Api) -> None:
    assert (await api.get("auth/session")).flows == WAYS
    asked = await api.post(REQUEST, email="Ada@Example.org")
    assert (asked.status, asked.flows) == (401, WAITING)
    assert asked.body["meta"]["is_authenticated"] is False
    assert ("session_token" in asked.body["meta"]) is (api.client == "app")
    assert (await api.get("auth/session")).flows == WAITING
    wrong = await api.post(CONFIRM, code=WRONG)
    assert wrong.body == {"status": 400, "errors": [INCORRECT]}

    resent = await api.post(RESEND)
    (_, mail) = await api.house.mails()
    done = await api.post(CONFIRM, code=mail.facts["code"])

    assert resent.body == {"status": 200}
    assert done.status == 200
    (method,) = done.body["data"]["methods"]
    assert method == {"method": "code", "at": method["at"], "email": ADA}
    assert done.body["data"]["user"]["email"] == ADA
    again = await api.post(CONFIRM, code=mail.facts["code"])
    assert again.body == {"status": 409}


async def test_the_configuration_says_that_there_are_login_codes(make_api: MakeApi) -> None:
    for enabled in (True, False):
        api = await make_api(account_login_by_code_enabled=enabled)
        account = (await api.get("config")).body["data"]["account"]
        assert account["login_by_code_enabled"] is enabled


async def test_where_there_are_no_login_codes_none_is_asked_for(make_api: MakeApi) -> None:
    """A code may be required all the same, and so may be given."""
    api = await make_api()
    await api.get("config")

    assert (await api.post(REQUEST, email=ADA)).status == 404
    assert (await api.post(RESEND)).status == 404
    assert (await api.post(CONFIRM, code=WRONG)).body == {"status": 409}


async def test_the_pending_flow_comes_last_where_it_is_no_way_to_begin(make_api: MakeApi) -> None:
    api = await make_api(account_login_by_code_required="true")
    await api.get("config")
    signed_up = await api.post("auth/signup", email=ADA, password=PASSWORD)

    assert signed_up.flows == [
        {"id": "login"},
        {"id": "signup"},
        {"id": "login_by_code", "is_pending": True},
    ]


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ({}, "required"),
        ({"email": None}, "required"),
        ({"email": " "}, "required"),
        ({"email": "ada"}, "invalid"),
        ({"email": 7}, "invalid"),
        ({"email": [ADA]}, "invalid"),
        ({"username": "ada"}, "required"),
        ({"phone": "+3120123456"}, "required"),
    ],
)
async def test_what_is_no_address_is_refused(
    api: Api, members: dict[str, object], code: str
) -> None:
    refused = await api.post(REQUEST, **members)

    assert (refused.status, refused.codes) == (400, [(code, "email")])
    assert await api.house.mails() == []


@pytest.mark.parametrize(
    ("members", "code"),
    [({}, "required"), ({"code": ""}, "required"), ({"code": 7}, "invalid")],
)
async def test_what_is_no_code_is_refused_and_counted(
    api: Api, members: dict[str, object], code: str
) -> None:
    """O4: an empty POST passes no stage, and is one of the three."""
    await api.post(REQUEST, email=ADA)
    right = await api.house.code()
    for _ in range(3):
        refused = await api.post(CONFIRM, **members)
        assert (refused.status, refused.codes) == (400, [(code, "code")])

    assert (await api.post(CONFIRM, code=right)).status == 409
    assert (await api.get("auth/session")).flows == WAYS


async def test_nothing_but_the_code_is_open_while_it_is_awaited(api: Api) -> None:
    """O2."""
    await api.post(REQUEST, email=ADA)

    for path in ("account/authenticators", "auth/sessions"):
        barred = await api.get(path)
        assert (barred.status, barred.flows) == (401, WAITING)
    assert (await api.post("auth/email/verify", key=WRONG)).status == 409
    assert (await api.post("auth/2fa/authenticate", code="123456")).status == 401
    changed = await api.post("account/password/change", new_password="another-horse-8")
    assert changed.status == 401


async def test_who_is_logged_in_gets_no_code(api: Api) -> None:
    await api.post("auth/login", email=ADA, password=PASSWORD)

    answer = await api.post(REQUEST, email=ADA)

    assert answer.status == 200
    assert "session_token" not in answer.body["meta"]
    assert await api.house.mails() == []
    assert (await api.post(CONFIRM, code=WRONG)).body == {"status": 409}
    assert (await api.post(RESEND)).body == {"status": 409}


async def test_too_many_requests_say_when_to_come_back(api: Api) -> None:
    """L9."""
    for _ in range(3):
        await api.post(REQUEST, email=ADA)

    refused = await api.post(REQUEST, email=ADA)

    assert (refused.status, refused.codes) == (400, [("too_many_login_attempts", "email")])
    assert refused.headers["retry-after"] == "60"
    resent = await api.post(RESEND)
    assert (resent.status, resent.headers["retry-after"]) == (429, "60")


async def test_a_token_from_before_is_dead(api: Api) -> None:
    """N2: at the request and at the end."""
    await api.post(REQUEST, email=ADA)
    before = held(api)
    await api.post(CONFIRM, code=await api.house.code())

    assert held(api) != before
    if api.client == "app":
        api.token = before
        assert (await api.get("auth/session")).status == 410


def held(api: Api) -> str | None:
    """Return what a client shows of its session."""
    return api.token if api.client == "app" else api.http.cookies.get("sessionid")


async def test_a_mail_to_who_has_no_account_leads_to_where_one_is_made(make_api: MakeApi) -> None:
    """N11: to the page that is configured, if there is one."""
    pages = '{"account_signup": "https://app.example.org/signup"}'
    for changes, facts in (
        ({"headless_only": True}, {}),
        ({"headless_frontend_urls": pages}, {"link": "https://app.example.org/signup"}),
    ):
        api = await make_api(**ENABLED, **changes)
        await api.get("config")
        await api.post(REQUEST, email="nobody@example.org")
        (mail,) = await api.house.mails()
        assert mail.kind is MailKind.UNKNOWN_ACCOUNT
        assert mail.facts == {"language": "en", **facts}


# Codes besides passkeys


@pytest.mark.parametrize(("required", "asks"), [("mfa", True), ("true", True), ("password", False)])
async def test_a_code_may_be_required_after_a_passkey(
    make_api: MakeApi, required: str, asks: bool
) -> None:
    """Which is two factors already: the code adds none, and takes none away."""
    api, device = await make_api(**KEYS_ON), Device()
    await api.join()
    await add_key(api, device)
    token, cookies = api.token, dict(api.http.cookies)
    assert token or cookies
    strict: Api = await make_api(**KEYS_ON, account_login_by_code_required=required)
    await strict.get("config")
    asked = await strict.get(LOGIN)
    answer = device.get(asked.body["data"]["request_options"])
    begun = await strict.post(LOGIN, credential=answer)
    assert begun.status == (401 if asks else 200)
    if asks:
        assert pending(begun) == "login_by_code"
        begun = await strict.post(CONFIRM, code=await strict.house.code())

    methods = [method["method"] for method in begun.body["data"]["methods"]]
    assert methods == (["mfa", "code"] if asks else ["mfa"])


# Trust in a browser


CODES_TRUSTED = {
    "account_login_by_code_required": "password,mfa",
    "account_login_by_code_trust_enabled": True,
    "mfa_trust_enabled": False,
}


async def come(api: Api, *, trusts: bool | None = None) -> Answer:
    """Log in by password and the code that is asked for, and answer the question of trust."""
    await api.get("config")
    answer = await api.post("auth/login", email=ADA, password=PASSWORD)
    if answer.status == 401 and pending(answer) == "login_by_code":
        answer = await api.post(CONFIRM, code=await api.house.code())
    if answer.status == 401 and pending(answer) == "mfa_authenticate":
        api.house.clock.turn(seconds=30)
        answer = await api.post("auth/2fa/authenticate", code=api.otp())
    if trusts is not None:
        assert pending(answer) == "mfa_trust"
        answer = await api.post("auth/2fa/trust", trust=trusts)
    return answer


@pytest.fixture
async def trusting(house: House) -> AsyncIterator[Trusting]:
    """Where codes are required, and trust in a browser stands in for them alone."""
    async with open_trusting(house, **CODES_TRUSTED) as trusting:
        yield trusting


async def joined(trusting: Trusting) -> Api:
    """Return a browser whose owner has an account, and has trusted no browser."""
    api = trusting.client()
    await api.get("config")
    await api.post("auth/signup", email=ADA, password=PASSWORD)
    answer = await api.post(CONFIRM, code=await trusting.house.code())
    assert pending(answer) == "mfa_trust"
    assert (await api.post("auth/2fa/trust", trust=False)).status == 200
    await api.log_out()
    return api


async def test_a_trusted_browser_takes_no_required_code(trusting: Trusting) -> None:
    """K3, K6: the password stays, and the session says that it is one factor."""
    api = await joined(trusting)
    assert (await come(api, trusts=True)).status == 200
    await api.log_out()

    answer = await come(api)

    assert [method["method"] for method in answer.body["data"]["methods"]] == ["password"]
    assert await trusting.house.mails() == []
    wrong = await trusting.client().post("auth/login", email=ADA, password="wrong")
    assert wrong.status != 200
    assert await trusting.told() == ["trust_given", "trust_used"]
    other = trusting.client()
    await other.get("config")
    assert pending(await other.post("auth/login", email=ADA, password=PASSWORD)) == "login_by_code"


async def test_who_does_not_trust_the_browser_is_asked_again(trusting: Trusting) -> None:
    api = await joined(trusting)
    assert (await come(api, trusts=False)).status == 200
    await api.log_out()

    assert pending(await come(api)) == "mfa_trust"


async def test_trust_in_place_of_codes_is_none_in_place_of_the_second_factor(
    trusting: Trusting,
) -> None:
    """K3, O7."""
    api = await joined(trusting)
    await come(api, trusts=False)
    await api.protect()
    await api.log_out()
    assert (await come(api, trusts=True)).status == 200
    await api.log_out()
    await api.get("config")

    answer = await api.post("auth/login", email=ADA, password=PASSWORD)

    assert pending(answer) == "mfa_authenticate"
    api.house.clock.turn(seconds=30)
    done = await api.post("auth/2fa/authenticate", code=api.otp())
    assert done.status == 200
    assert [method["method"] for method in done.body["data"]["methods"]] == ["password", "mfa"]


async def test_trust_is_no_code_for_who_begins_with_one(house: House) -> None:
    """K3: it stands in for what is required besides, never for the only proof."""
    async with open_trusting(
        house, **CODES_TRUSTED, account_login_by_code_enabled=True
    ) as trusting:
        api = await joined(trusting)
        assert (await come(api, trusts=True)).status == 200
        await api.log_out()
        await api.get("config")
        asked = await api.post(REQUEST, email=ADA)

        assert pending(asked) == "login_by_code"
        done = await api.post(CONFIRM, code=await house.code())
        assert done.status == 200  # nor is that asked about


async def test_apps_are_never_asked_about_trust(trusting: Trusting) -> None:
    await joined(trusting)
    app = trusting.client("app")
    for _ in range(2):
        assert (await come(app)).status == 200
        await app.log_out()


async def test_with_both_kinds_of_trust_one_answer_is_for_both(house: House) -> None:
    changes = {**CODES_TRUSTED, "mfa_trust_enabled": True}
    async with open_trusting(house, **changes) as trusting:
        api = await joined(trusting)
        await come(api, trusts=False)
        await api.protect()
        await api.log_out()
        assert (await come(api, trusts=True)).status == 200
        await api.log_out()
        await api.get("config")

        assert (await api.post("auth/login", email=ADA, password=PASSWORD)).status == 200


async def test_trust_in_place_of_the_second_factor_is_none_in_place_of_codes(
    house: House,
) -> None:
    """Nor is the browser asked about twice: what was found holds once the code is given."""
    changes = {"account_login_by_code_required": "true", "account_login_by_code_enabled": True}
    async with open_trusting(house, **changes) as trusting:
        api = trusting.client()
        await api.get("config")
        await api.post("auth/signup", email=ADA, password=PASSWORD)
        assert (await api.post(CONFIRM, code=await house.code())).status == 200
        await api.protect()
        await api.log_out()
        assert (await come(api, trusts=True)).status == 200
        await api.log_out()
        await api.get("config")
        before = len(trusting.asked())

        asked = await api.post("auth/login", email=ADA, password=PASSWORD)
        assert pending(asked) == "login_by_code"
        assert (await api.post(CONFIRM, code=await house.code())).status == 200
        assert len(trusting.asked()) == before + 1
        await api.log_out()
        await api.get("config")
        await api.post(REQUEST, email=ADA)
        assert (await api.post(CONFIRM, code=await house.code())).status == 200


async def test_a_wrong_code_asks_nobody_about_the_browser(house: House) -> None:
    async with open_trusting(house, account_login_by_code_enabled=True) as trusting:
        api = trusting.client()
        await api.join()
        await api.protect()
        await api.log_out()
        assert (await come(api, trusts=True)).status == 200
        await api.log_out()
        await api.get("config")
        before = len(trusting.asked())
        await api.post(REQUEST, email=ADA)
        await api.post(CONFIRM, code=WRONG)

        assert len(trusting.asked()) == before


async def test_after_a_passkey_and_a_code_the_browser_may_be_trusted(house: House) -> None:
    async with open_trusting(house, **CODES_TRUSTED, **KEYS_ON) as trusting:
        api, device = await joined(trusting), Device()
        await come(api, trusts=False)
        await add_key(api, device)
        await api.log_out()
        for stages in (["login_by_code", "mfa_trust"], []):
            await api.get("config")
            kept = api.http.cookies.get(COOKIE)
            asked = await api.get(LOGIN)
            answer = await api.post(
                LOGIN, credential=device.get(asked.body["data"]["request_options"])
            )
            if stages:
                assert pending(answer) == "login_by_code"
                answer = await api.post(CONFIRM, code=await house.code())
                assert pending(answer) == "mfa_trust"
                answer = await api.post("auth/2fa/trust", trust=True)
            assert answer.status == 200
            assert api.http.cookies.get(COOKIE) != kept  # K8
            await api.log_out()


# Settings


def test_what_was_chosen_is_what_holds() -> None:
    chosen = settings(
        account_login_by_code_max_attempts="5",
        account_login_by_code_timeout="5m",
        account_login_by_code_format='{"numeric": true, "length": 6}',
        account_login_by_code_trust_enabled="true",
        account_login_timeout="10m",
    ).policy

    assert chosen.login_by_code.codes.max_failures == 5
    assert chosen.login_by_code.codes.lifetime.total_seconds() == 300
    assert chosen.login_by_code.codes.format == CodeFormat(numeric=True, length=6)
    assert chosen.login_by_code.trusts
    assert chosen.login_lifetime.total_seconds() == 600
    assert not chosen.trusts_second_factors


def test_codes_look_as_all_do_unless_something_else_is_said() -> None:
    chosen = settings(allauth_user_code_format='{"numeric": true}').policy

    assert chosen.login_by_code.codes.format == CodeFormat(numeric=True)


@pytest.mark.parametrize(
    ("text", "methods"),
    [
        ("true", ALWAYS),
        ("True", ALWAYS),
        ("false", set()),
        ("", set()),
        ("password", {MethodKind.PASSWORD}),
        ("password, mfa", ALWAYS),
        ('["mfa"]', {MethodKind.MFA}),
        ("[]", set()),
    ],
)
def test_what_a_code_is_required_after(text: str, methods: set[MethodKind]) -> None:
    chosen = settings(account_login_by_code_required=text).policy

    assert chosen.login_by_code.required == methods


@pytest.mark.parametrize(
    ("supports", "count", "times"),
    [
        ("false", None, 0),
        ("true", None, 2),
        ("0", None, 0),
        ("1", None, 1),
        ("5", None, 5),
        ("true", "4", 4),
        ("true", "0", 0),
    ],
)
def test_how_often_a_code_is_sent_anew(supports: str, count: str | None, times: int) -> None:
    """By allauth's name, or by that of what it means."""
    chosen = settings(
        account_login_by_code_supports_resend=supports, account_login_by_code_max_resend_count=count
    ).policy

    assert chosen.login_by_code.codes.max_resends == times


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("account_login_by_code_required", "socialaccount"),
        ("account_login_by_code_required", "code"),
        ("account_login_by_code_required", "7"),
        ("account_login_by_code_required", '{"password": true}'),
        ("account_login_by_code_max_attempts", "0"),
        ("account_login_by_code_max_attempts", "11"),
        ("account_login_by_code_timeout", "0"),
        ("account_login_by_code_timeout", "16m"),
        ("account_login_by_code_supports_resend", "often"),
        ("account_login_by_code_supports_resend", "11"),
        ("account_login_by_code_supports_resend", "-1"),
        ("account_login_by_code_max_resend_count", "11"),
        ("account_login_by_code_format", '{"length": 5}'),
        ("account_login_timeout", "16m"),
        ("account_login_timeout", "0"),
    ],
)
def test_what_cannot_work_is_refused(name: str, value: str) -> None:
    """O9: no login lives longer than fifteen minutes."""
    with pytest.raises(ValidationError, match=name):
        settings(**{name: value})


def test_trust_in_place_of_codes_needs_its_cookie_and_its_keeper() -> None:
    chosen = settings(account_login_by_code_trust_enabled=True, mfa_supported_types="totp")

    assert edge_settings(chosen).trust_cookie is not None
    assert set(chosen.factor_urls) == {"totp", "recovery"}
