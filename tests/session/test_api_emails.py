"""Addresses over the public API: what clients see, by code and by link."""

import json

import pytest

from services.session.domain.mails import MailKind
from tests.session.addressing import BOB, LATER, NEW, PAGE, SOON, key, key_of
from tests.session.house import ADA, PASSWORD
from tests.session.making import MakeApi
from tests.session.test_api_contract import Answer, Api

EMAIL, VERIFY, RESEND = "account/email", "auth/email/verify", "auth/email/verify/resend"
HEADER = "x-email-verification-key"
BY_LINK = {
    "account_email_verification_by_code_enabled": False,
    "headless_frontend_urls": json.dumps({"account_confirm_email": PAGE + "{key}"}),
}
ADAS = {"email": ADA, "verified": True, "primary": True}
NEWS = {"email": NEW, "verified": False, "primary": False}
NOT_KNOWN = {
    "message": "Unknown email address.",
    "code": "unknown_email",
    "param": "email",
}


@pytest.fixture
async def api(make_api: MakeApi) -> Api:
    """A client of Ada, who is logged in, and has had her mail."""
    api: Api = await make_api(
        account_email_verification_supports_resend=True,
        account_email_verification_supports_change=True,
    )
    await api.join()
    api.house.clock.turn(seconds=SOON.total_seconds())
    return api


@pytest.fixture
async def linked(make_api: MakeApi) -> Api:
    """The same where links are mailed."""
    api: Api = await make_api(**BY_LINK)
    await api.get("config")
    await api.post("auth/signup", email=ADA, password=PASSWORD)
    await api.post(VERIFY, key=await key(api.house))
    await api.post("auth/login", email=ADA, password=PASSWORD)
    api.house.clock.turn(seconds=LATER.total_seconds())
    return api


async def looked(api: Api, text: str) -> Answer:
    """Return what is shown of a key, which comes in a header."""
    return await api.call("GET", VERIFY, **{HEADER: text})


# By code


async def test_an_address_is_added_by_code(api: Api) -> None:
    at_first = await api.get(EMAIL)
    assert at_first.body == {"status": 200, "data": [ADAS]}
    assert at_first.headers["cache-control"] == "no-store"
    asked = await api.post(EMAIL, email=" New@Example.COM ")
    assert asked.body == {"status": 200, "data": [ADAS, NEWS]}
    code = await api.house.code()

    wrong = await looked(api, "BBBB-BBBB")
    seen = await looked(api, code)
    done = await api.post(VERIFY, key=code.lower())

    assert wrong.body["errors"] == [
        {"message": "Incorrect code.", "code": "incorrect_code", "param": "key"}
    ]
    user = seen.body["data"].pop("user")
    assert seen.body == {
        "status": 200,
        "data": {"email": NEW},
        "meta": {"is_authenticating": False},
    }
    assert user == done.body["data"]["user"]
    assert done.status == 200
    assert (await api.get(EMAIL)).body["data"] == [ADAS, {**NEWS, "verified": True}]
    assert (await api.post(VERIFY, key=code)).body == {"status": 409}


async def test_the_stage_of_a_sign_up_shows_its_address(make_api: MakeApi) -> None:
    api = await make_api()
    await api.get("config")
    assert (await looked(api, "BBBB-BBBB")).body == {"status": 409}
    await api.post("auth/signup", email=ADA, password=PASSWORD)
    seen = await looked(api, await api.house.code())

    assert seen.body["data"]["email"] == ADA
    assert seen.body["data"]["user"]["has_usable_password"] is True
    assert seen.body["meta"] == {"is_authenticating": True}
    assert (await looked(api, "")).codes == [("required", "key")]


async def test_the_primary_address_changes_and_the_other_goes(api: Api) -> None:
    await api.post(EMAIL, email=NEW)
    await api.post(VERIFY, key=await api.house.code())

    changed = await api.call("PATCH", EMAIL, {"email": NEW, "primary": True})
    removed = await api.call("DELETE", EMAIL, {"email": ADA})

    first = {"email": NEW, "verified": True, "primary": True}
    assert changed.body["data"] == [first, {**ADAS, "primary": False}]
    assert removed.body == {"status": 200, "data": [first]}
    session = await api.get("auth/session")
    assert session.body["data"]["user"]["email"] == NEW
    assert session.body["data"]["user"]["display"] == "new"


async def test_refusals_are_those_of_the_contract(api: Api) -> None:
    for method, body, fault in (
        ("POST", {}, ("required", "email")),
        ("POST", {"email": "no address"}, ("invalid", "email")),
        ("POST", {"email": ["a"]}, ("invalid", "email")),
        ("POST", {"email": ADA}, ("duplicate_email", "email")),
        ("PUT", {"email": BOB}, ("unknown_email", "email")),
        ("PUT", {}, ("required", "email")),
        ("PATCH", {"email": BOB, "primary": True}, ("unknown_email", "email")),
        ("PATCH", {"email": ADA}, ("required", "primary")),
        ("PATCH", {"email": ADA, "primary": False}, ("required", "primary")),
        ("PATCH", {"email": ADA, "primary": "true"}, ("invalid", "primary")),
        ("DELETE", {"email": BOB}, ("unknown_email", "email")),
        ("DELETE", {"email": ADA}, ("cannot_remove_primary_email", "email")),
        ("DELETE", {}, ("required", "email")),
    ):
        answer = await api.call(method, EMAIL, body)
        assert (answer.status, answer.codes) == (400, [fault]), (method, body)
        api.house.clock.turn(seconds=30)
    both = await api.call("PATCH", EMAIL, {})
    assert both.codes == [("required", "email"), ("required", "primary")]
    unknown = await api.call("PUT", EMAIL, {"email": BOB})
    assert unknown.body["errors"] == [NOT_KNOWN]


async def test_a_code_is_sent_again(api: Api) -> None:
    """PUT says 403 where nothing is sent, and resend 409, both 429 where it is too early."""
    assert (await api.call("PUT", EMAIL, {"email": ADA})).body == {"status": 403}
    assert (await api.post(RESEND)).body == {"status": 409}
    await api.post(EMAIL, email=NEW)
    early = await api.call("PUT", EMAIL, {"email": NEW})
    assert early.body == {"status": 429}
    assert int(early.headers["retry-after"]) <= 10
    statuses = []
    for call in (
        ("PUT", EMAIL, {"email": NEW}),
        ("POST", RESEND, {}),
        ("PUT", EMAIL, {"email": NEW}),
    ):
        api.house.clock.turn(seconds=SOON.total_seconds())
        statuses.append((await api.call(*call)).body)

    assert statuses == [{"status": 200}, {"status": 200}, {"status": 403}]


async def test_a_sign_up_may_be_for_another_address(make_api: MakeApi) -> None:
    api = await make_api(account_email_verification_supports_change=1)
    await api.get("config")
    nobody = await api.post(EMAIL, email=NEW)
    await api.post("auth/signup", email=ADA, password=PASSWORD)
    await api.house.mails()

    same = await api.post(EMAIL, email=ADA)
    changed = await api.post(EMAIL, email=NEW)
    (mail,) = await api.house.mails()
    again = await api.post(EMAIL, email=BOB)
    done = await api.post(VERIFY, key=mail.facts["code"])

    assert nobody.body == {"status": 409}
    assert same.codes == [("same_as_current", "email")]
    assert changed.body == {"status": 200, "data": [{**NEWS, "primary": True}]}
    assert mail.to == NEW
    assert again.body == {"status": 409}
    assert done.body["data"]["user"]["email"] == NEW


async def test_who_is_not_logged_in_has_no_addresses(make_api: MakeApi) -> None:
    """O2: nor who waits for a code; adding is 409, all else 401."""
    api = await make_api()
    await api.get("config")
    for _ in range(2):
        for method in ("GET", "PUT", "PATCH", "DELETE"):
            answer = await api.call(method, EMAIL, {"email": ADA, "primary": True})
            assert answer.status == 401, method
        assert (await api.post(EMAIL, email=NEW)).body == {"status": 409}
        await api.post("auth/signup", email=ADA, password=PASSWORD)


async def test_a_fresh_proof_may_be_asked_for(make_api: MakeApi) -> None:
    api = await make_api(account_reauthentication_required=True)
    await api.join()
    asked = await api.post(EMAIL, email=NEW)
    assert asked.status == 401
    assert asked.flows == [{"id": "reauthenticate"}]
    assert asked.body["meta"] == {"is_authenticated": True}
    await api.post("auth/reauthenticate", password=PASSWORD)

    assert (await api.post(EMAIL, email=NEW)).status == 200


async def test_changes_are_limited(api: Api) -> None:
    """`manage_email`, which looking is not counted by."""
    statuses = [(await api.call("PUT", EMAIL, {"email": ADA})).status for _ in range(11)]

    assert statuses == [403] * 10 + [429]
    assert (await api.get(EMAIL)).status == 200


async def test_with_one_address_another_takes_its_place(make_api: MakeApi) -> None:
    api = await make_api(account_change_email=True, account_max_email_addresses=2)
    await api.join()
    await api.post(EMAIL, email=NEW)
    done = await api.post(VERIFY, key=await api.house.code())

    assert done.body["data"]["user"]["email"] == NEW
    assert (await api.get(EMAIL)).body["data"] == [
        {"email": NEW, "verified": True, "primary": True}
    ]


# By link


async def test_the_configuration_says_how(linked: Api) -> None:
    config = (await linked.get("config")).body["data"]["account"]

    assert config["email_verification_by_code_enabled"] is False


async def test_a_sign_up_waits_for_a_link(make_api: MakeApi) -> None:
    """Without a session the link is followed as well, and logs nobody in."""
    api, other = await make_api(**BY_LINK), await make_api(**BY_LINK)
    await other.get("config")
    await api.get("config")
    signed_up = await api.post("auth/signup", email=ADA, password=PASSWORD)
    assert signed_up.flows[-1] == {"id": "verify_email", "is_pending": True}
    link = await key(api.house)

    mine, theirs = await looked(api, link), await looked(other, link)
    assert mine.body["meta"] == {"is_authenticating": True}
    assert theirs.body["meta"] == {"is_authenticating": False}
    assert theirs.body["data"] == mine.body["data"]
    followed = await other.post(VERIFY, key=link)

    assert (followed.status, followed.flows) == (401, [{"id": "login"}, {"id": "signup"}])
    assert "session_token" not in followed.body["meta"]
    again = await other.post(VERIFY, key=link)
    assert again.body["errors"] == [
        {
            "message": "Invalid or expired key.",
            "code": "invalid_or_expired_key",
            "param": "key",
        }
    ]
    assert (await api.post("auth/login", email=ADA, password=PASSWORD)).status == 200


async def test_with_login_by_link_the_session_that_waits_goes_on(make_api: MakeApi) -> None:
    api = await make_api(**BY_LINK, account_login_on_email_confirmation=True)
    await api.get("config")
    await api.post("auth/signup", email=ADA, password=PASSWORD)

    done = await api.post(VERIFY, key=await key(api.house))

    assert done.status == 200
    assert ("session_token" in done.body["meta"]) is (api.client == "app")
    assert (await api.get("auth/session")).status == 200


async def test_an_added_address_is_verified_by_its_link(linked: Api) -> None:
    asked = await linked.post(EMAIL, email=NEW)
    assert asked.body["data"] == [ADAS, NEWS]
    link = await key(linked.house)
    assert (await linked.call("PUT", EMAIL, {"email": NEW})).body == {"status": 403}
    assert (await linked.call("PATCH", EMAIL, {"email": NEW, "primary": True})).codes == [
        ("unverified_primary_email", "email")
    ]
    assert (await linked.post(RESEND)).body == {"status": 409}

    followed = await linked.post(VERIFY, key=link)

    assert followed.status == 200
    assert (await linked.get(EMAIL)).body["data"] == [ADAS, {**NEWS, "verified": True}]


async def test_a_second_factor_and_a_claim_exclude_each_other(linked: Api) -> None:
    await linked.post(EMAIL, email=NEW)
    barred = await linked.get("account/authenticators/totp")
    assert (barred.status, barred.codes) == (409, [("unverified_email", None)])
    await linked.call("DELETE", EMAIL, {"email": NEW})
    await linked.protect()

    blocked = await linked.post(EMAIL, email=NEW)

    assert blocked.body["errors"] == [
        {
            "message": "You cannot add an email address to an account protected by two-factor "
            "authentication.",
            "code": "add_email_blocked",
            "param": "email",
        }
    ]


@pytest.mark.parametrize("text", ["a.b.c", "é" * 20, "x" * 2000])
async def test_what_is_no_key_is_no_trouble(linked: Api, text: str) -> None:
    """D7: 400, whatever is sent."""
    posted = await linked.post(VERIFY, key=text)
    shown = await linked.call("GET", VERIFY, **{HEADER: text.encode()})  # type: ignore[arg-type]

    for answer in (posted, shown):
        assert answer.status == 400
        assert answer.codes[0][1] == "key"


async def test_where_nothing_is_verified_a_sign_up_is_a_login(make_api: MakeApi) -> None:
    api = await make_api(**BY_LINK, account_email_verification="optional")
    await api.get("config")
    done = await api.post("auth/signup", email=ADA, password=PASSWORD)
    (mail,) = await api.house.mails()
    other = await make_api(**BY_LINK, account_email_verification="none")
    await other.get("config")
    taken = await other.post("auth/signup", email=ADA, password=PASSWORD)

    assert done.status == 200
    assert done.body["data"]["methods"] == []
    assert ("session_token" in done.body["meta"]) is (api.client == "app")
    assert (mail.kind, mail.to) == (MailKind.VERIFICATION_LINK, ADA)
    assert (await api.post(VERIFY, key=key_of(mail))).status == 200
    assert taken.codes == [("email_taken", "email")]


async def test_nothing_secret_is_put_on_record(linked: Api) -> None:
    """N10, D4: neither keys nor addresses stand in events."""
    await linked.post(EMAIL, email=NEW)
    link = await key(linked.house)
    await linked.post(VERIFY, key=link)
    await linked.call("PATCH", EMAIL, {"email": NEW, "primary": True})
    await linked.call("DELETE", EMAIL, {"email": ADA})

    rows = [f"{row.data} {row.context}" for row in await linked.house.event_rows()]
    assert len(rows) > 5
    for secret in (link, link.rpartition(".")[2], ADA, NEW):
        assert not [row for row in rows if secret in row]
