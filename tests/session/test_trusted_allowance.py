"""Strangers who guess passwords do not lock the owner out of a browser that the owner trusts."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import bindparam, select

from services.session.domain.limits import LAST_FAILURE, LOGIN, TRUSTED_IN_A_ROW
from services.session.domain.limits import Counter as Limit
from services.session.store.tables import attempts
from shared.database import Statement
from tests.session.house import ADA, PASSWORD, House, counted
from tests.session.test_api_contract import Answer
from tests.session.test_flows_operate import operating
from tests.session.test_limits_turns import last_failure_under_way
from tests.session.trusting import COOKIE, Browser, Trusting, open_trusting, protected

LIMITED = [("too_many_login_attempts", None)]
MISMATCH = [("email_password_mismatch", "password")]
MADE_UP = "A" * 22 + "." + "B" * 22
NOBODY = "nobody@example.org"
NEW_PASSWORD = "battery-staple-8"
BURST = 200
A_MINUTE = 30  # logins from one address
ORIGIN = "127.0.0.1"

COUNT = Statement(select(attempts.c.count).where(attempts.c.key == bindparam("key")))


@pytest.fixture
async def trusting(house: House) -> AsyncIterator[Trusting]:
    async with open_trusting(house) as trusting:
        yield trusting


@pytest.fixture
async def ada(trusting: Trusting) -> Browser:
    """Ada, logged out, at a browser that she trusts."""
    return await at_home(trusting)


async def at_home(trusting: Trusting) -> Browser:
    """Return somebody at a browser that they trust, logged out."""
    ada = await protected(trusting)
    await ada.come_to_be_trusted()
    await ada.log_out()
    return ada


async def strangers(trusting: Trusting, email: str = ADA) -> None:
    """Use up what there is for an account, in the very network that its owner is in."""
    stranger = trusting.browser()
    for _ in range(5):
        assert (await stranger.log_in(email, "wrong")).codes == MISMATCH
    assert (await stranger.log_in(email, "wrong")).codes == LIMITED


async def fail_in_a_row(house: House, times: int) -> None:
    """Count wrong passwords in browsers that ada trusts."""
    counter = await all_browsers(house)
    for _ in range(times):
        assert await house.store.write(*house.store.count((counter,), house.clock())) is not None


async def all_browsers(house: House) -> Limit:
    """Return what counts the wrong passwords in browsers that ada trusts."""
    account = await house.account()
    return house.store.limits.trusted_in_a_row(account.id, account.password_hash)


async def in_a_row(house: House) -> int:
    """Return how many wrong passwords there were in a row in browsers that ada trusts."""
    return await count_of(house, await all_browsers(house))


async def logins(house: House) -> int:
    """Return how many logins were counted within this minute."""
    (counter,) = house.store.limits.counters(LOGIN, ip=ORIGIN)
    return await count_of(house, counter)


async def leave_one_login(house: House) -> None:
    """Have all logins counted but one, that this minute has."""
    counters = house.store.limits.counters(LOGIN, ip=ORIGIN)
    for _ in range(await logins(house), A_MINUTE - 1):
        assert await house.store.write(*house.store.count(counters, house.clock())) is not None


async def count_of(house: House, counter: Limit) -> int:
    row = await house.db.find(COUNT, key=counter.key)
    return 0 if row is None else row.count


def spread(answers: list[Answer]) -> Counter[str]:
    """Return how often what was said."""
    return Counter(code for answer in answers for code, _ in answer.codes)


async def test_strangers_do_not_lock_the_owner_out_of_a_trusted_browser(
    ada: Browser, trusting: Trusting
) -> None:
    """L8: not even those who use up what the network has in which the owner is."""
    await strangers(trusting)
    untrusted = trusting.browser(like=ada)
    assert (await untrusted.log_in()).codes == LIMITED
    asked = len(trusting.asked())

    assert (await ada.log_in()).status == 200

    assert [path.rpartition("/")[2] for path in trusting.asked()[asked:]] == ["recognise", "check"]


async def test_strangers_do_not_stop_who_is_logged_in_there(
    ada: Browser, trusting: Trusting
) -> None:
    """L8: wherever a password is asked for, the same guesses are counted, and judged alike."""
    await ada.log_in()
    await strangers(trusting)

    proved = await ada.post("auth/reauthenticate", password=PASSWORD)
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}
    changed = await ada.post("account/password/change", **change)

    assert (proved.status, changed.status) == (200, 200)


async def test_guesses_in_a_trusted_browser_are_bounded(ada: Browser, trusting: Trusting) -> None:
    """L2, L8: five, wherever a password is asked for; and another such browser is left alone."""
    other = trusting.browser(like=ada)
    await other.come_to_be_trusted()
    await strangers(trusting)

    login = [await ada.log_in(password="wrong") for _ in range(3)]
    fresh = [await other.post("auth/reauthenticate", password="wrong") for _ in range(8)]
    login += [await ada.log_in(password="wrong") for _ in range(5)]
    right = await ada.log_in()

    assert spread(login) == {"email_password_mismatch": 5, "too_many_login_attempts": 3}
    assert spread(fresh) == {"incorrect_password": 5, "too_many_login_attempts": 3}
    assert right.codes == LIMITED
    assert 0 < int(right.headers["retry-after"]) <= 300
    assert await in_a_row(trusting.house) == 10


async def test_a_hundred_wrong_passwords_in_a_row_end_it(ada: Browser, trusting: Trusting) -> None:
    """L1: of all browsers together, until an operator unlocks the account."""
    await strangers(trusting)
    await fail_in_a_row(trusting.house, LAST_FAILURE - 1)

    last = await ada.log_in(password="wrong")
    beyond = await ada.log_in()

    assert (last.codes, beyond.codes) == (MISMATCH, LIMITED)
    assert int(beyond.headers["retry-after"]) > 300
    trusting.house.clock.turn(minutes=5)
    assert (await ada.log_in()).status == 200  # as everybody may again
    await ada.log_out()
    await strangers(trusting)
    assert (await ada.log_in()).codes == LIMITED
    await operating(trusting.house).unlock(ADA)
    assert await in_a_row(trusting.house) == 0
    assert (await ada.log_in()).status == 200


async def test_a_right_password_there_begins_the_count_anew(
    ada: Browser, trusting: Trusting
) -> None:
    """L1: what counts is failures in a row."""
    await strangers(trusting)
    await fail_in_a_row(trusting.house, LAST_FAILURE - 1)

    assert (await ada.log_in()).status == 200

    assert await in_a_row(trusting.house) == 0
    assert TRUSTED_IN_A_ROW.amount == LAST_FAILURE


@pytest.mark.parametrize("where", ["here", "at home"])
async def test_they_were_of_one_password(ada: Browser, trusting: Trusting, where: str) -> None:
    """L1: with another one the count begins anew, wherever that was written."""
    await ada.log_in()
    await strangers(trusting)
    await fail_in_a_row(trusting.house, LAST_FAILURE - (1 if where == "here" else 0))
    if where == "at home":  # where nothing is counted as by trusted browsers
        trusting.house.clock.turn(minutes=5)
    change = {"current_password": PASSWORD, "new_password": NEW_PASSWORD}

    assert (await ada.post("account/password/change", **change)).status == 200

    assert await in_a_row(trusting.house) == 0
    await ada.log_out()
    trusting.house.clock.turn(minutes=5)
    await ada.log_in(password=NEW_PASSWORD)
    await ada.give_code()
    assert (await ada.decide(trusts=True)).status == 200
    await ada.log_out()
    await strangers(trusting)
    assert (await ada.log_in(password=NEW_PASSWORD)).status == 200


async def test_what_is_no_good_token_gives_nothing(ada: Browser, trusting: Trusting) -> None:
    """K5, L8: made up, altered, somebody else's, or replaced by now; nor does it change a thing."""
    stale = ada.cookie or ""
    for _ in range(2):
        assert await ada.is_trusted()
    await ada.log_out()
    series, _, secret = (ada.cookie or "").partition(".")
    await strangers(trusting)
    told = await trusting.told()

    for bad in (MADE_UP, f"{series}.{secret[::-1]}", stale):
        thief = trusting.browser(like=ada)
        thief.cookie = bad
        assert (await thief.log_in()).codes == LIMITED

    assert await trusting.told() == told
    assert (await ada.log_in()).status == 200


async def test_a_browser_of_somebody_else_gives_nothing(ada: Browser, trusting: Trusting) -> None:
    """K5, L8: to have an account of one's own does not help with guessing others."""
    eve, email = trusting.browser(), "eve@example.org"
    await eve.api.get("config")
    await eve.post("auth/signup", email=email, password=PASSWORD)
    await eve.post("auth/email/verify", key=await trusting.house.code())
    await eve.api.protect()
    await eve.log_out()
    await eve.log_in(email)
    await eve.give_code()
    assert (await eve.decide(trusts=True)).status == 200
    await eve.log_out()
    await strangers(trusting)

    assert (await eve.log_in()).codes == LIMITED


async def test_a_cookie_gives_an_app_nothing(ada: Browser, trusting: Trusting) -> None:
    """K3: and nobody is asked about it."""
    await strangers(trusting)
    app, asked = trusting.client("app"), len(trusting.asked())

    refused = await app.call(
        "POST", "auth/login", {"email": ADA, "password": PASSWORD}, cookie=f"{COOKIE}={ada.cookie}"
    )

    assert refused.codes == LIMITED
    assert len(trusting.asked()) == asked


async def test_while_recovery_is_away_no_browser_is_known(ada: Browser, trusting: Trusting) -> None:
    """O4: it waits like everybody else."""
    await strangers(trusting)
    trusting.wire.break_down()

    assert (await ada.log_in()).codes == LIMITED

    trusting.wire.restore()
    assert (await ada.log_in()).status == 200


async def test_trust_that_has_ended_gives_nothing(ada: Browser, trusting: Trusting) -> None:
    """K2: here, because an operator ended all sessions."""
    await operating(trusting.house).end_sessions(ADA)
    await strangers(trusting)

    assert (await ada.log_in()).codes == LIMITED


@pytest.mark.parametrize("email", [ADA, NOBODY])
async def test_made_up_tokens_reach_recovery_no_more_often_than_people_may_log_in(
    ada: Browser, trusting: Trusting, email: str
) -> None:
    """L2, L9: each is counted before recovery is asked, for where it comes from."""
    await strangers(trusting, email)
    before, asked = await logins(trusting.house), len(trusting.asked())
    thief = trusting.browser()
    await thief.api.get("config")
    thief.cookie = MADE_UP

    answers = [
        await thief.post("auth/login", email=email, password="wrong") for _ in range(A_MINUTE)
    ]

    left = A_MINUTE - before
    assert 0 < left < A_MINUTE
    statuses = [answer.status for answer in answers]
    assert statuses == [400] * left + [429] * before
    assert len(trusting.asked()) - asked == left
    assert 0 < int(answers[-1].headers["retry-after"]) <= 60
    trusting.house.clock.turn(minutes=1)
    assert (await thief.post("auth/login", email=email, password="wrong")).codes == LIMITED
    assert len(trusting.asked()) - asked == left + 1


async def test_found_sessions_do_not_reach_recovery_without_end_either(
    ada: Browser, trusting: Trusting
) -> None:
    """L9: wherever a password is asked for, as often as it may be asked for there."""
    await ada.log_in()
    await strangers(trusting)
    ada.cookie = MADE_UP
    asked = len(trusting.asked())
    change = {"current_password": "wrong", "new_password": NEW_PASSWORD}

    proofs = [await ada.post("auth/reauthenticate", password="wrong") for _ in range(12)]
    changes = [await ada.post("account/password/change", **change) for _ in range(7)]

    assert [answer.status for answer in proofs] == [400] * 10 + [429] * 2
    assert [answer.status for answer in changes] == [400] * 5 + [429] * 2
    assert len(trusting.asked()) - asked == 10 + 5


async def test_an_attempt_in_a_trusted_browser_is_counted_once(
    ada: Browser, trusting: Trusting
) -> None:
    """L9: before recovery is asked, and not again with what comes of it."""
    await strangers(trusting)
    before = await logins(trusting.house)

    assert (await ada.log_in(password="wrong")).codes == MISMATCH
    assert (await ada.log_in()).status == 200

    assert await logins(trusting.house) == before + 2


async def test_the_last_attempt_in_a_trusted_browser_is_judged(
    ada: Browser, trusting: Trusting
) -> None:
    """L9: it does not stand in its own way."""
    await strangers(trusting)
    await leave_one_login(trusting.house)

    assert (await ada.log_in()).status == 200

    await ada.log_out()
    assert (await ada.log_in()).status == 429


async def test_a_right_password_there_waits_for_the_last_failure(pg_house: House) -> None:
    """L2: and is told what the failures leave, though it is the last login of the minute."""
    async with open_trusting(pg_house) as trusting:
        ada = await at_home(trusting)
        await strangers(trusting)
        await leave_one_login(pg_house)

        async with last_failure_under_way(pg_house, await all_browsers(pg_house)):
            login = asyncio.create_task(ada.log_in())

        assert (await login).codes == LIMITED


async def test_whether_an_address_is_known_is_not_to_be_told_by_what_is_asked(
    ada: Browser, trusting: Trusting
) -> None:
    """L8: with a token that is not good, the work and the calls are the same for nobody."""
    work = {}
    for email in (ADA, NOBODY):
        await strangers(trusting, email)
        thief = trusting.browser()
        await thief.api.get("config")
        thief.cookie = MADE_UP
        asked, before = len(trusting.asked()), spent()
        assert (await thief.post("auth/login", email=email, password=PASSWORD)).codes == LIMITED
        work[email] = (len(trusting.asked()) - asked, spent() - before)
        trusting.house.clock.turn(minutes=1)

    assert work[ADA] == work[NOBODY]
    assert work[ADA][0] == 1


def spent() -> Counter[str]:
    """Return all statements and commits so far, by service."""
    return Counter(
        {
            f"{service} {name}": int(count)
            for service in ("session", "totp", "recovery")
            for name, count in counted(service).items()
        }
    )


async def test_what_the_allowance_costs(ada: Browser, trusting: Trusting) -> None:
    """A write that counts, a call that reads once, and a read of the browser's own counters."""
    await ada.api.get("config")
    before = spent()
    await ada.post("auth/login", email=ADA, password=PASSWORD)
    plain = spent() - before
    await ada.log_out()
    await strangers(trusting)
    before = spent()
    assert (await ada.post("auth/login", email=ADA, password=PASSWORD)).status == 200

    assert spent() - before - plain == {
        "session read": 1,
        "session write": 1,
        "session commit": 1,
        "recovery read": 1,
    }


async def test_of_two_hundred_guesses_at_once_five_are_judged(pg_house: House) -> None:
    """L2: however many requests run at once in a trusted browser, which is no other's loss."""
    async with open_trusting(pg_house) as trusting:
        ada = await at_home(trusting)
        other = trusting.browser(like=ada)
        await other.come_to_be_trusted()
        await other.log_out()
        await strangers(trusting)
        asked, left = len(trusting.asked()), A_MINUTE - await logins(pg_house)

        answers = await asyncio.gather(
            *(ada.post("auth/login", email=ADA, password=f"guess number {n}") for n in range(BURST))
        )

        assert spread(answers)["email_password_mismatch"] == 5
        assert await in_a_row(pg_house) == 5
        assert [answer.status for answer in answers].count(429) == BURST - left
        assert len(trusting.asked()) - asked == left
        pg_house.clock.turn(minutes=1)
        assert (await ada.log_in()).codes == LIMITED
        assert (await other.log_in()).status == 200
