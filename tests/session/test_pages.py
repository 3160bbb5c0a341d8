"""Pages without scripts: what they show, where they lead, and what they do not let happen."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from services.session.pages.everything import routes_for
from services.session.pages.frame import MAX_FIELDS
from services.session.pages.paths import OWN, PATHS, REFERENCE, own_path
from services.session.pages.site import Offers
from tests.journeys.client import ORIGIN
from tests.journeys.suite import InProcess, in_process
from tests.session.reader import Reader, Sheet

EVERYTHING: dict[str, Any] = {
    "mfa_supported_types": ("totp", "webauthn", "recovery_codes"),
    "mfa_passkey_login_enabled": True,
    "mfa_passkey_signup_enabled": True,
    "mfa_trust_enabled": True,
    "account_login_by_code_enabled": True,
    "account_email_verification_max_resend_count": 1,
    "account_email_verification_max_change_count": 1,
}
ELSEWHERE = [
    "https://evil.example/",
    "//evil.example/",
    "/\\evil.example/",
    "/%09/evil.example".replace("%09", "\t"),
    "javascript:alert(1)",
    "evil.example",
    "/a b",
    "/ä",
    "/" + "a" * 600,
]
SECURITY = {
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[InProcess]:
    """A suite with every page there is."""
    async with in_process(tmp_path / "suite", **EVERYTHING) as running:
        yield running


@pytest_asyncio.fixture
async def reader(suite: InProcess) -> AsyncIterator[Reader]:
    """Somebody who has no account yet."""
    reader = Reader(suite)
    yield reader
    await reader.close()


@pytest_asyncio.fixture
async def ada(reader: Reader) -> Reader:
    """The same, signed up and logged in."""
    await reader.sign_up()
    return reader


def with_spaces(code: str | None) -> str:
    """Return a code as somebody may have pasted or typed it."""
    return f" {str(code).lower().replace('-', ' ')} "


# Journeys


async def test_the_root_leads_a_newcomer_to_where_accounts_are_made(reader: Reader) -> None:
    sheet = await reader.get("")
    root = await reader.http.get("/")

    assert root.url.path == "/accounts/login/"
    assert sheet.title == "Log in"
    assert "/accounts/signup/" in sheet.text


async def test_somebody_signs_up_and_is_inside(reader: Reader) -> None:
    await reader.get("signup/")
    asked = await reader.post("signup/", email=reader.email, password=reader.password)
    assert (asked.path, asked.title) == ("/accounts/confirm-email/", "Verify your email address")
    assert "/inbox" in asked.text
    wrong = await reader.post("confirm-email/", key="BCDF-GHJK")
    assert wrong.wrong == {"key": "That code is not right. Check it, and try again."}
    code = await reader.suite.mailed_code(reader.email)

    inside = await reader.post("confirm-email/", key=with_spaces(code))

    assert (inside.path, inside.title) == ("/accounts/", "Overview")
    assert "protected by one thing only" in inside.text


async def test_somebody_gives_a_second_factor_and_gets_to_where_they_were_going(
    ada: Reader,
) -> None:
    secret = await ada.turn_on_totp()
    assert ada.sheet is not None
    assert ada.sheet.title == "Recovery codes"
    await ada.get("logout/")
    await ada.post("logout/")

    asked = await ada.log_in("/accounts/sessions/")
    assert asked.path == "/accounts/2fa/authenticate/?next=%2Faccounts%2Fsessions%2F"
    code = await ada.suite.fresh_code(secret)
    trust = await ada.post(
        "2fa/authenticate/?next=/accounts/sessions/", code=f"{code[:3]} {code[3:]}"
    )
    assert trust.title == "Trust this browser?"
    there = await ada.post("2fa/trust/?next=/accounts/sessions/", trust="true")

    assert (there.path, there.title) == ("/accounts/sessions/", "Sessions")
    await ada.get("logout/")
    await ada.post("logout/")
    assert (await ada.log_in()).title == "Overview"


async def test_who_has_lost_their_phone_gets_in_by_a_recovery_code_and_sets_up_another(
    ada: Reader,
) -> None:
    await ada.turn_on_totp()
    assert ada.sheet is not None
    codes = re.findall(r"<li>(\d{8})</li>", ada.sheet.text)
    await ada.get("logout/")
    await ada.post("logout/")
    await ada.log_in()

    other = await ada.get("2fa/authenticate/?by=recoverycodes")
    assert "Recovery code" in other.text
    await ada.post("2fa/authenticate/", code=codes[0])
    await ada.post("2fa/trust/", trust="false")
    await ada.prove("2fa/totp/deactivate/")
    removed = await ada.post("2fa/totp/deactivate/")

    assert removed.news == ["Your authenticator app was removed."]
    assert await ada.turn_on_totp()


async def test_whose_cookie_was_stolen_ends_all_sessions(suite: InProcess, ada: Reader) -> None:
    thief = Reader(suite)
    thief.http.cookies.update(dict(ada.http.cookies))
    assert (await thief.get("")).title == "Overview"
    await ada.get("sessions/")

    gone = await ada.post("sessions/", all="true")

    assert gone.news == ["All sessions have ended. Please log in again."]
    assert (await thief.get("")).title == "Log in"
    await thief.close()


async def test_a_session_is_ended_alone(suite: InProcess, ada: Reader) -> None:
    elsewhere = Reader(suite)
    await elsewhere.log_in()
    sheet = await ada.get("sessions/")
    others = re.findall(r'name="session" value="([^"]+)"', sheet.text)
    assert len(others) == 1

    left = await ada.post("sessions/", session=others[0])

    assert left.news == ["The session has ended."]
    assert (await elsewhere.get("")).title == "Log in"
    await elsewhere.close()


async def test_addresses_are_added_made_the_main_one_and_removed(ada: Reader) -> None:
    await ada.get("email/")
    asked = await ada.post("email/", email="eve@example.org", action_add="true")
    assert asked.path == "/accounts/confirm-email/"
    code = await ada.suite.mailed_code("eve@example.org")
    added = await ada.post("confirm-email/", key=str(code))
    assert added.news == ["Your email address is verified."]

    main = await ada.post("email/", email="eve@example.org", action_primary="true")
    assert main.news == ["This is your main address now."]
    gone = await ada.post("email/", email=ada.email, action_remove="true")

    assert gone.news == ["The address was removed."]
    assert ada.email not in gone.text


async def test_a_mailed_code_logs_in(ada: Reader) -> None:
    await ada.get("logout/")
    await ada.post("logout/")
    await ada.get("login/code/")
    await ada.post("login/code/", email=ada.email)
    code = await ada.suite.mailed_code(ada.email)

    inside = await ada.post("login/code/confirm/", code=with_spaces(code))

    assert inside.title == "Overview"


async def test_the_password_is_changed_by_the_one_that_there_is(ada: Reader) -> None:
    await ada.get("password/change/")
    wrong = await ada.post("password/change/", current_password="no", new_password="12345")
    assert set(wrong.wrong) == {"current_password", "new_password"}

    changed = await ada.post(
        "password/change/", current_password=ada.password, new_password="a long new one 7"
    )

    assert changed.news == ["Your password was changed. All other sessions have ended."]


async def test_a_forgotten_password_is_set_anew_by_a_code(tmp_path: Path) -> None:
    changes = {"account_password_reset_by_code_enabled": True}
    async with in_process(tmp_path / "suite", **changes) as suite:
        reader = Reader(suite)
        await reader.sign_up()
        await reader.get("logout/")
        await reader.post("logout/")
        assert "/accounts/password/reset/" in (await reader.get("login/")).text
        await reader.get("password/reset/")
        asked = await reader.post("password/reset/", email=reader.email)
        assert (asked.path, asked.title) == (
            "/accounts/password/reset/confirm/",
            "Set a new password",
        )
        code = str(await suite.mailed_code(reader.email))
        wrong = await reader.post("password/reset/confirm/", key="BCDF-GHJK", password="12345")
        assert set(wrong.wrong) == {"key", "password"}
        reader.password = "a wholly new one 7"

        done = await reader.post(
            "password/reset/confirm/", key=with_spaces(code), password=reader.password
        )

        assert done.news == ["Your password was reset. Log in with it now."]
        assert (await reader.log_in()).title == "Overview"
        await reader.close()


async def test_a_forgotten_password_is_set_anew_by_a_link(ada: Reader) -> None:
    await ada.get("logout/")
    await ada.post("logout/")
    await ada.get("password/reset/")
    sent = await ada.post("password/reset/", email=ada.email)
    assert sent.title == "Look into your mail"
    await ada.suite.deliver()
    mails = (await ada.http.get("/inbox.json")).json()["messages"]
    link = re.search(r"(?m)^http://localhost:8000/accounts/(.*)$", mails[0]["text"])
    assert link is not None
    assert (await ada.get(link[1])).title == "Set a new password"
    weak = await ada.post(link[1], password="12345")
    assert set(weak.wrong) == {"password"}
    assert ada.email in weak.text
    ada.password = "a wholly new one 7"

    done = await ada.post(link[1], password=ada.password)

    assert done.news == ["Your password was reset. Log in with it now."]
    assert (await ada.log_in()).title == "Overview"
    await ada.get("logout/")
    await ada.post("logout/")
    dead = await ada.get(link[1])
    assert dead.wrong == {"key": "This link is not good any more. Ask for a new one."}
    assert 'href="/accounts/password/reset/"' in dead.text


async def test_an_account_is_deleted_by_who_is_sure(ada: Reader) -> None:
    await ada.prove("delete/")
    unsure = await ada.post("delete/")
    assert unsure.wrong == {"sure": "Please tick the box if you are sure."}

    gone = await ada.post("delete/", sure="true")

    assert gone.news == ["Your account was deleted. A mail confirms it."]
    assert (await ada.log_in()).wrong == {
        "password": "The email address or the password is not right."
    }


async def test_a_link_that_verifies_does_nothing_until_somebody_presses_the_button(
    tmp_path: Path,
) -> None:
    changes = {"account_email_verification_by_code_enabled": False}
    async with in_process(tmp_path / "suite", **changes) as suite:
        reader = Reader(suite)
        await reader.get("signup/")
        sent = await reader.post("signup/", email=reader.email, password=reader.password)
        assert sent.title == "Look into your mail"
        await suite.deliver()
        mails = (await reader.http.get("/inbox.json")).json()["messages"]
        link = re.search(r"(?m)^http://localhost:8000/accounts/(.*)$", mails[0]["text"])
        assert link is not None

        opened = await reader.get(link[1])
        assert reader.email in opened.text
        assert (await Reader(suite).log_in()).title == "Look into your mail"
        await reader.get(link[1])
        verified = await reader.post(link[1])

        assert "Your email address is verified." in verified.news
        assert (await Reader(suite).log_in()).title == "Overview"
        await reader.close()


# Ways on


async def test_what_happened_is_told_when_the_ledger_is_back(tmp_path: Path) -> None:
    async with in_process(tmp_path / "suite", audit_url="http://127.0.0.1:1") as suite:
        reader = Reader(suite)
        await reader.sign_up()

        away = await reader.get("activity/")

        assert (away.status, away.title) == (503, "This does not work just now")
        assert (await reader.get("")).title == "Overview"
        await reader.close()


async def test_a_code_that_came_too_late_leads_to_a_new_beginning(ada: Reader) -> None:
    await ada.get("logout/")
    await ada.post("logout/")
    await ada.get("login/code/")
    await ada.post("login/code/", email=ada.email)
    code = await ada.suite.mailed_code(ada.email)
    ada.suite.clock.advance(timedelta(minutes=4))

    late = await ada.post("login/code/confirm/", code=str(code))

    assert late.path == "/accounts/login/"
    assert late.news == ["That took too long, or was tried too often. Please start again."]


async def test_a_code_of_a_sign_up_that_came_too_late_leads_to_a_new_beginning(
    reader: Reader,
) -> None:
    await reader.get("signup/")
    await reader.post("signup/", email=reader.email, password=reader.password)
    code = await reader.suite.mailed_code(reader.email)
    reader.suite.clock.advance(timedelta(hours=2))

    late = await reader.post("confirm-email/", key=str(code))

    assert late.path == "/accounts/login/"
    assert late.news == ["That took too long, or was tried too often. Please start again."]


async def test_a_second_factor_that_is_away_leaves_the_others(tmp_path: Path) -> None:
    async with in_process(tmp_path / "suite", **EVERYTHING) as suite:
        ada = Reader(suite)
        await ada.sign_up()
        await ada.turn_on_totp()
        assert ada.sheet is not None
        codes = re.findall(r"<li>(\d{8})</li>", ada.sheet.text)
        await ada.get("logout/")
        await ada.post("logout/")
        await ada.log_in()
        (tmp_path / "suite" / "totp.db").write_bytes(b"no database at all" * 100)

        away = await ada.post("2fa/authenticate/", code="123456")

        assert (away.status, away.title) == (503, "This does not work just now")
        assert 'href="/accounts/2fa/authenticate/">Try again' in away.text
        again = await ada.get("2fa/authenticate/")
        assert "by=recoverycodes" in again.text
        inside = await ada.post("2fa/authenticate/?by=recoverycodes", code=codes[0])
        assert inside.title == "Trust this browser?"
        await ada.close()


async def test_too_many_codes_say_how_long_to_wait(ada: Reader) -> None:
    await ada.turn_on_totp()
    await ada.get("logout/")
    await ada.post("logout/")
    await ada.log_in()
    for _ in range(12):
        sheet = await ada.post("2fa/authenticate/", code="000000")

    assert re.search(r"Try again in \d+ (second|minute)s?\.", " ".join(sheet.news))
    assert "retry-after" in sheet.response.headers


async def test_too_many_tries_say_how_long_to_wait(ada: Reader) -> None:
    await ada.get("logout/")
    await ada.post("logout/")
    await ada.get("login/")
    for _ in range(12):
        sheet = await ada.post("login/", email=ada.email, password="wrong-horse-9")

    assert len(sheet.news) == 1
    assert sheet.news[0].startswith("Too many wrong tries. Nothing was checked this time.")
    assert re.search(r"Try again in \d+ (second|minute)s?\.", sheet.news[0])
    assert "retry-after" in sheet.response.headers


@pytest.mark.parametrize("typed", ["WIZARD", "address"])
async def test_somebody_signs_up_and_logs_in_by_either_name(tmp_path: Path, typed: str) -> None:
    either = {
        "account_login_methods": "username,email",
        "account_signup_fields": "username,email*,password1*",
    }
    async with in_process(tmp_path, **either) as running:
        reader = Reader(running)
        form = await reader.get("signup/")
        assert form.text.index("id_username") < form.text.index("id_email")
        known: dict[str, Any] = {"email": reader.email, "password": reader.password}
        wrong = await reader.post("signup/", username="a wizard", **known)
        assert wrong.wrong["username"].startswith("A username is made of letters")
        await reader.post("signup/", username="Wizard", **known)
        await reader.post("confirm-email/", key=str(await running.mailed_code(reader.email)))
        await reader.get("logout/")
        await reader.post("logout/")
        await reader.get("login/")
        login = reader.email if typed == "address" else typed
        refused = await reader.post("login/", login=login, password="wrong")
        assert "is not right" in str(refused.wrong)

        inside = await reader.post("login/", login=login, password=reader.password)

        assert (inside.path, inside.title) == ("/accounts/", "Overview")
        await reader.close()


async def test_a_factor_that_is_away_is_told_with_a_way_on(tmp_path: Path) -> None:
    changes = {**EVERYTHING, "mfa_other_factors": {}, "countersign_development": True}
    async with in_process(tmp_path / "suite", **changes) as suite:
        reader = Reader(suite)
        await reader.sign_up()
        (tmp_path / "suite" / "recovery.db").write_bytes(b"no database at all" * 100)

        away = await reader.get("2fa/trusted-browsers/")

        assert (away.status, away.title) == (503, "This does not work just now")
        assert 'href="/accounts/2fa/trusted-browsers/"' in away.text
        assert "retry-after" in away.response.headers
        await reader.close()


async def test_a_page_that_there_is_not_leads_back(reader: Reader) -> None:
    sheet = await reader.get("nowhere/")

    assert (sheet.status, sheet.title) == (404, "There is no such page")
    assert 'href="/accounts/"' in sheet.text


async def test_a_slash_that_was_left_out_is_put_in(reader: Reader) -> None:
    assert (await reader.get("signup?next=/accounts/email/")).path == (
        "/accounts/signup/?next=/accounts/email/"
    )


# Security


@pytest.mark.parametrize("next", ELSEWHERE)
async def test_nobody_is_led_to_another_site(ada: Reader, next: str) -> None:
    """N9: a link to the login page is not to be a link to anywhere."""
    assert own_path(next) is None
    await ada.get("logout/")
    await ada.post("logout/")
    await ada.get("login/")
    answer = await ada.http.post(
        "/accounts/login/",
        params={"next": next},
        data={
            "csrfmiddlewaretoken": ada.token,
            "next": next,
            "email": ada.email,
            "password": ada.password,
        },
        headers={"Origin": ORIGIN},
        follow_redirects=False,
    )

    assert (answer.status_code, answer.headers["location"]) == (303, "/accounts/")


@pytest.mark.parametrize("path", ["/accounts/sessions/?a=b", "/", "/app/#part"])
def test_a_path_of_this_site_is_where_one_goes_on(path: str) -> None:
    assert own_path(path) == path


@pytest.mark.parametrize(
    ("headers", "token"),
    [
        ({"Origin": "https://evil.example"}, True),
        ({"Origin": "null"}, True),
        ({"Referer": "https://evil.example/accounts/"}, True),
        ({"Origin": ORIGIN}, False),
    ],
)
async def test_a_form_of_another_site_does_nothing(
    ada: Reader, headers: dict[str, str], token: bool
) -> None:
    """N9: it takes the token of a form of ours, and an origin of ours."""
    await ada.get("logout/")
    data = {"csrfmiddlewaretoken": ada.token if token else "x" * 32}

    answer = await ada.http.post("/accounts/logout/", data=data, headers=headers)

    assert answer.status_code == 403
    assert "This page was open for too long" in answer.text
    assert (await ada.get("")).title == "Overview"


async def test_a_link_alone_changes_nothing(ada: Reader) -> None:
    for path in ("logout/", "2fa/totp/deactivate/", "delete/", "2fa/recovery-codes/generate/"):
        await ada.get(path)

    assert (await ada.get("")).title == "Overview"


async def test_every_page_says_what_browsers_may_make_of_it(ada: Reader) -> None:
    """N1, N9: no script or style that is not a file of ours, no frame, nothing kept."""
    for path in ("", "2fa/", "sessions/", "nowhere/", "email/", "reauthenticate/?as=p"):
        sheet = await ada.get(path)
        headers = sheet.response.headers
        policy = headers["content-security-policy"]

        assert {name: headers[name] for name in SECURITY} == SECURITY
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert not re.search(
            r"<style|style=|<script(?! type=\"module\" src=\"/accounts/static/)| on\w+=", sheet.text
        )
        assert not re.search(r"(src|href)=\"(https?:)?//", sheet.text)


async def test_a_login_gives_the_session_another_name(ada: Reader) -> None:
    """N9: and to the forms another token."""
    await ada.get("logout/")
    await ada.post("logout/")
    await ada.get("login/")
    before = dict(ada.http.cookies)

    await ada.post("login/", email=ada.email, password=ada.password)

    assert ada.http.cookies["sessionid"] != before.get("sessionid")
    assert ada.http.cookies["csrftoken"] != before["csrftoken"]


async def test_what_was_typed_and_is_secret_is_not_written_back(reader: Reader) -> None:
    await reader.get("login/")
    sheet = await reader.post("login/", email="x@", password="hush-hush-99")

    assert "hush-hush-99" not in sheet.text
    assert 'value="x@"' in sheet.text


async def test_what_was_typed_is_no_markup(reader: Reader) -> None:
    await reader.get("login/")
    sheet = await reader.post("login/", email='"><b>x</b>', password="")

    assert "<b>x</b>" not in sheet.text


@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xfe",
        b"a=%ff%fe",
        b"&".join(b"f%d=1" % number for number in range(MAX_FIELDS + 1)),
    ],
)
async def test_a_form_that_cannot_be_read_is_a_mistake_and_no_breakdown(
    reader: Reader, body: bytes
) -> None:
    """D7."""
    await reader.get("login/")
    kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": ORIGIN}

    answer = await reader.http.post("/accounts/login/", content=body, headers=kind)

    assert answer.status_code == 400
    assert "cannot be read" in answer.text


async def test_a_stage_page_is_for_who_waits_at_that_stage(reader: Reader, ada: Reader) -> None:
    """N1: and no settings are for who has not finished a login."""
    await ada.turn_on_totp()
    await ada.get("logout/")
    await ada.post("logout/")
    await ada.log_in()

    for path in ("", "2fa/", "email/", "delete/", "2fa/trust/", "2fa/recovery-codes/"):
        assert (await ada.get(path)).title == "One more step"


async def test_notices_are_only_those_that_there_are(ada: Reader) -> None:
    ada.http.cookies.set("countersign_notice", "<script>x</script>", domain="localhost.local")

    assert (await ada.get("")).news == []


# What is there


async def test_every_page_of_the_reference_is_there_under_its_name() -> None:
    everything = Offers(
        types=("totp", "webauthn", "recovery_codes"),
        passkey_login=True,
        passkey_signup=True,
        login_by_code=True,
        trust=True,
        resets_passwords=True,
        reset_by_code=True,
    )
    by_link = Offers(verification_by_code=False, resets_passwords=True)
    served = {route.name for offers in (everything, by_link) for route in routes_for(offers)}

    assert served == set(PATHS)
    assert not REFERENCE.keys() & OWN.keys()


async def test_what_is_not_offered_has_no_page(tmp_path: Path) -> None:
    async with in_process(tmp_path / "suite") as suite:
        reader = Reader(suite)
        await reader.sign_up()
        for path in ("2fa/webauthn/", "login/code/", "2fa/trusted-browsers/", "signup/passkey/"):
            assert (await reader.get(path)).status == 404
        assert "assk" not in (await reader.get("2fa/")).text
        await reader.close()


async def test_with_headless_only_there_are_no_pages(tmp_path: Path) -> None:
    async with in_process(tmp_path / "suite", headless_only=True) as suite:
        reader = Reader(suite)
        for path in ("/", "/accounts/", "/accounts/login/", "/.well-known/change-password"):
            assert (await reader.http.get(path)).status_code == 404
        await reader.close()


async def test_password_managers_find_the_pages(reader: Reader) -> None:
    change = await reader.http.get("/.well-known/change-password", follow_redirects=False)
    passkeys = (await reader.http.get("/.well-known/passkey-endpoints")).json()

    assert change.headers["location"] == "/accounts/password/change/"
    assert passkeys == {
        "enroll": f"{ORIGIN}/accounts/2fa/webauthn/add/",
        "manage": f"{ORIGIN}/accounts/2fa/webauthn/",
    }


async def test_the_older_name_of_the_second_factor_leads_to_its_pages(ada: Reader) -> None:
    assert (await ada.get("mfa/totp/activate/?next=/x")).path.startswith(
        "/accounts/reauthenticate/?next=%2Faccounts%2F2fa%2Ftotp%2Factivate%2F"
    )


async def test_fields_tell_browsers_and_keyboards_what_belongs_in_them(reader: Reader) -> None:
    """Of a phone, the mail's code is offered, and digits where there are no letters."""
    login = await reader.get("login/")
    assert '"username webauthn"' in field_of(login, "email")
    assert 'inputmode="email"' in field_of(login, "email")
    assert '"current-password"' in field_of(login, "password")
    assert '"new-password"' in field_of(await reader.get("signup/"), "password")
    asked = await reader.post("signup/", email=reader.email, password=reader.password)
    assert '"one-time-code"' in field_of(asked, "key")
    code = await reader.suite.mailed_code(reader.email)
    await reader.post("confirm-email/", key=str(code))
    totp = await reader.prove("2fa/totp/activate/")
    assert 'autocomplete="one-time-code" required inputmode="numeric"' in field_of(totp, "code")
    await reader.get("logout/")
    await reader.post("logout/")
    await reader.get("login/code/")
    mailed = await reader.post("login/code/", email=reader.email)
    assert '"one-time-code"' in field_of(mailed, "code")


def field_of(sheet: Sheet, name: str) -> str:
    """Return the field of that name, as it is written."""
    found = re.search(rf'<input id="id_{name}"[^>]*>', sheet.text)
    assert found is not None
    return found[0]


def test_nothing_moves_for_who_wants_it_still() -> None:
    """WCAG 2.2, success criterion 2.3.3: whatever moves is for those who have not asked."""
    styles = (files("services.session.pages") / "static" / "pages.css").read_text()
    allowed = "@media (prefers-reduced-motion: no-preference) {"
    before, _, rest = styles.partition(allowed)
    after = rest.partition("\n}")[2]

    assert rest
    assert not re.search(r"transition|animation|scroll-behavior|@keyframes", before + after)


async def test_what_pages_are_dressed_in_is_kept_and_changes_its_name_when_it_changes(
    reader: Reader,
) -> None:
    sheet = await reader.get("login/")
    found = set(re.findall(r'(?:src|href)="(/accounts/static/[^"]+)"', sheet.text))
    assert len(found) == 5

    total = len(sheet.response.content)
    for path in found:
        asset: httpx.Response = await reader.http.get(path)
        assert asset.status_code == 200
        assert "immutable" in asset.headers["cache-control"]
        total += len(asset.content)
    assert total < 60 * 1024
