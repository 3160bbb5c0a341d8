"""Resetting a forgotten password: what opens it, what it ends, and how it fails."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Text, bindparam, delete, select, update

from services.session.domain.codes import CodeFormat
from services.session.domain.frontend_urls import (
    CONFIRM_EMAIL,
    RESET_PASSWORD_FROM_KEY,
    SIGNUP,
    FrontendUrls,
)
from services.session.domain.limits import MAILS, Limits
from services.session.domain.login_by_code import ALWAYS, LoginByCode
from services.session.domain.mails import MailKind
from services.session.domain.methods import MethodKind
from services.session.domain.password_reset import PasswordResets, gets_reset
from services.session.domain.register import Intent, Pending
from services.session.domain.stages import Stage
from services.session.domain.verification import Verification, Verified
from services.session.flows import Flows, PasswordHasher, Policy, build_flows
from services.session.flows.outcomes import (
    Done,
    Gone,
    Misfit,
    Outcome,
    Refused,
    ResetShown,
    Standing,
    Throttled,
)
from services.session.store.tables import claimed_addresses, emails, users
from shared.database import Statement, step
from tests.session.house import (
    ADA,
    HOME,
    PASSWORD,
    RING,
    House,
    Visitor,
    change_user,
    counted,
    faults_of,
    kinds,
    unavailable,
)
from tests.session.keys import with_passkey
from tests.session.test_limits_enumeration import Recorded
from tests.webauthn.authenticator import Device

NOBODY = "nobody@example.org"
SECOND = "countess@lovelace.net"
AWAY = "203.0.113.77"
FAR = "203.0.113.78"
NEW = "battery-staple-7"
WRONG = "BBBB-BBBB"
PAGE = "https://app.example.org/reset/"
PAGES = FrontendUrls(
    {
        RESET_PASSWORD_FROM_KEY: PAGE + "{key}",
        CONFIRM_EMAIL: "https://app.example.org/verify/{key}",
        SIGNUP: "https://app.example.org/signup",
    }
)
ANOTHER = Statement(emails.insert())
CLAIMS = Statement(select(claimed_addresses.c.address))
CLAIM = Statement(claimed_addresses.insert())
REMOVE = Statement(delete(emails).where(emails.c.address == bindparam("address", type_=Text())))
UNVERIFY = Statement(
    update(emails).where(emails.c.address == bindparam("of", type_=Text())).values(verified_at=None)
)
FORGET_PASSWORDS = Statement(update(users).values(password_hash=None))


def policy(*, by_code: bool = True, logs_in: bool = False, **more: Any) -> Policy:
    """Return the policy where passwords are reset so."""
    resets = PasswordResets(by_code=by_code, logs_in=logs_in)
    return Policy(**{"password_resets": resets, "pages": PAGES, **more})


def under(house: House, **chosen: Any) -> House:
    """Return the house where that was chosen of resets."""
    return house.under(policy(**chosen))


@pytest.fixture(params=[True, False], ids=["by code", "by link"])
async def there(request: pytest.FixtureRequest, house: House) -> House:
    """The house where Ada has an account, and passwords are reset by code, or by link."""
    ada = await house.visitor().join()
    await ada.log_out()
    await house.notices()
    return under(house, by_code=request.param)


@pytest.fixture
async def by_code(house: House) -> House:
    """The same, by code."""
    ada = await house.visitor().join()
    await ada.log_out()
    await house.notices()
    return under(house)


@pytest.fixture
async def by_link(house: House) -> House:
    """The same, by link."""
    ada = await house.visitor().join()
    await ada.log_out()
    await house.notices()
    return under(house, by_code=False)


async def key(house: House) -> str:
    """Return what was mailed: the code, or the key in the link."""
    (mail,) = await house.mails()
    return mail.facts.get("code") or mail.facts["link"].removeprefix(PAGE)


async def asked(who: Visitor, email: str = ADA) -> str:
    """Ask for another password; return what was mailed."""
    outcome = await who.request_reset(email)
    assert isinstance(outcome, Standing | Done), outcome
    return await key(who.house)


def is_reset(outcome: Outcome) -> Standing:
    """Return where somebody stands who has reset a password and is nobody yet."""
    assert isinstance(outcome, Standing), outcome
    assert not outcome.visit.authenticated
    return outcome


def logged_in(outcome: Outcome) -> Standing:
    """Return where somebody stands who is logged in."""
    assert isinstance(outcome, Standing), outcome
    assert outcome.visit.authenticated
    return outcome


async def is_over(visitor: Visitor) -> bool:
    """Tell whether a session has ended."""
    try:
        return not (await visitor.visit()).authenticated
    except Gone:
        return True


async def last_event(house: House, name: str) -> dict[str, Any]:
    """Return what was put on record last under that name."""
    (*_, row) = [row for row in await house.event_rows() if row.type == f"mfa.session.{name}"]
    data: dict[str, Any] = json.loads(row.data) if isinstance(row.data, str) else row.data
    return {"subject": row.subject, **data}


# A new password


async def test_whoever_reads_the_mail_sets_another_password(there: House) -> None:
    """And is not logged in by that."""
    ada = there.visitor()
    given = await asked(ada)
    shown = await ada.show_reset(given)
    assert isinstance(shown, ResetShown)
    assert shown.account.email == ADA

    outcome = is_reset(await ada.reset(given, NEW))

    assert not outcome.visit.resets
    assert faults_of(await there.visitor().log_in()) == ["email_password_mismatch"]
    assert kinds(logged_in(await there.visitor().log_in(password=NEW))) == ["password"]
    events = await there.events()
    assert "password_reset_requested" in events
    assert events[events.index("password_reset_requested") + 1] == "password_reset"


async def test_what_is_mailed_says_what_it_is_for(house: House) -> None:
    await house.visitor().join()
    for by_code, kind in (
        (True, MailKind.PASSWORD_RESET_CODE),
        (False, MailKind.PASSWORD_RESET_LINK),
    ):
        await under(house, by_code=by_code).visitor().request_reset()
        (mail,) = await house.mails()
        assert (mail.kind, mail.to) == (kind, ADA)
        if not by_code:
            assert mail.facts["link"].startswith(PAGE)
            assert ADA not in mail.facts["link"]


async def test_the_owner_is_told_of_a_new_password(there: House) -> None:
    ada = there.visitor(AWAY)
    await ada.reset(await asked(ada), NEW)

    (notice,) = await there.notices()
    assert (notice.kind, notice.to) == (MailKind.PASSWORD_RESET, ADA)
    assert notice.facts["time"]


async def test_a_reset_ends_everything_that_was_begun(there: House) -> None:
    """N4, O6, K2: sessions, logins under way and trust, by both epochs."""
    before = await there.user()
    here, elsewhere = there.visitor(), there.visitor(AWAY)
    await here.log_in()
    await (await here.protect()).log_out()
    await elsewhere.log_in()
    waiting = await elsewhere.visit()
    assert waiting.pending is Stage.MFA_AUTHENTICATE
    inside = here.elsewhere()
    await inside.log_in()
    await inside.authenticate(inside.otp())
    ada = there.visitor()

    is_reset(await ada.reset(await asked(ada), NEW))

    assert await is_over(inside)
    assert await is_over(elsewhere)
    there.clock.turn(seconds=30)
    late = await there.flows.authenticate.authenticate(waiting, here.otp())
    assert not isinstance(late, Standing)
    after = await there.user()
    assert after.session_epoch == before.session_epoch + 1
    assert after.factor_epoch > before.factor_epoch


async def test_a_reset_skips_no_second_factor(there: House) -> None:
    """O7: whoever reads the mail has one factor."""
    ada = there.visitor()
    await ada.log_in()
    await (await ada.protect()).log_out()
    await ada.reset(await asked(ada), NEW)

    begun = await ada.log_in(password=NEW)

    assert isinstance(begun, Standing)
    assert begun.visit.pending is Stage.MFA_AUTHENTICATE
    assert await there.registered() != []


@pytest.mark.parametrize("again", ["the same", "another"])
async def test_what_was_mailed_is_good_once(there: House, again: str) -> None:
    """O1: spent by the new password, in the same session and in any other."""
    ada = there.visitor()
    given = await asked(ada)
    visit = await ada.visit()
    flow = there.flows.reset_password
    is_reset(await flow.reset(visit, given, NEW))
    if again == "another":
        visit = await there.visitor().visit()

    outcome = await flow.reset(visit, given, "another-horse-8")

    assert outcome == Misfit() or faults_of(outcome) == ["invalid_password_reset"]
    logged_in(await there.visitor().log_in(password=NEW))


async def test_any_other_new_password_ends_what_was_mailed(there: House) -> None:
    """O6: so does the end of all sessions, for somebody else may have asked."""
    for end in ("change", "end"):
        ada, other = there.visitor(), there.visitor()
        logged_in(await other.log_in())
        given = await asked(ada)
        if end == "change":
            await other.change_password(PASSWORD, NEW)
            await other.change_password(NEW, PASSWORD)
        else:
            await other.end_all_sessions()

        outcome = await ada.reset(given, "another-horse-8")

        assert faults_of(outcome) in (["incorrect_code"], ["invalid_password_reset"])
        logged_in(await there.visitor().log_in())
        there.clock.turn(minutes=6)


async def test_a_disabled_account_is_as_none(there: House) -> None:
    """O6: before it was asked, and after."""
    ada = there.visitor()
    given = await asked(ada)
    await change_user(there, disabled_at=1)

    assert faults_of(await ada.reset(given, NEW)) in (
        ["incorrect_code"],
        ["invalid_password_reset"],
    )
    await there.visitor().request_reset()
    (mail,) = await there.mails()
    assert mail.kind is MailKind.UNKNOWN_ACCOUNT


async def test_a_new_password_lifts_the_lock_of_wrong_ones(there: House) -> None:
    """L8: those at every address of the account, and no limit of mails."""
    stranger = there.visitor(AWAY)
    for _ in range(5):
        await stranger.log_in(password="wrong")
    assert faults_of(await stranger.log_in()) == ["too_many_login_attempts"]
    ada = there.visitor(AWAY)

    is_reset(await ada.reset(await asked(ada), NEW))

    logged_in(await there.visitor(AWAY).log_in(password=NEW))
    for _ in range(MAILS[0].amount - 2):  # one was that of the sign-up
        assert not isinstance(await there.visitor(FAR).request_reset(), Throttled)
    assert isinstance(await there.visitor(FAR).request_reset(), Throttled)


async def test_a_second_factor_that_rests_rests_on(there: House) -> None:
    """L3: who reads the mail gets no other guesses at it."""
    ada = there.visitor()
    await ada.log_in()
    await (await ada.protect()).log_out()
    await ada.log_in()
    for number in range(5):
        await ada.authenticate(ada.wrong_otp(number))
    other = there.visitor(AWAY)
    await other.reset(await asked(other), NEW)
    await other.log_in(password=NEW)

    assert faults_of(await other.authenticate(ada.otp())) == ["too_many_login_attempts"]


async def test_where_the_owner_was_before_is_forgotten_but_here(there: House) -> None:
    """Whoever they shut out has been there as well: a login from there is told of."""
    away = there.visitor(AWAY)
    logged_in(await away.log_in())
    ada = there.visitor()
    await ada.reset(await asked(ada), NEW)
    await there.notices()

    logged_in(await there.visitor().log_in(password=NEW))
    assert await there.notices() == []
    logged_in(await there.visitor(AWAY).log_in(password=NEW))
    assert [notice.kind for notice in await there.notices()] == [MailKind.NEW_LOGIN]


async def test_who_is_logged_in_resets_and_is_nobody_then(there: House) -> None:
    """N4: the session that it is done in ends as well."""
    ada = there.visitor()
    logged_in(await ada.log_in())
    given = await asked(ada)

    outcome = await ada.reset(given, NEW)

    is_reset(outcome)
    assert ada.token is None
    assert await there.session_rows() == []


async def test_another_persons_session_goes_on(there: House) -> None:
    bob = await there.visitor(AWAY).join("bob@example.org")
    given = await asked(bob)
    outcome = logged_in(await bob.reset(given, NEW))

    assert outcome.visit.account is not None
    assert outcome.visit.account.email == "bob@example.org"
    assert (await bob.visit()).authenticated
    logged_in(await there.visitor().log_in(password=NEW))


async def test_a_login_under_way_in_the_session_ends_with_the_password(there: House) -> None:
    """O6: and the session is left with nothing."""
    ada = there.visitor()
    await ada.log_in()
    await (await ada.protect()).log_out()
    await ada.log_in()
    given = await asked(ada)
    assert (await ada.visit()).pending is Stage.MFA_AUTHENTICATE

    is_reset(await ada.reset(given, NEW))

    assert (await ada.visit()).pending is None


async def test_a_change_of_factors_in_progress_does_not_survive(there: House) -> None:
    """O6."""
    ada = there.visitor()
    logged_in(await ada.log_in())
    await ada.reauthenticate()
    await ada.show_totp()
    visit = await ada.visit()
    other = there.visitor()
    await other.reset(await asked(other), NEW)

    assert await unavailable(there.flows.totp.activate(visit, ada.otp()))
    assert await there.registered() == []


# Weak passwords


async def test_a_weak_password_is_no_attempt(there: House) -> None:
    """However many: the key is as good after that."""
    ada = there.visitor()
    given = await asked(ada)
    for password, code in (
        ("a1!", "password_too_short"),
        ("qwertyuiop12", "password_too_common"),
        ("ada@example", "password_too_similar"),
        ("8364019572", "password_entirely_numeric"),
    ):
        assert code in faults_of(await ada.reset(given, password))
    assert faults_of(await there.visitor().log_in(password="a1!")) == ["email_password_mismatch"]

    is_reset(await ada.reset(given, NEW))


async def test_a_new_password_resembles_neither_address(by_code: House) -> None:
    await _add(by_code, SECOND, verified=True)
    ada = by_code.visitor()
    given = await asked(ada, SECOND)

    for password in ("countess@lovelace", "ada@example.org1"):
        assert faults_of(await ada.reset(given, password)) == ["password_too_similar"]


async def test_nothing_is_hashed_for_a_wrong_key(there: House) -> None:
    """L8: hashing is what anybody could keep all cores busy with."""
    hasher = Counting(queue=1, threads=1, memory=8, passes=1)
    flows = build_flows(
        there.db,
        ring=RING,
        factors=there.factors,
        clock=there.clock,
        policy=policy(),
        hasher=hasher,
    )
    ada = replace(there, flows=flows).visitor()
    given = await asked(ada)
    await ada.reset(WRONG, NEW)
    await ada.reset(given, "short")
    assert hasher.hashed == 0

    is_reset(await ada.reset(given, NEW))
    assert hasher.hashed == 1


class Counting(PasswordHasher):
    """Hashes, and counts how often."""

    hashed = 0

    async def hash(self, password: str) -> str:
        self.hashed += 1
        return await super().hash(password)


# By code


async def test_the_session_waits_for_the_code_beside_all_else(by_code: House) -> None:
    ada = by_code.visitor()
    outcome = await ada.request_reset()

    assert isinstance(outcome, Standing)
    assert outcome.token is not None
    assert outcome.visit.resets
    assert outcome.visit.pending is None
    assert (await ada.visit()).resets


async def test_a_code_is_good_in_its_session_only(by_code: House) -> None:
    """N2: whoever has read the mail still needs the client that asked."""
    ada, other = by_code.visitor(), by_code.visitor()
    given = await asked(ada)
    assert await other.reset(given, NEW) == Misfit()
    await asked(other)

    assert faults_of(await other.reset(given, NEW)) == ["incorrect_code"]
    is_reset(await ada.reset(given.lower().replace("-", " "), NEW))


async def test_another_request_takes_the_place_of_the_first(by_code: House) -> None:
    ada = by_code.visitor()
    first = await asked(ada)
    token = ada.token
    second = await asked(ada)

    assert ada.token == token
    assert faults_of(await ada.reset(first, NEW)) == ["incorrect_code"]
    is_reset(await ada.reset(second, NEW))


@pytest.mark.parametrize("how", ["shown", "given", "both"])
async def test_the_third_wrong_code_ends_it(by_code: House, how: str) -> None:
    """Also for the right one."""
    ada = by_code.visitor()
    given = await asked(ada)
    for number in range(3):
        if how == "shown" or (how == "both" and number % 2):
            outcome = await ada.show_reset(WRONG)
        else:
            outcome = await ada.reset(WRONG, NEW)
        assert faults_of(outcome) == ["incorrect_code"]

    assert await ada.reset(given, NEW) == Misfit()
    assert await ada.show_reset(given) == Misfit()
    assert not (await ada.visit()).resets
    logged_in(await by_code.visitor().log_in())
    failed = await last_event(by_code, "password_reset_failed")
    began = await last_event(by_code, "password_reset_requested")
    assert failed["ended"] is True
    assert failed["reset"] == began["reset"]
    assert began["subject"] == (await by_code.user()).id


async def test_no_code_is_a_wrong_one_to_set_a_password_by(by_code: House) -> None:
    """O4; but any page could have a browser look at none."""
    ada = by_code.visitor()
    given = await asked(ada)
    for _ in range(5):
        await ada.show_reset(None)
    assert isinstance(await ada.show_reset(given), ResetShown)
    for _ in range(3):
        await ada.reset(None, NEW)

    assert await ada.reset(given, NEW) == Misfit()


async def test_what_is_wrong_with_both_is_told_together(by_code: House) -> None:
    """And by the address alone that was typed: the primary one may be unknown to who asks."""
    await _add(by_code, SECOND, verified=True)
    ada = by_code.visitor()
    await asked(ada, SECOND)

    told = [faults_of(await ada.reset(WRONG, typed)) for typed in ("a1!", "ada@example.org1")]

    assert told == [["incorrect_code", "password_too_short"], ["incorrect_code"]]


@pytest.mark.parametrize("seconds", [179, 180])
async def test_a_code_is_good_for_three_minutes(by_code: House, seconds: int) -> None:
    ada = by_code.visitor()
    given = await asked(ada)
    by_code.clock.turn(seconds=seconds)

    assert (await ada.visit()).resets is (seconds < 180)
    outcome = await ada.reset(given, NEW)
    if seconds < 180:
        is_reset(outcome)
    else:
        assert outcome == Misfit()


@pytest.mark.parametrize("seconds", [179, 180])
async def test_who_has_shown_the_code_has_three_minutes_for_the_password(
    by_code: House, seconds: int
) -> None:
    """From when it was first shown, however often it is."""
    ada = by_code.visitor()
    given = await asked(ada)
    by_code.clock.turn(seconds=179)
    assert isinstance(await ada.show_reset(given), ResetShown)
    by_code.clock.turn(seconds=100)
    assert isinstance(await ada.show_reset(given), ResetShown)
    by_code.clock.turn(seconds=seconds - 100)

    outcome = await ada.reset(given, NEW)

    assert isinstance(outcome, Standing if seconds < 180 else Misfit)


async def test_an_empty_session_lasts_as_long_as_the_code(by_code: House) -> None:
    """And no longer than a day, however often one asks in it."""
    resets = PasswordResets(by_code=True, lifetime=timedelta(minutes=15))
    there = by_code.under(policy(password_resets=resets))
    ada = there.visitor()
    given = await asked(ada)
    there.clock.turn(minutes=14, seconds=59)
    await ada.show_reset(given)
    there.clock.turn(minutes=14, seconds=59)
    is_reset(await ada.reset(given, NEW))
    ada, tokens = there.visitor(), []
    for number in range(110):
        there.clock.turn(minutes=14)
        await ada.request_reset(f"p{number}@example.org")
        tokens.append(ada.token)

    assert len(set(tokens)) == 2
    assert tokens[0] != tokens[-1]


async def test_codes_are_of_the_form_that_was_chosen(by_code: House) -> None:
    digits = CodeFormat(numeric=True, length=6, dashed=False)
    there = by_code.under(policy(password_resets=PasswordResets(by_code=True, format=digits)))
    ada = there.visitor()
    given = await asked(ada)

    assert len(given) == 6
    assert given.isdigit()
    is_reset(await ada.reset(given, NEW))


async def test_more_wrong_codes_may_be_allowed(by_code: House) -> None:
    there = by_code.under(policy(password_resets=PasswordResets(by_code=True, max_failures=5)))
    ada = there.visitor()
    given = await asked(ada)
    for _ in range(4):
        await ada.reset(WRONG, NEW)

    is_reset(await ada.reset(given, NEW))


async def test_a_login_that_is_completed_ends_it(by_code: House) -> None:
    """N2: what was begun before is not there after."""
    ada = by_code.visitor()
    await asked(ada)
    logged_in(await ada.log_in())

    assert not (await ada.visit()).resets


async def test_no_code_is_kept_in_the_clear(there: House) -> None:
    """D4."""
    ada = there.visitor()
    given = await asked(ada)
    await ada.reset(given, NEW)
    kept = str([*await there.session_rows(), *await there.event_rows()])

    assert given not in kept
    assert given.replace("-", "") not in kept
    assert NEW not in kept


# By link


async def test_a_link_is_followed_wherever_that_is(by_link: House) -> None:
    """Nothing waits for it."""
    ada = by_link.visitor()
    assert await ada.request_reset() == Done()
    assert ada.token is None
    given = await key(by_link)

    outcome = is_reset(await by_link.visitor(AWAY).reset(given, NEW))

    assert outcome.visit.session is None


@pytest.mark.parametrize(
    "typed", ["", "x", "a.b.c", "u1.6a2f.0c", f"u1.6a2f0000.{'0' * 40}", "é" * 40]
)
async def test_what_is_no_key_is_refused(by_link: House, typed: str) -> None:
    ada = by_link.visitor()

    assert faults_of(await ada.show_reset(typed)) == ["invalid_password_reset"]
    assert faults_of(await ada.reset(typed, "short")) == ["invalid_password_reset"]


async def test_a_link_is_good_for_a_time(by_link: House) -> None:
    resets = PasswordResets(link_lifetime=timedelta(hours=2))
    there = by_link.under(policy(password_resets=resets))
    given = await asked(there.visitor())
    there.clock.turn(hours=1, minutes=59)
    assert isinstance(await there.visitor().show_reset(given), ResetShown)
    there.clock.turn(minutes=1)

    assert faults_of(await there.visitor().reset(given, NEW)) == ["invalid_password_reset"]


async def test_a_key_that_verifies_an_address_resets_nothing(house: House) -> None:
    """A key has one purpose."""
    there = house.under(
        policy(by_code=False, verification=Verification(by_code=False, codes=Verification().codes))
    )
    await there.visitor().sign_up()
    (mail,) = await there.mails()
    given = mail.facts["link"].rpartition("/")[2]

    assert faults_of(await there.visitor().reset(given, NEW)) == ["invalid_password_reset"]


async def test_two_links_are_good_until_one_is_used(by_link: House) -> None:
    first = await asked(by_link.visitor())
    second = await asked(by_link.visitor())
    is_reset(await by_link.visitor().reset(second, NEW))

    assert faults_of(await by_link.visitor().reset(first, NEW)) == ["invalid_password_reset"]


# Whose it is


@pytest.mark.parametrize(
    ("verified", "primary", "any_verified", "may"),
    [
        (True, True, True, True),
        (True, False, True, True),
        (False, True, False, True),
        (False, True, True, False),
        (False, False, True, False),
        (False, False, False, False),
    ],
)
def test_who_gets_a_reset(*, verified: bool, primary: bool, any_verified: bool, may: bool) -> None:
    assert gets_reset(verified=verified, primary=primary, any_verified=any_verified) is may


async def _add(house: House, address: str, *, verified: bool) -> None:
    row = {"user_id": (await house.user()).id, "address": address, "is_primary": 0}
    verified_at = 1 if verified else None
    await house.db.apply(step(ANOTHER, id=address, verified_at=verified_at, **row))


async def test_a_secondary_address_that_is_verified_will_do(there: House) -> None:
    """Until it is removed; and the primary one is told."""
    await _add(there, SECOND, verified=True)
    for kept in (False, True):
        ada = there.visitor()
        await ada.request_reset(SECOND)
        (mail,) = await there.mails()
        assert mail.to == SECOND
        given = mail.facts.get("code") or mail.facts["link"].removeprefix(PAGE)
        if not kept:
            await there.db.apply(step(REMOVE, address=SECOND))
            assert not isinstance(await ada.reset(given, NEW), Standing)
            await _add(there, SECOND, verified=True)
            continue
        is_reset(await ada.reset(given, NEW))
        (notice,) = await there.notices()
        assert notice.to == ADA


async def test_an_address_that_is_merely_claimed_gets_none(there: House) -> None:
    """It may be anybody's."""
    claim = {"user_id": (await there.user()).id, "address": SECOND, "created_at": 1}
    await there.db.apply(step(CLAIM, **claim))
    await there.visitor().request_reset(SECOND)

    (mail,) = await there.mails()
    assert mail.kind is MailKind.UNKNOWN_ACCOUNT


async def test_an_address_that_was_mistyped_gets_none(there: House) -> None:
    """Its owner is not whoever has verified another address of the account."""
    given = {}
    for who in ("before", "after"):
        if who == "after":
            await there.db.apply(step(UNVERIFY, of=ADA))
            await _add(there, SECOND, verified=True)
        ada = there.visitor()
        await ada.request_reset(ADA)
        (mail,) = await there.mails()
        given[who] = (ada, mail)
    ada, mail = given["before"]
    assert given["after"][1].kind is MailKind.UNKNOWN_ACCOUNT

    typed = mail.facts.get("code") or mail.facts["link"].removeprefix(PAGE)
    assert not isinstance(await ada.reset(typed, NEW), Standing)
    logged_in(await there.visitor().log_in(SECOND))


async def test_who_never_verified_the_address_gets_it_back(house: House) -> None:
    """A stranger who signed up with it keeps nothing: not the password, nor what they claimed."""
    there = under(house)
    stranger = there.visitor(AWAY)
    await stranger.sign_up()
    await there.mails()
    claim = {"user_id": (await there.user()).id, "address": SECOND, "created_at": 1}
    await there.db.apply(step(CLAIM, **claim))
    there.clock.turn(seconds=11)
    ada = there.visitor()
    given = await asked(ada)
    await ada.show_reset(given)
    assert not (await there.account()).email_verified, "not before there is another password"

    is_reset(await ada.reset(given, NEW))

    assert (await there.account()).email_verified
    assert await there.db.all(CLAIMS) == []
    assert faults_of(await there.visitor(AWAY).log_in()) == ["email_password_mismatch"]
    assert await is_over(stranger)
    logged_in(await there.visitor().log_in(password=NEW))
    events = await there.events()
    assert events[events.index("password_reset") + 1] == "email_verified"


async def test_a_link_verifies_nothing(house: House) -> None:
    """As by allauth: that is for another mail."""
    there = under(house, by_code=False)
    await there.visitor().sign_up()
    await there.mails()
    there.clock.turn(seconds=11)
    ada = there.visitor()

    is_reset(await ada.reset(await asked(ada), NEW))

    assert not (await there.account()).email_verified
    begun = await there.visitor().log_in(password=NEW)
    assert isinstance(begun, Standing)
    assert begun.visit.pending is Stage.VERIFY_EMAIL


async def test_where_addresses_need_not_be_verified_they_get_one_all_the_same(
    house: House,
) -> None:
    there = house.under(
        policy(by_code=False, verification=Verification(when=Verified.NONE, by_code=False))
    )
    logged_in(await there.visitor().sign_up())
    ada = there.visitor()

    is_reset(await ada.reset(await asked(ada), NEW))

    logged_in(await there.visitor().log_in(password=NEW))


async def test_who_has_a_passkey_alone_may_set_a_password(house: House) -> None:
    """O7: and needs the passkey beside it."""
    await with_passkey(house, Device())
    await house.db.apply(step(FORGET_PASSWORDS))
    await house.notices()
    there = under(house)
    visitor = there.visitor()

    is_reset(await visitor.reset(await asked(visitor), NEW))

    begun = await there.visitor().log_in(password=NEW)
    assert isinstance(begun, Standing)
    assert begun.visit.pending is Stage.MFA_AUTHENTICATE


# Who has no account


@pytest.mark.parametrize("address", [HOME, AWAY])
@pytest.mark.parametrize("by_code", [True, False])
async def test_nobody_learns_which_addresses_are_known(
    house: House, address: str, *, by_code: bool
) -> None:
    """Neither by the answers, from the first to the last, nor by what session does for them."""
    await (await house.visitor().join()).log_out()
    house.clock.turn(minutes=6)  # the mail of the sign-up counts no more
    db = Recorded(house.db)
    visitors: dict[str, Visitor] = {}
    outcomes: dict[str, list[Any]] = {}
    said: dict[str, list[Any]] = {}
    flows = flows_over(house, db, policy(by_code=by_code))
    for email in (ADA, NOBODY):
        visitor = visitors[email] = replace(house, flows=flows).visitor(address)
        db.said = said[email] = []
        first = await visitor.request_reset(email)
        outcomes[email] = [
            first == Done() if not by_code else (await visitor.visit()).resets,
            faults_of(await visitor.show_reset(WRONG)),
            *[faults_of(await visitor.reset(WRONG, "a1!")) for _ in range(2)],
            await visitor.show_reset(WRONG) == Misfit(),
            [type(await visitor.request_reset(email)) for _ in range(6)],
        ]

    assert outcomes[ADA] == outcomes[NOBODY]
    assert said[ADA] == said[NOBODY]
    assert outcomes[ADA][0] is True
    assert outcomes[ADA][-1][-1] is Throttled


@pytest.mark.parametrize("told", [True, False])
async def test_who_has_no_account_is_told_so_by_mail(there: House, *, told: bool) -> None:
    """If at all; and the work is the same without the mail."""
    db = Recorded(there.db)
    by_code = (await there.visitor().request_reset()) != Done()
    await there.mails()
    chosen = policy(by_code=by_code, email_unknown_accounts=told)
    flows = flows_over(there, db, chosen)
    visitor = replace(there, flows=flows).visitor(AWAY)
    said: dict[str, list[Any]] = {}
    for email in (NOBODY, ADA):
        db.said = said[email] = []
        await visitor.request_reset(email)
        visitor.token = None
    mails = {mail.to: mail for mail in await there.mails()}

    assert said[ADA] == said[NOBODY]
    assert (NOBODY in mails) is told
    if told:
        assert mails[NOBODY].kind is MailKind.UNKNOWN_ACCOUNT
        assert mails[NOBODY].facts == {"link": "https://app.example.org/signup"}


async def test_where_anybody_may_know_it_is_told_at_once(there: House) -> None:
    open_house = there.under(policy(prevent_enumeration=False))
    for _ in range(20):
        refused = await open_house.visitor(AWAY).request_reset(NOBODY)
        assert faults_of(refused) == ["unknown_email"]
    assert isinstance(await open_house.visitor(AWAY).request_reset(NOBODY), Throttled)

    assert await there.mails() == []
    assert isinstance(await open_house.visitor().request_reset(), Standing)
    await change_user(there, disabled_at=1)
    assert faults_of(await open_house.visitor().request_reset()) == ["unknown_email"]


# Limits


async def test_mails_to_one_address_are_limited(there: House) -> None:
    """Known or not, whoever asks; and one is told when to come back."""
    for email in (ADA, NOBODY):
        sent = 0
        for number in range(8):
            outcome = await there.visitor(f"198.51.100.{number + 1}").request_reset(email)
            sent += not isinstance(outcome, Throttled)
        assert sent == MAILS[0].amount - (email == ADA)  # one was that of the sign-up
        assert isinstance(outcome, Throttled)
        assert outcome.retry_after > timedelta(0)
    assert "password_reset_limited" in await there.events()


async def test_one_origin_asks_twenty_times_a_minute(there: House) -> None:
    for number in range(20):
        await there.visitor(AWAY).request_reset(f"p{number}@example.org")

    before = counted()
    refused = await there.visitor(AWAY).request_reset("p20@example.org")
    after = counted()

    assert isinstance(refused, Throttled)
    assert [after[kind] - before[kind] for kind in ("read", "commit")] == [1, 1]  # cheap


async def test_strangers_who_ask_do_not_keep_the_owner_from_it(there: House) -> None:
    """L8: where the owner has logged in before, mails are counted apart."""
    for number in range(40):
        await there.visitor(f"198.51.100.{number + 1}").request_reset()
        there.clock.turn(minutes=1, seconds=1)
    assert isinstance(await there.visitor(AWAY).request_reset(), Throttled)
    await there.mails()
    ada = there.visitor()

    is_reset(await ada.reset(await asked(ada), NEW))


async def test_what_is_given_counts_for_where_it_comes_from(there: House) -> None:
    """Right or wrong, and the right key is good after that."""
    ada = there.visitor(AWAY)
    given = await asked(ada)
    for _ in range(20):
        assert faults_of(await ada.reset(given, "a1!")) == ["password_too_short"]
    for typed, password in ((given, NEW), (given, "a1!"), (WRONG, NEW)):
        assert isinstance(await ada.reset(typed, password), Throttled)
    assert isinstance(await ada.show_reset(given), ResetShown)
    there.clock.turn(minutes=1)

    is_reset(await ada.reset(given, NEW))


async def test_all_resets_together_leave_few_guesses(by_code: House) -> None:
    """L1, L2: however many sessions, three for each mail, and twenty mails a day to an address."""
    guesses = 0
    for number in range(60):
        visitor = by_code.visitor(f"198.51.100.{number + 1}")
        outcome = await visitor.request_reset()
        while isinstance(outcome, Standing) and (await visitor.visit()).resets:
            assert faults_of(await visitor.reset(WRONG, NEW)) == ["incorrect_code"]
            guesses += 1
        by_code.clock.turn(minutes=1, seconds=1)

    assert guesses == 3 * (MAILS[1].amount - 1)  # one mail was that of the sign-up


async def test_without_limits_it_works_as_well(there: House) -> None:
    off = Limits(account=dict.fromkeys(Limits().account, ()))
    free = there.under(policy(limits=off))
    ada = free.visitor()
    given = await asked(ada)
    for _ in range(25):
        await ada.reset(given, "a1!")

    is_reset(await ada.reset(given, NEW))


# Logging in by it


@pytest.mark.parametrize("by_code", [True, False])
async def test_a_new_password_may_log_in(house: House, *, by_code: bool) -> None:
    """O7: by one factor, whatever was mailed."""
    ada = await house.visitor().join()
    await ada.log_out()
    there = under(house, by_code=by_code, logs_in=True)
    visitor = there.visitor()
    given = await asked(visitor)
    before = visitor.token

    outcome = logged_in(await visitor.reset(given, NEW))

    assert kinds(outcome) == ["password_reset"]
    assert visitor.token != before
    assert outcome.visit.session is not None
    assert outcome.visit.session.methods[0].email == (ADA if by_code else None)
    found = await last_event(house, "logged_in")
    assert (found["amr"], found["aal"]) == (["mca"], 1)
    assert (await house.events())[-2:] == ["password_reset", "logged_in"]
    assert (await visitor.visit()).authenticated
    assert not (await visitor.visit()).resets


@pytest.mark.parametrize("by_code", [True, False])
async def test_it_logs_in_through_all_stages(house: House, *, by_code: bool) -> None:
    """O7, O8: it skips no second factor, and does not raise the level of assurance."""
    ada = await (await house.visitor().join()).protect()
    there = under(house, by_code=by_code, logs_in=True)
    visitor = ada.elsewhere(house=there)
    begun = await visitor.reset(await asked(visitor), NEW)
    assert isinstance(begun, Standing)
    assert begun.visit.pending is Stage.MFA_AUTHENTICATE
    assert not begun.visit.resets

    outcome = logged_in(await visitor.authenticate(visitor.otp()))

    assert kinds(outcome) == ["password_reset", "mfa"]
    assert (await last_event(house, "logged_in"))["aal"] == 1


@pytest.mark.parametrize(
    ("required", "asks"), [(ALWAYS, True), (frozenset({MethodKind.PASSWORD}), False)]
)
async def test_a_required_code_is_no_other_factor(
    house: House, required: frozenset[MethodKind], *, asks: bool
) -> None:
    """O7: two mails to one mailbox are one factor; asked for where allauth asks."""
    await (await house.visitor().join()).log_out()
    there = under(house, logs_in=True, login_by_code=LoginByCode(required=required))
    visitor = there.visitor()
    outcome = await visitor.reset(await asked(visitor), NEW)
    if asks:
        assert isinstance(outcome, Standing)
        assert outcome.visit.pending is Stage.LOGIN_BY_CODE
        outcome = await visitor.confirm_code(await house.code())

    assert kinds(logged_in(outcome)) == ["password_reset", *(["code"] if asks else [])]
    assert (await last_event(house, "logged_in"))["aal"] == 1


async def test_for_a_want_of_mails_the_password_is_set_all_the_same(house: House) -> None:
    """L8: whoever has the old one could keep its owner from another otherwise."""
    await (await house.visitor().join()).log_out()
    there = under(house, logs_in=True, login_by_code=LoginByCode(required=ALWAYS))
    for _ in range(MAILS[0].amount):
        await there.visitor(AWAY).log_in()
    assert faults_of(await there.visitor(AWAY).log_in()) == ["too_many_login_attempts"]
    await there.mails()
    visitor = there.visitor()

    outcome = is_reset(await visitor.reset(await asked(visitor), NEW))

    assert outcome.visit.pending is None
    logged_in(await house.visitor().log_in(password=NEW))


async def test_a_login_by_it_waits_for_a_register_that_is_being_changed(house: House) -> None:
    """O4: there may be a second factor already."""
    await (await house.visitor().join()).log_out()
    there = under(house, logs_in=True)
    visitor = there.visitor()
    given = await asked(visitor)
    change = Pending(intent=Intent.ADD, type="totp", id="t9")
    marked = house.store.mark_register(await house.account(), change, house.clock())
    assert await house.store.write(marked) is not None

    assert await unavailable(visitor.reset(given, NEW))
    house.clock.turn(seconds=16)
    assert not isinstance(await visitor.reset(given, NEW), Refused)


async def test_who_never_verified_the_address_is_logged_in_by_code_alone(house: House) -> None:
    """With a link, it is yet to be verified."""
    await house.visitor().sign_up()
    await house.mails()
    for by_code, pending in ((False, Stage.VERIFY_EMAIL), (True, None)):
        house.clock.turn(seconds=11)
        there = under(house, by_code=by_code, logs_in=True)
        visitor = there.visitor()
        outcome = await visitor.reset(await asked(visitor), NEW)
        assert isinstance(outcome, Standing)
        assert outcome.visit.pending is pending
        await house.mails()


async def test_who_is_logged_in_is_not_logged_in_anew(house: House) -> None:
    await (await house.visitor().join()).log_out()
    there = under(house, logs_in=True)
    bob = await there.visitor(AWAY).join("bob@example.org")

    outcome = logged_in(await bob.reset(await asked(bob), NEW))

    assert outcome.token is None
    assert kinds(outcome) != ["password_reset"]


async def test_a_login_by_it_from_elsewhere_is_told_of(house: House) -> None:
    await (await house.visitor().join()).log_out()
    await house.notices()
    visitor = under(house, logs_in=True).visitor(AWAY)
    logged_in(await visitor.reset(await asked(visitor), NEW))

    told = {notice.kind for notice in await house.notices()}
    assert told == {MailKind.PASSWORD_RESET, MailKind.NEW_LOGIN}


# Cost


async def test_what_a_reset_costs(there: House) -> None:
    """Statements and commits, with one read for who it is where there is a session.

    To set the password whose account it is, and its addresses, are read as well, and whether one
    may.
    """
    ada, spent = there.visitor(), []
    before = counted()
    await ada.request_reset()
    spent.append(_spent(before))
    given = await key(there)
    before = counted()
    await ada.show_reset(given)
    spent.append(_spent(before))
    before = counted()
    await ada.reset(given, NEW)
    spent.append(_spent(before))

    session = 0 if ada.token is None else 1
    assert spent == [[1, 1], [2 + session, session], [3 + session, 1]]


def _spent(before: dict[str, float]) -> list[float]:
    after = counted()
    return [after[kind] - before[kind] for kind in ("read", "commit")]


def flows_over(house: House, db: Recorded, chosen: Policy) -> Flows:
    """Return flows over `db`."""
    return build_flows(
        db,
        ring=RING,
        factors=house.factors,
        clock=house.clock,
        policy=chosen,
        hasher=PasswordHasher(queue=1, threads=1, memory=8, passes=1),
    )
