"""Logging in by a mailed code: what it opens, what it does not, and how it fails."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Text, bindparam, delete, select, update

from services.session.domain.codes import CodeFormat, CodeRules
from services.session.domain.limits import MAILS
from services.session.domain.login_by_code import ALWAYS, LOGIN_CODES, LoginByCode
from services.session.domain.mails import MailKind
from services.session.domain.methods import MethodKind
from services.session.domain.register import Intent, Pending
from services.session.domain.stages import Stage
from services.session.flows import Flows, PasswordHasher, Policy, build_flows
from services.session.flows.outcomes import (
    Done,
    Gone,
    Misfit,
    Outcome,
    Refused,
    Standing,
    Throttled,
)
from services.session.store.tables import emails, users
from shared.database import Statement, step
from tests.session.house import (
    ADA,
    HOME,
    RING,
    House,
    Visitor,
    change_user,
    counted,
    faults_of,
    kinds,
    unavailable,
)
from tests.session.test_limits_enumeration import Recorded

NOBODY = "nobody@example.org"
SECOND = "ada@example.com"
AWAY = "203.0.113.77"
WRONG = "BBBB-BBBB"
ANOTHER = Statement(emails.insert())
REMOVE = Statement(delete(emails).where(emails.c.address == bindparam("address", type_=Text())))
UNVERIFY = Statement(update(emails).values(verified_at=None))
FORGET_PASSWORDS = Statement(update(users).values(password_hash=None))
VERIFIED = Statement(
    select(emails.c.verified_at).where(emails.c.address == bindparam("address", type_=Text()))
)


def under(
    house: House, *, max_resends: int = 0, policy: Policy | None = None, **chosen: Any
) -> House:
    """Return the house where that was chosen of login codes."""
    codes = replace(LOGIN_CODES, max_resends=max_resends)
    by_code = LoginByCode(codes=codes, **chosen)
    return house.under(replace(policy or Policy(), login_by_code=by_code))


def pending(outcome: Outcome) -> Stage | None:
    """Return the stage that a login waits at."""
    assert isinstance(outcome, Standing)
    return outcome.visit.pending


def logged_in(outcome: Outcome) -> Standing:
    """Return where somebody stands who is logged in."""
    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated
    return outcome


async def last_login(house: House) -> dict[str, Any]:
    """Return what was put on record of the last login, but for the session that began."""
    (*_, row) = [row for row in await house.event_rows() if row.type == "mfa.session.logged_in"]
    data: dict[str, Any] = json.loads(row.data) if isinstance(row.data, str) else row.data
    return {name: value for name, value in data.items() if name != "session"}


@pytest.fixture
async def ada(house: House) -> Visitor:
    """Ada, who has an account and is logged out."""
    ada = await house.visitor().join()
    await ada.log_out()
    return ada


# Logging in


async def test_whoever_gives_the_mailed_code_is_logged_in(house: House, ada: Visitor) -> None:
    asked = await ada.request_code()
    assert pending(asked) is Stage.LOGIN_BY_CODE
    before = ada.token
    (mail,) = await house.mails()
    assert (mail.kind, mail.to) == (MailKind.LOGIN_CODE, ADA)

    outcome = logged_in(await ada.confirm_code(mail.facts["code"].lower().replace("-", " ")))

    assert kinds(outcome) == ["code"]
    assert ada.token != before
    assert outcome.visit.session is not None
    assert outcome.visit.session.methods[0].email == ADA
    assert (await house.events())[-2:] == ["login_code_requested", "logged_in"]


async def test_a_mailed_code_is_one_factor_at_most(house: House, ada: Visitor) -> None:
    """O7: it is no one-time password of a device, and adds nothing to another proof."""
    await ada.request_code()
    await ada.confirm_code(await house.code())
    assert await last_login(house) == {"amr": ["mca"], "aal": 1}


async def test_a_code_skips_no_second_factor(house: House) -> None:
    """O7, O8: nor is the code such a factor beside it."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    await ada.request_code()

    assert pending(await ada.confirm_code(await house.code())) is Stage.MFA_AUTHENTICATE
    house.clock.turn(seconds=30)
    outcome = logged_in(await ada.authenticate(ada.otp()))

    assert kinds(outcome) == ["code", "mfa"]
    assert await last_login(house) == {"amr": ["mca", "otp"], "aal": 1}


async def test_a_code_that_is_given_twice_opens_one_session(house: House, ada: Visitor) -> None:
    """O1: single use, also for who has not seen the answer."""
    await ada.request_code()
    code, visit = await house.code(), await ada.visit()

    logged_in(await house.flows.login_by_code.confirm(visit, code))

    assert await house.flows.login_by_code.confirm(visit, code) == Misfit()
    assert len(await house.session_rows()) == 1


async def test_a_code_is_good_in_its_session_only(house: House, ada: Visitor) -> None:
    """N2: whoever has read the mail still needs the browser that asked."""
    other = house.visitor()
    await ada.request_code()
    code = await house.code()
    await other.request_code()

    assert faults_of(await other.confirm_code(code)) == ["incorrect_code"]
    logged_in(await ada.confirm_code(code))


async def test_a_code_of_another_login_in_the_same_session_is_no_code(
    house: House, ada: Visitor
) -> None:
    """O3: another request takes the place of the login, and of its code."""
    await ada.request_code()
    old = await house.code()
    await ada.request_code()

    assert faults_of(await ada.confirm_code(old)) == ["incorrect_code"]
    logged_in(await ada.confirm_code(await house.code()))


async def test_asking_for_a_code_drops_what_another_login_had_proved(house: House) -> None:
    """O3."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    await ada.log_in()
    await ada.request_code()
    await ada.confirm_code(await house.code())
    house.clock.turn(seconds=30)

    assert kinds(logged_in(await ada.authenticate(ada.otp()))) == ["code", "mfa"]


async def test_who_is_logged_in_is_told_so_and_nothing_is_mailed(house: House) -> None:
    ada = await house.visitor().join()

    outcome = logged_in(await ada.request_code())

    assert outcome.token is None
    assert await house.mails() == []


async def test_codes_are_of_the_form_that_was_chosen(house: House, ada: Visitor) -> None:
    rules = CodeRules(format=CodeFormat(numeric=True, length=6, dashed=False))
    there = house.under(Policy(login_by_code=LoginByCode(codes=rules)))
    visitor = there.visitor()
    await visitor.request_code()
    code = await there.code()

    assert len(code) == 6
    assert code.isdigit()
    logged_in(await visitor.confirm_code(code))


async def test_a_secondary_address_gets_the_code_as_well(house: House, ada: Visitor) -> None:
    """It goes to the address that was typed; once that is removed, the code is worth nothing."""
    row = {"user_id": (await house.user()).id, "address": SECOND, "is_primary": 0}
    await house.db.apply(step(ANOTHER, id="second", verified_at=1, **row))
    for kept in (True, False):
        await ada.request_code(SECOND)
        (mail,) = await house.mails()
        assert (mail.kind, mail.to) == (MailKind.LOGIN_CODE, SECOND)
        if kept:
            outcome = logged_in(await ada.confirm_code(mail.facts["code"]))
            assert outcome.visit.session is not None
            assert outcome.visit.session.methods[0].email == SECOND
            found = await house.db.find(VERIFIED, address=SECOND)
            assert found is not None
            assert found.verified_at == 1  # when it was first
            await ada.log_out()
        else:
            await house.db.apply(step(REMOVE, address=SECOND))
            assert await ada.confirm_code(mail.facts["code"]) == Misfit()


async def test_a_verified_address_is_enough_though_the_primary_one_is_not(
    house: House, ada: Visitor
) -> None:
    """O7: and whoever has it keeps the password, which the owner of the other may not want."""
    row = {"user_id": (await house.user()).id, "address": SECOND, "is_primary": 0}
    await house.db.apply(step(UNVERIFY))
    await house.db.apply(step(ANOTHER, id="second", verified_at=1, **row))
    await ada.request_code(SECOND)

    outcome = logged_in(await ada.confirm_code(await house.code()))

    assert outcome.visit.account is not None
    assert outcome.visit.account.has_usable_password
    assert not (await house.account()).email_verified
    assert "email_verified" not in (await house.events())[-2:]


# Addresses that nobody has verified


async def test_a_code_verifies_the_address_and_no_other_is_asked_for(house: House) -> None:
    """O7: two codes to one mailbox would be no more."""
    await house.visitor().sign_up()
    await house.mails()
    house.clock.turn(seconds=10)
    ada = house.visitor()
    await ada.request_code()

    logged_in(await ada.confirm_code(await house.code()))

    assert (await house.account()).email_verified
    assert "email_verified" in await house.events()


async def test_a_password_that_somebody_else_may_have_chosen_goes(house: House) -> None:
    """Who opened the account has not shown that the address is theirs; the code has."""
    stranger = house.visitor(AWAY)
    await stranger.sign_up()
    await house.mails()
    house.clock.turn(seconds=10)
    ada = house.visitor()
    await ada.request_code()

    outcome = logged_in(await ada.confirm_code(await house.code()))

    assert outcome.visit.account is not None
    assert not outcome.visit.account.has_usable_password
    assert faults_of(await house.visitor(AWAY).log_in()) == ["email_password_mismatch"]
    with pytest.raises(Gone):
        await stranger.visit()
    assert (await house.events())[-4:-1] == ["account_reclaimed", "email_verified", "logged_in"]


async def test_who_verified_the_address_meanwhile_keeps_the_password(house: House) -> None:
    bob, ada = house.visitor(), house.visitor()
    await bob.sign_up()
    verification = await house.code()
    house.clock.turn(seconds=10)
    await ada.request_code()
    code = await house.code()
    logged_in(await bob.verify(verification))

    assert await ada.confirm_code(code) == Misfit()
    assert (await house.account()).has_usable_password
    logged_in(Standing(visit=await bob.visit()))


async def test_a_verified_account_without_a_password_just_logs_in(
    house: House, ada: Visitor
) -> None:
    """Its other sessions stay."""
    await change_password_to_none(house)
    first, second = house.visitor(), house.visitor()
    for visitor in (first, second):
        await visitor.request_code()
        logged_in(await visitor.confirm_code(await house.code()))

    assert (await first.visit()).authenticated


async def change_password_to_none(house: House) -> None:
    await house.db.apply(step(FORGET_PASSWORDS))


# Wrong codes


async def test_the_third_wrong_code_ends_the_login(house: House, ada: Visitor) -> None:
    await ada.request_code()
    code = await house.code()
    for _ in range(3):
        assert faults_of(await ada.confirm_code(WRONG)) == ["incorrect_code"]

    assert await ada.confirm_code(code) == Misfit()
    assert (await ada.visit()).pending is None
    failed = [row for row in await house.event_rows() if row.type.endswith("login_code_failed")]
    assert [_data(row)["ended"] for row in failed] == [False, False, True]
    assert {row.subject for row in failed} == {(await house.user()).id}


async def test_a_missing_code_is_a_wrong_one(house: House, ada: Visitor) -> None:
    await ada.request_code()
    code = await house.code()
    for _ in range(3):
        await ada.confirm_code(None)

    assert await ada.confirm_code(code) == Misfit()


@pytest.mark.parametrize("seconds", [179, 180])
async def test_a_code_is_good_for_three_minutes(house: House, ada: Visitor, seconds: int) -> None:
    await ada.request_code()
    code = await house.code()
    house.clock.turn(seconds=seconds)

    outcome = await ada.confirm_code(code)

    if seconds < 180:
        logged_in(outcome)
    else:
        assert outcome == Misfit()
        assert (await ada.visit()).pending is None
        assert (await house.events())[-1] == "login_code_failed"


async def test_a_code_does_not_outlive_a_change_of_the_account(house: House) -> None:
    """O6: nor does it get somebody in who was disabled meanwhile."""
    ada = await house.visitor().join()
    for change in ("factor_epoch", "session_epoch", "disabled_at"):
        waiting = house.visitor()
        await waiting.request_code()
        code, visit = await house.code(), await waiting.visit()
        row = await house.user()
        await change_user(house, **{change: (getattr(row, change) or 0) + 1})

        assert await house.flows.login_by_code.confirm(visit, code) == Misfit()
        with pytest.raises(Gone):
            await waiting.visit()
        await change_user(house, disabled_at=None)
        house.clock.turn(minutes=1)
    assert ada.token is not None


async def test_nobody_is_let_in_upon_a_register_that_is_being_changed(house: House) -> None:
    """O4: there may be a second factor already."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    await ada.request_code()
    code = await house.code()
    account = await house.account()
    change = Pending(intent=Intent.ADD, type="totp", id="t9")
    marked = house.store.mark_register(account, change, house.clock())
    assert await house.store.write(marked) is not None

    assert await unavailable(ada.confirm_code(code))
    house.clock.turn(seconds=16)
    assert pending(await ada.confirm_code(code)) is Stage.MFA_AUTHENTICATE


# Who has no account


@pytest.mark.parametrize("address", [HOME, AWAY])
async def test_nobody_learns_which_addresses_are_known(
    house: House, ada: Visitor, address: str
) -> None:
    """Neither by the answers, from the first to the last, nor by what session does for them."""
    db = Recorded(house.db)
    outcomes: dict[str, list[Any]] = {}
    said: dict[str, list[Any]] = {}
    flows = flows_over(house, db, max_resends=2)
    for email in (ADA, NOBODY):
        visitor = replace(house, flows=flows).visitor(address)
        db.said = said[email] = []
        outcomes[email] = [
            pending(await visitor.request_code(email)),
            await visitor.resend_code(),
            *[faults_of(await visitor.confirm_code(WRONG)) for _ in range(3)],
            await visitor.confirm_code(WRONG),
        ]

    assert outcomes[ADA] == outcomes[NOBODY]
    assert said[ADA] == said[NOBODY]
    assert outcomes[ADA][:2] == [Stage.LOGIN_BY_CODE, Done()]


@pytest.mark.parametrize("told", [True, False])
async def test_who_has_no_account_is_told_so_by_mail(
    house: House, ada: Visitor, told: bool
) -> None:
    """Once, if at all; and the work is the same without the mail."""
    db = Recorded(house.db)
    flows = flows_over(house, db, max_resends=1, email_unknown_accounts=told)
    visitor = replace(house, flows=flows).visitor()
    await visitor.request_code(NOBODY)
    written = db.said[-1]
    mails = await house.mails()
    await visitor.resend_code()

    assert [(mail.kind, mail.to) for mail in mails] == (
        [(MailKind.UNKNOWN_ACCOUNT, NOBODY)] if told else []
    )
    assert await house.mails() == []
    await replace(house, flows=flows).visitor().request_code(ADA)
    assert db.said[-1] == written


async def test_a_disabled_account_is_as_none(house: House, ada: Visitor) -> None:
    await change_user(house, disabled_at=1)
    visitor = house.visitor()

    assert pending(await visitor.request_code()) is Stage.LOGIN_BY_CODE
    (mail,) = await house.mails()
    assert mail.kind is MailKind.UNKNOWN_ACCOUNT
    assert mail.facts == {}
    assert faults_of(await visitor.confirm_code(WRONG)) == ["incorrect_code"]


async def test_where_anybody_may_know_it_is_told_at_once(house: House, ada: Visitor) -> None:
    there = house.under(Policy(prevent_enumeration=False))
    for _ in range(20):
        refused = await there.visitor().request_code(NOBODY)
        assert faults_of(refused) == ["unknown_email"]
    refused = await there.visitor().request_code(NOBODY)
    assert faults_of(refused) == ["too_many_login_attempts"]  # of one origin

    assert await house.mails() == []
    elsewhere = there.visitor(AWAY)
    assert pending(await elsewhere.request_code()) is Stage.LOGIN_BY_CODE
    await change_user(house, disabled_at=1)
    assert faults_of(await there.visitor(AWAY).request_code()) == ["unknown_email"]


# Another code


async def test_another_code_takes_the_place_of_the_last(house: House, ada: Visitor) -> None:
    """As often as that may be, and no longer than the first would have been good."""
    visitor = under(house, max_resends=2).visitor()
    await visitor.request_code()
    codes = [await house.code()]
    token = visitor.token
    for _ in range(2):
        assert await visitor.resend_code() == Done()
        codes.append(await house.code())
    assert await visitor.resend_code() == Misfit()
    assert await house.mails() == []

    assert visitor.token == token
    assert faults_of(await visitor.confirm_code(codes[0])) == ["incorrect_code"]
    assert faults_of(await visitor.confirm_code(codes[1])) == ["incorrect_code"]
    logged_in(await visitor.confirm_code(codes[2]))


async def test_another_code_is_no_other_three_guesses(house: House, ada: Visitor) -> None:
    visitor = under(house, max_resends=2).visitor()
    await visitor.request_code()
    await house.mails()
    await visitor.confirm_code(WRONG)
    await visitor.confirm_code(WRONG)
    await visitor.resend_code()
    code = await house.code()
    await visitor.confirm_code(WRONG)

    assert await visitor.confirm_code(code) == Misfit()


async def test_another_code_is_no_longer_good_than_the_first(house: House, ada: Visitor) -> None:
    visitor = under(house, max_resends=2).visitor()
    await visitor.request_code()
    await house.mails()
    house.clock.turn(seconds=179)
    assert await visitor.resend_code() == Done()
    code = await house.code()
    house.clock.turn(seconds=1)

    assert await visitor.resend_code() == Misfit()
    assert await visitor.confirm_code(code) == Misfit()


async def test_by_default_no_other_code_is_sent(house: House, ada: Visitor) -> None:
    await ada.request_code()
    await house.mails()

    assert await ada.resend_code() == Misfit()
    assert await house.mails() == []


async def test_other_codes_are_mails_as_well(house: House, ada: Visitor) -> None:
    """Too many are refused, and leave the code that is awaited good."""
    visitor = under(house, max_resends=9).visitor()
    await visitor.request_code()
    await house.mails()
    await visitor.resend_code()
    await visitor.resend_code()
    (_, mail) = await house.mails()
    refused = await visitor.resend_code()

    assert isinstance(refused, Throttled)
    assert refused.retry_after == timedelta(minutes=1)
    logged_in(await visitor.confirm_code(mail.facts["code"]))


# Limits


async def test_codes_are_asked_for_three_times_a_minute(house: House, ada: Visitor) -> None:
    """The fourth time says when to come back, for known and unknown addresses alike."""
    for email in (ADA, NOBODY):
        for _ in range(3):
            assert pending(await house.visitor(AWAY).request_code(email)) is Stage.LOGIN_BY_CODE
        refused = await house.visitor(AWAY).request_code(email)
        assert isinstance(refused, Refused)
        assert [(f.code, f.param) for f in refused.faults] == [("too_many_login_attempts", "email")]
        assert refused.retry_after == timedelta(minutes=1)
    assert len(await house.mails()) == 6
    house.clock.turn(minutes=1)
    assert pending(await house.visitor(AWAY).request_code()) is Stage.LOGIN_BY_CODE


async def test_one_origin_asks_for_twenty_codes_a_minute(house: House) -> None:
    for number in range(20):
        await house.visitor(AWAY).request_code(f"p{number}@example.org")

    before = counted()
    refused = await house.visitor(AWAY).request_code("p20@example.org")
    after = counted()

    assert faults_of(refused) == ["too_many_login_attempts"]
    assert len(await house.mails()) == 20
    assert [after[kind] - before[kind] for kind in ("read", "commit")] == [1, 1]  # a flood is cheap


async def test_all_logins_together_leave_few_guesses(house: House, ada: Visitor) -> None:
    """L1, L2: however many sessions, three for each mail, and twenty mails a day to an address."""
    guesses = 0
    for number in range(60):
        visitor = house.visitor(f"198.51.100.{number + 1}")
        outcome = await visitor.request_code()
        while isinstance(outcome, Standing) and (await visitor.visit()).pending is not None:
            assert faults_of(await visitor.confirm_code(WRONG)) == ["incorrect_code"]
            guesses += 1
        house.clock.turn(minutes=1, seconds=1)

    assert guesses == 3 * (MAILS[1].amount - 1)  # one mail was that of the sign-up


async def test_strangers_who_ask_for_codes_do_not_lock_the_owner_out(
    house: House, ada: Visitor
) -> None:
    """L8: where the owner has logged in before, mails are counted apart."""
    for number in range(40):
        await house.visitor(f"198.51.100.{number + 1}").request_code()
        house.clock.turn(minutes=1, seconds=1)
    assert faults_of(await house.visitor(AWAY).request_code()) == ["too_many_login_attempts"]
    await house.mails()

    await ada.request_code()

    logged_in(await ada.confirm_code(await house.code()))


async def test_at_home_there_is_a_limit_as_well(house: House, ada: Visitor) -> None:
    for _ in range(3):
        await ada.request_code()

    assert faults_of(await ada.request_code()) == ["too_many_login_attempts"]


# Codes that are required besides


@pytest.mark.parametrize("required", [ALWAYS, {MethodKind.PASSWORD}])
async def test_a_required_code_comes_after_the_password(
    house: House, ada: Visitor, required: frozenset[MethodKind]
) -> None:
    """O7: and is no second factor."""
    visitor = under(house, required=frozenset(required)).visitor()
    assert pending(await visitor.log_in()) is Stage.LOGIN_BY_CODE
    (mail,) = await house.mails()
    assert (mail.kind, mail.to) == (MailKind.LOGIN_CODE, ADA)

    outcome = logged_in(await visitor.confirm_code(mail.facts["code"]))

    assert kinds(outcome) == ["password", "code"]
    assert await last_login(house) == {"amr": ["pwd", "mca"], "aal": 1}


async def test_a_required_code_comes_before_the_second_factor(house: House) -> None:
    ada = await (await house.visitor().join()).protect()
    visitor = ada.elsewhere(house=under(house, required=ALWAYS))
    assert pending(await visitor.log_in()) is Stage.LOGIN_BY_CODE
    assert pending(await visitor.confirm_code(await house.code())) is Stage.MFA_AUTHENTICATE

    outcome = logged_in(await visitor.authenticate(ada.otp()))

    assert kinds(outcome) == ["password", "code", "mfa"]
    assert (await last_login(house))["aal"] == 2


async def test_who_began_with_a_code_is_asked_for_no_other(house: House, ada: Visitor) -> None:
    visitor = under(house, required=ALWAYS).visitor()
    await visitor.request_code()

    assert kinds(logged_in(await visitor.confirm_code(await house.code()))) == ["code"]


async def test_a_code_is_required_of_the_methods_that_were_named(
    house: House, ada: Visitor
) -> None:
    visitor = under(house, required=frozenset({MethodKind.MFA})).visitor()

    assert kinds(logged_in(await visitor.log_in())) == ["password"]


async def test_a_required_code_stands_in_for_verification(house: House) -> None:
    """O7: at a sign-up, and after a password; one mail, one code, and the password stays."""
    there = under(house, required=ALWAYS)
    ada = there.visitor()
    assert pending(await ada.sign_up()) is Stage.LOGIN_BY_CODE
    (mail,) = await house.mails()
    assert mail.kind is MailKind.LOGIN_CODE
    again = there.visitor()
    assert pending(await again.log_in()) is Stage.LOGIN_BY_CODE
    (other,) = await house.mails()

    outcome = logged_in(await ada.confirm_code(mail.facts["code"]))

    assert kinds(outcome) == ["code"]
    account = await house.account()
    assert account.email_verified
    assert account.has_usable_password
    assert kinds(logged_in(await again.confirm_code(other.facts["code"]))) == ["password", "code"]


async def test_a_sign_up_with_a_known_address_waits_for_a_code_that_was_never_sent(
    house: House, ada: Visitor
) -> None:
    visitor = under(house, required=ALWAYS, max_resends=1).visitor()

    assert pending(await visitor.sign_up(password="another-horse-8")) is Stage.LOGIN_BY_CODE
    (mail,) = await house.mails()
    assert (mail.kind, mail.to) == (MailKind.ACCOUNT_EXISTS, ADA)
    assert await visitor.resend_code() == Done()
    assert await house.mails() == []
    assert faults_of(await visitor.confirm_code(WRONG)) == ["incorrect_code"]


async def test_a_required_code_gives_an_account_to_who_owns_the_address(house: House) -> None:
    """As the code does that verifies an address at a sign-up."""
    await house.visitor(AWAY).sign_up()
    await house.mails()
    ada = under(house, required=ALWAYS).visitor()
    house.clock.turn(minutes=1)
    await ada.sign_up(password="another-horse-8")

    logged_in(await ada.confirm_code(await house.code()))

    assert faults_of(await house.visitor().log_in()) == ["email_password_mismatch"]
    logged_in(await house.visitor().log_in(password="another-horse-8"))


async def test_strangers_do_not_use_up_the_codes_that_are_required(
    house: House, ada: Visitor
) -> None:
    """L8: mails that take a proof to ask for are counted apart, and limited too."""
    there = under(house, required=ALWAYS)
    for number in range(40):
        await there.visitor(f"198.51.100.{number + 1}").request_code()
        house.clock.turn(minutes=1, seconds=1)
    assert faults_of(await there.visitor(AWAY).request_code()) == ["too_many_login_attempts"]
    await house.mails()

    for _ in range(MAILS[0].amount):
        assert pending(await there.visitor(AWAY).log_in()) is Stage.LOGIN_BY_CODE
    refused = await there.visitor(AWAY).log_in()

    assert faults_of(refused) == ["too_many_login_attempts"]
    assert isinstance(refused, Refused)
    assert refused.retry_after is not None
    assert len(await house.mails()) == MAILS[0].amount
    told = (await house.event_rows())[-1]
    assert told.type == "mfa.session.login_limited"


# What people are told


async def test_a_second_factor_that_never_came_after_a_code_is_told_of(house: House) -> None:
    """By what the stranger has: not the password."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    await house.notices()
    await ada.request_code()
    await ada.confirm_code(await house.code())
    house.clock.turn(minutes=15)

    (notice,) = await house.notices()
    assert notice.kind is MailKind.SECOND_FACTOR_MISSING
    assert notice.facts["proof"] == "code"


async def test_a_login_by_code_from_elsewhere_is_told_of(house: House, ada: Visitor) -> None:
    await house.notices()
    visitor = house.visitor(AWAY)
    await visitor.request_code()
    logged_in(await visitor.confirm_code(await house.code()))
    assert [notice.kind for notice in await house.notices()] == [MailKind.NEW_LOGIN]

    await visitor.log_out()
    await visitor.request_code()
    logged_in(await visitor.confirm_code(await house.code()))

    assert await house.notices() == []


async def test_no_code_is_kept_in_the_clear(house: House, ada: Visitor) -> None:
    """D4."""
    await ada.request_code()
    code = await house.code()
    kept = [*await house.session_rows(), *await house.event_rows()]

    assert not any(form in str(kept) for form in (code, code.replace("-", "")))


# How long a login lives


async def test_a_login_lives_as_long_as_was_chosen(house: House, ada: Visitor) -> None:
    """O9: with whatever it began."""
    there = house.under(
        Policy(
            login_lifetime=timedelta(minutes=2),
            login_by_code=LoginByCode(required=frozenset({MethodKind.PASSWORD})),
        )
    )
    begun = []
    for how in ("request_code", "log_in"):
        visitor = there.visitor()
        await getattr(visitor, how)()
        begun.append(visitor)
    new = there.visitor()
    await new.sign_up("new@example.org")
    house.clock.turn(seconds=119)
    for visitor in (*begun, new):
        assert (await visitor.visit()).pending is Stage.LOGIN_BY_CODE
    house.clock.turn(seconds=1)

    for visitor in (*begun, new):
        with pytest.raises(Gone):
            await visitor.visit()


async def test_passing_a_stage_does_not_prolong_a_login(house: House) -> None:
    """O9."""
    ada = await (await house.visitor().join()).protect()
    there = house.under(Policy(login_lifetime=timedelta(minutes=2)))
    visitor = ada.elsewhere(house=there)
    await visitor.request_code()
    house.clock.turn(seconds=60)
    assert pending(await visitor.confirm_code(await house.code())) is Stage.MFA_AUTHENTICATE
    house.clock.turn(seconds=59)
    assert (await visitor.visit()).pending is Stage.MFA_AUTHENTICATE
    house.clock.turn(seconds=1)

    with pytest.raises(Gone):
        await visitor.visit()


# Cost


async def test_what_a_login_by_code_costs(house: House, ada: Visitor) -> None:
    """Statements and commits: one read and one write for each step, and one for who it is."""
    spent = []
    visitor = under(house, max_resends=1).visitor()
    for do in (visitor.request_code, visitor.resend_code):
        before = counted()
        await do()
        after = counted()
        spent.append([after[kind] - before[kind] for kind in ("read", "commit")])
        code = await house.code()
    before = counted()
    logged_in(await visitor.confirm_code(code))
    after = counted()
    spent.append([after[kind] - before[kind] for kind in ("read", "commit")])

    assert spent == [[1, 1], [1, 1], [1, 1]]


def flows_over(house: House, db: Recorded, *, max_resends: int = 0, **policy: Any) -> Flows:
    """Return flows over `db`."""
    codes = replace(LOGIN_CODES, max_resends=max_resends)
    return build_flows(
        db,
        ring=RING,
        factors=house.factors,
        clock=house.clock,
        policy=Policy(login_by_code=LoginByCode(codes=codes), **policy),
        hasher=PasswordHasher(queue=1, threads=1, memory=8, passes=1),
    )


def _data(row: Any) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(row.data) if isinstance(row.data, str) else row.data
    return data
