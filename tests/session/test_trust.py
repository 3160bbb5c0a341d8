"""Browsers that people trust, as clients see it: asked, recognised, refused, and what never is."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from starlette.routing import Route

from services.session.domain.limits import LOGIN
from services.session.domain.mails import MailKind
from services.session.domain.register import Intent, Pending
from services.session.flows import PasswordHasher
from services.session.flows.register import LIVE
from tests.session.house import ADA, PASSWORD, Cut, House, counted
from tests.session.test_api_contract import Answer, Api
from tests.session.test_flows_operate import operating
from tests.session.trusting import (
    BROWSERS,
    COOKIE,
    TRUST,
    Browser,
    Trusting,
    open_trusting,
    pending,
    protected,
)

NEW_PASSWORD = "battery-staple-8"
FOREVER_AGO = "A" * 22 + "." + "B" * 22
CHECK = "/browsers/check"


@pytest.fixture
async def trusting(house: House) -> AsyncIterator[Trusting]:
    async with open_trusting(house) as trusting:
        yield trusting


@pytest.fixture
async def ada(trusting: Trusting) -> Browser:
    """Ada, who has TOTP, logged out, at a browser that is not trusted."""
    return await protected(trusting)


# The question


async def test_who_trusts_a_browser_is_not_asked_in_it_again(
    ada: Browser, trusting: Trusting
) -> None:
    """K1: the browser keeps random tokens, and the server hashes of them."""
    asked = await ada.come_to_the_question()
    assert asked.body["meta"] == {"is_authenticated": False}
    assert asked.flows[-1] == {"id": "mfa_trust", "is_pending": True}
    assert ada.cookie is None

    done = await ada.decide(trusts=True)

    assert [m["method"] for m in done.body["data"]["methods"]] == ["password", "mfa"]
    assert ada.cookie is not None
    assert len(ada.cookie) == 45
    await ada.log_out()
    again = await ada.log_in()
    assert again.status == 200
    assert [m["method"] for m in again.body["data"]["methods"]] == ["password"]
    assert await trusting.told() == ["trust_given", "trust_used"]


@pytest.mark.parametrize("no", [False, None, "absent"])
async def test_who_does_not_say_yes_goes_on_without(
    ada: Browser, trusting: Trusting, no: object
) -> None:
    """K4: only JSON's true says yes."""
    await ada.come_to_the_question()

    done = await (ada.post(TRUST) if no == "absent" else ada.decide(trusts=no))

    assert done.status == 200
    assert ada.cookie is None
    assert not await ada.is_trusted()
    assert await trusting.told() == []
    assert trusting.asked() == []


@pytest.mark.parametrize("odd", ["true", "1", 1, 1.0, [True], {"trust": True}, ""])
async def test_what_is_neither_yes_nor_no_is_refused(ada: Browser, odd: object) -> None:
    """K4: and the login waits where it was."""
    await ada.come_to_the_question()

    refused = await ada.decide(trusts=odd)

    assert (refused.status, refused.codes) == (400, [("invalid", "trust")])
    assert ada.cookie is None
    assert pending(await ada.api.get("auth/session")) == "mfa_trust"


async def test_nobody_else_can_have_a_browser_trusted(ada: Browser, trusting: Trusting) -> None:
    """K4: neither who has given nothing, nor the password alone, nor who is logged in already."""
    stranger = trusting.browser()
    await stranger.api.get("config")
    assert (await stranger.decide(trusts=True)).status == 401
    await ada.log_in()
    early = await ada.decide(trusts=True)
    assert (early.status, early.body["meta"]) == (401, {"is_authenticated": None})
    await ada.give_code()
    await ada.decide(trusts=False)
    assert (await ada.decide(trusts=True)).status == 401
    await ada.log_out()
    await ada.come_to_be_trusted()
    assert await ada.is_trusted()
    late = await ada.decide(trusts=True)

    assert late.status == 401
    assert await trusting.told() == ["trust_given", "trust_used"]


async def test_while_the_question_waits_nothing_else_is_open(ada: Browser) -> None:
    """O2, K4: nobody is logged in before it is answered."""
    await ada.come_to_the_question()

    for path in ("account/authenticators", BROWSERS, "auth/sessions"):
        barred = await ada.api.get(path)
        assert (barred.status, pending(barred)) == (401, "mfa_trust")
    code = await ada.give_code()
    assert (code.status, code.body["meta"]) == (401, {"is_authenticated": None})


async def test_an_app_is_never_asked_and_never_trusted(ada: Browser, trusting: Trusting) -> None:
    """K3: and the cookie of a browser means nothing in its hands."""
    await ada.come_to_be_trusted()
    app = trusting.client("app", secret=ada.api.secret)
    app.house.clock.turn(seconds=30)
    cookie = f"{COOKIE}={ada.cookie}"

    login = await app.call(
        "POST", "auth/login", {"email": ADA, "password": PASSWORD}, cookie=cookie
    )
    assert pending(login) == "mfa_authenticate"
    done = await app.call("POST", "auth/2fa/authenticate", {"code": app.otp()}, cookie=cookie)

    assert done.status == 200
    assert "set-cookie" not in done.headers
    for method, path in (("POST", TRUST), ("GET", BROWSERS), ("DELETE", BROWSERS)):
        assert (await app.call(method, path)).status == 404


async def test_where_trust_is_not_enabled_there_is_none(house: House, ada: Browser) -> None:
    """K3: no stage, no endpoints, and the cookie is not read."""
    await ada.come_to_be_trusted()
    asked = [r for r in house.wires["recovery"].requests if "/browsers" in r]
    async with open_trusting(house, mfa_trust_enabled=False) as plain:
        browser = plain.browser(like=ada)
        browser.cookie = ada.cookie or ""

        assert pending(await browser.log_in()) == "mfa_authenticate"
        assert (await browser.give_code()).status == 200
        assert plain.asked() == asked
        paths = [route.path for route in plain.app.routes if isinstance(route, Route)]
        assert not [path for path in paths if "trust" in path]


# What a trusted browser does not skip


async def test_the_password_is_asked_for_as_ever(ada: Browser, trusting: Trusting) -> None:
    """K3: a wrong one is refused, and the keeper of trust is not even asked."""
    await ada.come_to_be_trusted()
    await ada.log_out()
    asked = len(trusting.asked())

    wrong = await ada.log_in(password="wrong")

    assert wrong.codes == [("email_password_mismatch", "password")]
    assert len(trusting.asked()) == asked


async def test_changes_take_a_fresh_proof_as_ever(ada: Browser) -> None:
    """K3: trust is no reauthentication."""
    await ada.come_to_be_trusted()
    assert await ada.is_trusted()

    refused = await ada.api.delete("account/authenticators/totp")

    assert refused.status == 401
    assert [flow["id"] for flow in refused.flows] == ["reauthenticate", "mfa_reauthenticate"]


async def test_the_login_says_that_a_browser_stood_in(ada: Browser, trusting: Trusting) -> None:
    """K6: what is on record of it names the browser, at the first level of assurance."""
    await ada.come_to_be_trusted()
    assert await ada.is_trusted()
    (browser,) = await ada.list()
    rows = [row for row in await trusting.house.event_rows() if row.type.endswith("logged_in")]
    told = [json.loads(row.data) for row in rows[-2:]]

    sessions = [facts.pop("session") for facts in told]
    assert told[0] == {"amr": ["pwd", "otp", "mfa"], "aal": 2}
    assert told[1] == {"amr": ["pwd"], "aal": 1, "trusted_browser": browser["id"]}
    assert len(set(sessions)) == 2


async def test_a_rest_of_the_second_factor_stops_no_trusted_browser(
    ada: Browser, trusting: Trusting
) -> None:
    """K3: nothing is judged there, so nothing is revealed."""
    await ada.come_to_be_trusted()
    stranger = trusting.browser(like=ada)
    await stranger.log_in()
    for number in range(6):
        wrong = f"{(int(stranger.api.otp()) + 1 + number) % 1_000_000:06}"
        refused = await stranger.post("auth/2fa/authenticate", code=wrong)
    assert refused.codes == [("too_many_login_attempts", "code")]

    assert await ada.is_trusted()


async def test_over_the_limit_nobody_is_asked_whether_a_browser_is_trusted(
    ada: Browser, trusting: Trusting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L5, K3: how long that takes would tell a right password that is not to be told."""
    await ada.come_to_be_trusted()
    await ada.log_out()
    asked, judged, go_on = len(trusting.asked()), asyncio.Event(), asyncio.Event()
    verify = PasswordHasher.verify

    async def slowly(self: PasswordHasher, password: str, hash: str | None) -> bool:
        right = await verify(self, password, hash)
        if right:
            judged.set()
            await go_on.wait()
        return right

    monkeypatch.setattr(PasswordHasher, "verify", slowly)
    login = asyncio.create_task(ada.log_in())
    await judged.wait()
    for _ in range(5):
        await trusting.browser().log_in(password="wrong")
    go_on.set()
    refused = await login

    assert refused.codes == [("too_many_login_attempts", None)]
    assert len(trusting.asked()) == asked


async def test_over_the_limit_of_logins_nothing_is_done_for_a_right_password(
    ada: Browser, trusting: Trusting, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L5, K3: whatever limit it is, and whether others would be asked or a register repaired."""
    house = trusting.house
    await ada.come_to_be_trusted()
    await ada.log_out()
    change = Pending(intent=Intent.ADD, type="totp", id="crashed")
    await house.store.write(house.store.mark_register(await house.account(), change, house.clock()))
    house.clock.turn(seconds=LIVE.total_seconds())
    requests = [len(wire.requests) for wire in house.wires.values()]
    counters = house.store.limits.counters(LOGIN, ip="127.0.0.1")
    verify = PasswordHasher.verify

    async def while_others_log_in(self: PasswordHasher, password: str, hash: str | None) -> bool:
        while await house.store.write(*house.store.count(counters, house.clock())) is not None:
            pass
        return await verify(self, password, hash)

    monkeypatch.setattr(PasswordHasher, "verify", while_others_log_in)

    right, wrong = await ada.log_in(), await trusting.browser().log_in(password="wrong")

    assert right.status == wrong.status == 429
    assert [len(wire.requests) for wire in house.wires.values()] == requests
    assert (await house.user()).register_pending is not None


# When trust ends


async def change_password(browser: Browser) -> None:
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    assert (await browser.api.post("account/password/change", **change)).status == 200


async def turn_off_and_on(browser: Browser) -> None:
    api = browser.api
    await api.post("auth/reauthenticate", password=PASSWORD)
    assert (await api.delete("account/authenticators/totp")).status == 200
    await api.protect()


async def end_all_sessions(browser: Browser) -> None:
    assert (await browser.api.call("DELETE", "auth/sessions", {"all": True})).status == 401


async def let_it_age(browser: Browser) -> None:
    browser.api.house.clock.turn(days=14)


async def disable_for_a_moment(browser: Browser) -> None:
    operators = operating(browser.api.house)
    await operators.disable(ADA)
    await operators.enable(ADA)


async def end_all_by_an_operator(browser: Browser) -> None:
    await operating(browser.api.house).end_sessions(ADA)


ENDINGS: dict[str, tuple[Callable[[Browser], Awaitable[None]], str]] = {
    "the password was changed": (change_password, NEW_PASSWORD),
    "the second factor was replaced": (turn_off_and_on, PASSWORD),
    "all sessions were ended": (end_all_sessions, PASSWORD),
    "it is two weeks old": (let_it_age, PASSWORD),
    "an operator disabled the account": (disable_for_a_moment, PASSWORD),
    "an operator ended all sessions": (end_all_by_an_operator, PASSWORD),
}


@pytest.mark.parametrize("ending", ENDINGS)
async def test_trust_ends_when(ada: Browser, trusting: Trusting, ending: str) -> None:
    """K2: with the epoch of the factors, or of age."""
    act, password = ENDINGS[ending]
    await ada.come_to_be_trusted()
    await act(ada)
    await ada.log_out()

    again = await ada.log_in(password=password)

    assert pending(again) == "mfa_authenticate"
    assert (await trusting.events())[-1][0] == "trust_refused"
    assert ada.cookie is None  # it was of no use any more


async def test_use_does_not_make_trust_last_longer(ada: Browser, trusting: Trusting) -> None:
    """K2: the age is that of the second factor that was given."""
    await ada.come_to_be_trusted()
    trusting.house.clock.turn(days=13)
    assert await ada.is_trusted()
    trusting.house.clock.turn(days=1)

    assert not await ada.is_trusted()


# Tokens


async def test_what_is_no_good_token_counts_as_absent(ada: Browser, trusting: Trusting) -> None:
    """K5: tampered, made up, or somebody else's, it lets nobody past, and is on record."""
    await ada.come_to_be_trusted()
    await ada.log_out()
    good = ada.cookie or ""
    series, _, secret = good.partition(".")
    tampered = "A" if series[0] != "A" else "B"
    before = len(await trusting.told())
    for bad in (FOREVER_AGO, f"{tampered}{series[1:]}.{secret}"):
        other = trusting.browser(like=ada)
        other.cookie = bad
        assert pending(await other.log_in()) == "mfa_authenticate"
        assert other.cookie is None
    for rubbish in ("x", "~~~", good[:-1], good.replace(".", ""), "A" * 5000):
        other = trusting.browser(like=ada)
        other.cookie = rubbish
        assert pending(await other.log_in()) == "mfa_authenticate"
    assert (await trusting.told())[before:] == ["trust_refused"] * 2

    assert await ada.is_trusted()


async def test_a_token_is_replaced_at_every_use(ada: Browser) -> None:
    """K8: and the one before is good until its successor has been used: two tabs, a lost answer."""
    await ada.come_to_be_trusted()
    first = ada.cookie or ""
    assert await ada.is_trusted()
    second = ada.cookie or ""
    assert second != first
    ada.cookie = first  # as if the answer had been lost
    assert await ada.is_trusted()
    assert ada.cookie == second
    assert await ada.is_trusted()

    assert ada.cookie not in (first, second)


async def test_two_tabs_at_once_are_both_trusted(ada: Browser, trusting: Trusting) -> None:
    """K8: and are given the same successor."""
    await ada.come_to_be_trusted()
    assert await ada.is_trusted()
    await ada.log_out()
    tabs = [trusting.browser(like=ada) for _ in range(4)]
    for tab in tabs:
        tab.cookie = ada.cookie or ""

    answers = await asyncio.gather(*(tab.log_in() for tab in tabs))

    assert [answer.status for answer in answers] == [200] * 4
    assert len({tab.cookie for tab in tabs}) == 1
    assert "trust_replayed" not in await trusting.told()


async def test_a_copy_is_found_out(ada: Browser, trusting: Trusting) -> None:
    """K8: a token whose successor was used is in two hands: neither is trusted any more."""
    await ada.come_to_be_trusted()
    thief = trusting.browser(like=ada)
    thief.cookie = ada.cookie or ""
    assert await ada.is_trusted()
    assert await ada.is_trusted()
    await ada.log_out()
    await trusting.house.notices()

    stolen = await thief.log_in()

    assert pending(stolen) == "mfa_authenticate"
    assert thief.cookie is None
    assert (await trusting.told())[-1] == "trust_replayed"
    assert MailKind.TRUST_REPLAYED in [m.kind for m in await trusting.house.notices()]
    assert not await ada.is_trusted()


async def test_a_thief_who_is_first_is_found_out_by_the_owner(
    ada: Browser, trusting: Trusting
) -> None:
    """K8: then it is the owner who comes with what was replaced."""
    await ada.come_to_be_trusted()
    await ada.log_out()
    thief = trusting.browser(like=ada)
    thief.cookie = ada.cookie or ""
    assert (await thief.log_in()).status == 200
    assert await thief.is_trusted()
    await trusting.house.notices()

    assert pending(await ada.log_in()) == "mfa_authenticate"
    assert not await thief.is_trusted()
    assert (await trusting.house.notices())[0].kind is MailKind.TRUST_REPLAYED


async def test_several_people_trust_one_browser(ada: Browser, trusting: Trusting) -> None:
    """K2, K5: each token is of one person, and a login of one leaves that of the other alone."""
    await ada.come_to_be_trusted()
    alone = ada.cookie or ""
    await ada.log_out()
    bob = Browser(Api(ada.api.http, trusting.house, "browser"))
    email = "bob@example.org"
    await bob.post("auth/signup", email=email, password=PASSWORD)
    await bob.post("auth/email/verify", key=await trusting.house.code())
    await bob.api.protect()
    await bob.log_out()

    assert pending(await bob.log_in(email)) == "mfa_authenticate"
    assert ada.cookie == alone  # somebody else's, and not dropped
    await bob.give_code()
    await bob.decide(trusts=True)
    assert (ada.cookie or "").split("~")[0] == alone
    await bob.log_out()
    assert (await bob.log_in(email)).status == 200
    await bob.log_out()
    assert await ada.is_trusted()
    assert len((ada.cookie or "").split("~")) == 2
    assert (await ada.revoke(all=True)).status == 200
    assert len((ada.cookie or "").split("~")) == 1
    assert not await ada.is_trusted()
    await ada.log_out()
    assert (await bob.log_in(email)).status == 200


# A person's browsers


async def test_a_person_sees_which_browsers_they_trust(ada: Browser, trusting: Trusting) -> None:
    """K7."""
    await ada.come_to_be_trusted()
    at = trusting.house.clock().timestamp()
    other = trusting.browser(like=ada)
    await other.come_to_be_trusted()

    newest, oldest = await ada.list()

    assert set(newest) == {
        "id",
        "name",
        "created_at",
        "last_used_at",
        "expires_at",
        "is_current",
    }
    assert (oldest["name"], oldest["created_at"]) == ("Firefox on Linux", at)
    assert oldest["expires_at"] == at + timedelta(days=14).total_seconds()
    assert (oldest["is_current"], newest["is_current"]) == (True, False)
    assert [browser["is_current"] for browser in await other.list()] == [True, False]


async def test_a_browser_is_revoked_from_another(ada: Browser, trusting: Trusting) -> None:
    """K7: at once, and nothing else is."""
    await ada.come_to_be_trusted()
    other = trusting.browser(like=ada)
    await other.come_to_be_trusted()
    lost = next(b["id"] for b in await other.list() if not b["is_current"])

    left = await other.revoke(browsers=[lost])

    assert [browser["is_current"] for browser in left.body["data"]] == [True]
    assert not await ada.is_trusted()
    assert await other.is_trusted()
    assert "trust_revoked" in await trusting.told()
    again = await other.revoke(browsers=[lost])
    assert (again.status, again.codes) == (400, [("invalid_choice", "browsers")])


async def test_of_browsers_that_are_not_ones_own_none_is_revoked(
    ada: Browser, trusting: Trusting
) -> None:
    """K7: not even those beside it."""
    await ada.come_to_be_trusted()
    (own,) = [browser["id"] for browser in await ada.list()]
    bob = trusting.browser()
    await bob.api.get("config")
    email = "bob@example.org"
    await bob.post("auth/signup", email=email, password=PASSWORD)
    await bob.post("auth/email/verify", key=await trusting.house.code())

    assert await bob.list() == []
    assert (await bob.revoke(browsers=[own])).codes == [("invalid_choice", "browsers")]
    assert (await ada.revoke(browsers=[own, "b" * 22])).codes == [("invalid_choice", "browsers")]
    assert (await bob.revoke(all=True)).body == {"status": 200, "data": []}
    assert [browser["id"] for browser in await ada.list()] == [own]


async def test_revoking_the_present_browser_takes_its_token_away(
    ada: Browser, trusting: Trusting
) -> None:
    """K7: what others have in the same browser stays."""
    await ada.come_to_be_trusted()
    other = trusting.browser(like=ada)
    await other.come_to_be_trusted()
    left = await ada.revoke(browsers=[b["id"] for b in await ada.list() if b["is_current"]])
    assert len(left.body["data"]) == 1
    assert ada.cookie is None

    gone = await other.revoke(all=True)

    assert gone.body["data"] == []
    assert other.cookie is None
    assert not await other.is_trusted()


@pytest.mark.parametrize(
    ("members", "fault"),
    [
        ({}, ("required", "browsers")),
        ({"browsers": []}, ("required", "browsers")),
        ({"browsers": "all"}, ("invalid_list", "browsers")),
        ({"browsers": [1]}, ("invalid_pk_value", "browsers")),
        ({"browsers": ["b"] * 101}, ("max_length", "browsers")),
        ({"browsers": ["not an id"]}, ("invalid_choice", "browsers")),
        ({"all": "true"}, ("invalid", "all")),
    ],
)
async def test_what_is_to_be_revoked_is_read_strictly(
    ada: Browser, members: dict[str, Any], fault: tuple[str, str]
) -> None:
    await ada.come_to_be_trusted()

    refused = await ada.revoke(**members)

    assert (refused.status, refused.codes) == (400, [fault])
    assert len(await ada.list()) == 1


async def test_of_too_many_browsers_the_oldest_is_trusted_no_more(
    ada: Browser, trusting: Trusting
) -> None:
    """K7."""
    await ada.come_to_be_trusted()
    for _ in range(10):
        other = trusting.browser(like=ada)
        await other.come_to_be_trusted()

    assert len(await other.list()) == 10
    assert not await ada.is_trusted()


# recovery away


async def test_while_recovery_is_away_a_cookie_counts_as_absent(
    ada: Browser, trusting: Trusting
) -> None:
    """O4: nobody is let past; and the cookie stays good."""
    await ada.come_to_be_trusted()
    trusting.wire.break_down()

    assert not await ada.is_trusted()
    assert (await ada.give_code()).status == 401
    assert (await ada.decide(trusts=False)).status == 200
    trusting.wire.restore()
    assert await ada.is_trusted()


async def test_while_recovery_is_away_no_browser_comes_to_be_trusted(
    ada: Browser, trusting: Trusting
) -> None:
    """O4: yes is 503 and the login stays where it is; no goes on."""
    await ada.come_to_the_question()
    trusting.wire.break_down()

    away = await ada.decide(trusts=True)

    assert (away.status, away.body) == (503, {"status": 503})
    assert int(away.headers["retry-after"]) > 0
    assert pending(await ada.api.get("auth/session")) == "mfa_trust"
    assert (await ada.decide(trusts=False)).status == 200
    assert ada.cookie is None
    assert (await ada.api.get(BROWSERS)).status == 503
    assert (await ada.revoke(all=True)).status == 503


async def test_a_lost_answer_to_a_check_costs_one_code(ada: Browser, trusting: Trusting) -> None:
    """K8: recovery has moved on, and the token that the browser kept is good all the same."""
    await ada.come_to_be_trusted()
    trusting.wire.cut("POST", CHECK, Cut.AFTER)

    assert not await ada.is_trusted()
    assert await ada.is_trusted()


async def test_trust_is_taken_back_with_the_login_that_it_was_given_in(
    ada: Browser, trusting: Trusting
) -> None:
    """K4: the session was ended while recovery was at work: nothing is left of it."""
    await ada.come_to_the_question()
    elsewhere = trusting.browser(like=ada)
    await elsewhere.come_to_the_question()
    await elsewhere.decide(trusts=False)
    held = trusting.wire.hold("POST", "/browsers", Cut.AFTER)
    decision = asyncio.create_task(ada.decide(trusts=True))
    await held.arrived.wait()
    await elsewhere.api.call("DELETE", "auth/sessions", {"all": True})
    held.go_on.set()

    refused = await decision

    assert refused.status == 401
    assert ada.cookie is None
    assert await trusting.told() == ["trust_given", "trust_revoked"]


# What it is told of, and what it costs


async def test_a_second_factor_that_came_is_not_missed(ada: Browser, trusting: Trusting) -> None:
    """The warning that it never came is withdrawn before the question is answered."""
    await ada.come_to_the_question()
    trusting.house.clock.turn(hours=1)

    kinds = [mail.kind for mail in await trusting.house.notices()]

    assert MailKind.SECOND_FACTOR_MISSING not in kinds


async def test_what_trust_costs(ada: Browser, trusting: Trusting) -> None:
    """A login that is asked takes 9 statements and 5 commits, in a trusted browser 5 and 3."""
    await ada.api.get("config")
    asked = [
        await cost(ada.post("auth/login", email=ADA, password=PASSWORD)),
        await cost(ada.give_code()),
        await cost(ada.decide(trusts=True)),
    ]
    await ada.log_out()
    trusted = await cost(ada.post("auth/login", email=ADA, password=PASSWORD))

    assert tuple(map(sum, zip(*asked, strict=True))) == (9, 5)
    assert trusted == (5, 3)
    assert len(trusting.asked()) == 2


def spent() -> tuple[float, float]:
    """Return all statements and all commits so far, of all services together."""
    all_of_them = [counted(name) for name in ("session", "totp", "recovery")]
    return sum(c["read"] + c["write"] for c in all_of_them), sum(c["commit"] for c in all_of_them)


async def cost(call: Awaitable[Answer]) -> tuple[float, float]:
    """Return the statements and commits that a call takes, of all services together."""
    statements, commits = spent()
    await call
    return spent()[0] - statements, spent()[1] - commits
