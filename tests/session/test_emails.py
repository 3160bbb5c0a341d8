"""Further addresses, verified by code: added, made primary, removed."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from services.session.domain.mails import MailKind
from services.session.domain.reauthentication import Reauthentication
from services.session.domain.verification import AddressRules
from services.session.flows import Policy
from services.session.flows.outcomes import (
    Addresses,
    AddressShown,
    Done,
    Gone,
    LoginNeeded,
    Misfit,
    Outcome,
    ReauthenticationNeeded,
    Refused,
    Standing,
    Throttled,
    Unsent,
)
from services.session.store.tables import claimed_addresses, emails, users
from shared.database import Statement
from shared.errors import Unavailable
from tests.session.addressing import (
    BOB,
    NEW,
    SOON,
    add,
    added,
    ask,
    costs,
    listed,
    make_primary,
    remove,
    resend,
    resending,
    show,
    shown,
    with_limit,
)
from tests.session.house import ADA, PASSWORD, House, change_user, faults_of
from tests.session.test_flows_logins import visits_of
from tests.session.test_flows_operate import operating

ADAS = (ADA, True, True)


async def stored(house: House) -> set[str]:
    """Return every address that is somebody's."""
    return {row.address for row in await house.db.all(Statement(select(emails.c.address)))}


async def kinds(house: House) -> list[tuple[str, str]]:
    """Return what was mailed to tell people something, and to whom."""
    return [(mail.kind.value, mail.to) for mail in await house.notices()]


# Adding


async def test_an_address_counts_once_its_code_is_given(house: House) -> None:
    ada = await house.visitor().join()
    await house.notices()

    outcome = await add(ada)

    assert shown(outcome) == [ADAS, (NEW, False, False)]
    assert await stored(house) == {ADA}, "what is not proved is not stored"
    assert isinstance(await ada.verify(await house.code()), Standing)
    assert await listed(ada) == [ADAS, (NEW, True, False)]
    assert await kinds(house) == [("email_added", ADA)]
    assert (await house.events())[-3:] == ["email_claimed", "email_verified", "email_added"]


async def test_what_is_being_proved_is_seen_in_its_session_alone(house: House) -> None:
    ada = await house.visitor().join()
    other = ada.elsewhere()
    await other.log_in()
    await add(ada)
    code = await house.code()

    assert await listed(other) == [ADAS]
    assert isinstance(await other.verify(code), Misfit)
    assert isinstance(await ada.verify(code), Standing)
    assert await listed(other) == [ADAS, (NEW, True, False)]


async def test_people_log_in_with_each_of_their_addresses(house: House) -> None:
    """The address that was typed is told; mail goes to the primary one."""
    ada = await added(await house.visitor().join())
    await house.notices()
    elsewhere = ada.elsewhere("203.0.113.9")

    outcome = await elsewhere.log_in(NEW)

    assert isinstance(outcome, Standing)
    session, account = outcome.visit.logged_in or pytest.fail("nobody is logged in")
    assert session.methods[0].email == NEW
    assert account.email == ADA
    assert await kinds(house) == [("new_login", ADA)]


async def test_what_is_not_proved_opens_nothing(house: House) -> None:
    """A claimed address is like an unknown one: whoever owns it may sign up with it."""
    ada = await house.visitor().join()
    await add(ada)
    await house.mails()
    house.clock.turn(seconds=SOON.total_seconds())
    owner = house.visitor("203.0.113.9")

    assert faults_of(await owner.log_in(NEW)) == ["email_password_mismatch"]
    await owner.join(NEW)
    assert await stored(house) == {ADA, NEW}


async def test_what_it_costs(house: House) -> None:
    """Two reads and a write to add, as many to prove; the session is read besides."""
    ada = await house.visitor().join()
    await house.mails()

    each = {
        "list": await costs(listed(ada)),
        "add": await costs(add(ada)),
        "prove": await costs(ada.verify(await house.code())),
        "make primary": await costs(make_primary(ada)),
        "remove": await costs(remove(ada, ADA)),
    }

    assert {name: (spent["read"], spent["commit"]) for name, spent in each.items()} == {
        "list": (2, 0),
        "add": (3, 1),
        "prove": (2, 1),
        "make primary": (3, 1),
        "remove": (2, 1),
    }


async def test_a_taken_address_looks_like_a_free_one(house: House) -> None:
    """Enumeration: the same answer and the same statements; the owner is told by mail."""
    await house.visitor("203.0.113.9").join(BOB)
    ada = await house.visitor().join()
    await house.mails()
    house.clock.turn(seconds=SOON.total_seconds())

    taken = await costs(add(ada, BOB))
    assert await listed(ada) == [ADAS, (BOB, False, False)]
    (mail,) = await house.mails()
    free = await costs(add(ada, NEW))

    assert taken == free
    assert (mail.kind, mail.to, dict(mail.facts)) == (MailKind.ADDRESS_TAKEN, BOB, {})
    assert await listed(ada) == [ADAS, (NEW, False, False)]


async def test_without_prevention_a_taken_address_is_told(house: House) -> None:
    await house.visitor("203.0.113.9").join(BOB)
    ada = await house.visitor().join()
    open_house = house.under(Policy(prevent_enumeration=False))

    assert faults_of(await add(replace(ada, house=open_house), BOB)) == ["email_taken"]
    assert (await house.events())[-1] == "email_refused"


async def test_whoever_proves_an_address_first_has_it(house: House) -> None:
    """Somebody signs up with it while the code is on its way."""
    ada = await house.visitor().join()
    await add(ada)
    code = await house.code()
    house.clock.turn(seconds=SOON.total_seconds())
    await house.visitor("203.0.113.9").join(NEW)

    outcome = await ada.verify(code)

    assert faults_of(outcome) == ["email_taken"]
    assert (await house.events())[-1] == "email_refused"
    assert await listed(ada) == [ADAS, (NEW, False, False)]


async def test_an_account_that_nobody_got_into_gives_its_address_up(house: House) -> None:
    """It was never shown to be theirs: the account is deleted, and logins to it are over."""
    squatter = house.visitor("203.0.113.9")
    await squatter.sign_up(NEW)
    stale = await house.code()
    house.clock.turn(seconds=SOON.total_seconds())
    ada = await house.visitor().join()

    await added(ada)

    assert await listed(ada) == [ADAS, (NEW, True, False)]
    with pytest.raises(Gone):
        await squatter.verify(stale)
    rows = await house.db.all(Statement(select(users.c.deleted_at)))
    assert [row.deleted_at is None for row in rows].count(False) == 1
    assert "account_displaced" in await house.events()
    ada_again = ada.elsewhere()
    assert isinstance(await ada_again.log_in(NEW), Standing)


async def test_an_account_that_somebody_got_into_meanwhile_keeps_its_address(
    house: House,
) -> None:
    owner = house.visitor("203.0.113.9")
    await owner.sign_up(NEW)
    theirs = await house.code()
    house.clock.turn(seconds=SOON.total_seconds())
    ada = await house.visitor().join()
    await add(ada)
    code = await house.code()
    assert isinstance(await owner.verify(theirs), Standing)

    assert faults_of(await ada.verify(code)) == ["email_taken"]
    assert isinstance(await owner.reauthenticate(), Standing)


@pytest.mark.parametrize("email", [ADA, NEW])
async def test_an_address_is_added_once(house: House, email: str) -> None:
    ada = await added(await house.visitor().join())

    assert faults_of(await add(ada, email)) == ["duplicate_email"]


async def test_there_are_so_many_and_no_more(house: House) -> None:
    """At the addition, and where another session has added one meanwhile."""
    few = house.under(Policy(addresses=AddressRules(most=2)))
    ada = await few.visitor().join()
    other = ada.elsewhere()
    await other.log_in()
    await add(ada)
    code = await house.code()
    await added(other, "more@example.com")

    assert isinstance(await ada.verify(code), Misfit)
    assert faults_of(await add(ada, "third@example.com")) == ["max_email_addresses"]
    assert len(await listed(ada)) == 3, "with the one that is still being proved"


async def test_a_second_factor_is_no_hindrance(house: House) -> None:
    """By code; see the links for where it is one."""
    ada = await (await house.visitor().join()).protect()

    await added(ada)

    assert (NEW, True, False) in await listed(ada)


# Codes


async def test_three_wrong_codes_end_the_proof(house: House) -> None:
    """L2: also for the right one, and looking counts as giving."""
    ada = await house.visitor().join()
    await add(ada)
    code = await house.code()

    assert faults_of(await ada.verify("BBBB-BBBB")) == ["incorrect_code"]
    assert faults_of(await show(ada, "BBBB-BBBC")) == ["incorrect_code"]
    assert isinstance(await show(ada, code), AddressShown)
    assert faults_of(await ada.verify("BBBB-BBBD")) == ["incorrect_code"]
    assert isinstance(await ada.verify(code), Misfit)
    assert await listed(ada) == [ADAS]
    assert (await house.events())[-1] == "email_verification_failed"


async def test_a_code_is_good_for_a_time(house: House) -> None:
    ada = await house.visitor().join()
    await add(ada)
    code = await house.code()
    house.clock.turn(minutes=15)

    assert await listed(ada) == [ADAS]
    assert isinstance(await ada.verify(code), Misfit)


async def test_a_code_is_good_once(house: House) -> None:
    ada = await house.visitor().join()
    await add(ada)
    code = await house.code()
    await ada.verify(code)

    assert isinstance(await ada.verify(code), Misfit)


async def test_another_address_takes_the_place_of_the_one_that_waits(house: House) -> None:
    ada = await house.visitor().join()
    await add(ada, "first@example.com")
    first = await house.code()
    await add(ada, NEW)
    second = await house.code()

    assert faults_of(await ada.verify(first)) == ["incorrect_code"]
    assert isinstance(await ada.verify(second), Standing)
    assert await listed(ada) == [ADAS, (NEW, True, False)]


async def test_a_code_is_sent_anew_as_often_as_that_may_be(house: House) -> None:
    """The new one takes the place of the old, and is as old and has failed as often."""
    ada = await house.under(resending(2)).visitor().join()
    await add(ada)
    first = await house.code()
    await ada.verify("BBBB-BBBB")
    assert isinstance(await resend(ada), Throttled)

    house.clock.turn(seconds=SOON.total_seconds())
    assert isinstance(await resend(ada), Done)
    second = await house.code()
    house.clock.turn(seconds=SOON.total_seconds())
    assert isinstance(await ask(ada, NEW), Done)
    third = await house.code()
    house.clock.turn(seconds=SOON.total_seconds())
    assert isinstance(await ask(ada, NEW), Unsent)
    assert isinstance(await resend(ada), Misfit)

    assert faults_of(await ada.verify(first)) == ["incorrect_code"]
    assert isinstance(await show(ada, third), AddressShown)
    assert faults_of(await ada.verify(second)) == ["incorrect_code"]
    assert isinstance(await ada.verify(third), Misfit), "that was the third failure"


async def test_without_a_word_nothing_is_sent_anew(house: House) -> None:
    """As in allauth."""
    ada = await house.visitor().join()
    await add(ada)
    house.clock.turn(seconds=SOON.total_seconds())

    assert isinstance(await resend(ada), Misfit)
    assert isinstance(await ask(ada, NEW), Unsent)


async def test_the_owner_of_a_taken_address_is_not_flooded(house: House) -> None:
    """Sent anew it is the same work; nothing more is mailed to who is not concerned."""
    await house.visitor("203.0.113.9").join(BOB)
    ada = await house.under(resending(2)).visitor().join()
    house.clock.turn(seconds=SOON.total_seconds())
    await add(ada, BOB)
    await house.mails()
    house.clock.turn(seconds=SOON.total_seconds())
    taken = await costs(resend(ada))
    assert await house.mails() == []

    await add(ada, NEW)
    house.clock.turn(seconds=SOON.total_seconds())
    assert taken == await costs(resend(ada))


async def test_to_ask_for_a_verified_address_sends_nothing(house: House) -> None:
    ada = await house.visitor().join()
    await house.mails()

    assert isinstance(await ask(ada, ADA), Unsent)
    assert faults_of(await ask(ada, BOB)) == ["unknown_email"]
    assert await house.mails() == []


async def test_mails_to_one_address_are_limited(house: House) -> None:
    ada = await house.visitor().join()
    assert isinstance(await add(ada), Addresses)

    assert isinstance(await add(ada), Throttled)


# Which comes first


async def test_the_primary_address_changes(house: House) -> None:
    """The one that was primary is told; whatever there is to tell goes to the other."""
    ada = await added(await house.visitor().join())
    await house.notices()

    outcome = await make_primary(ada)

    assert shown(outcome) == [(NEW, True, True), (ADA, True, False)]
    (told,) = await house.notices()
    assert (told.kind, told.to, told.facts["email"]) == (MailKind.EMAIL_CHANGED, ADA, NEW)
    assert (await house.account()).email == NEW
    assert (await house.events())[-1] == "primary_email_changed"
    await ada.change_password(PASSWORD, "battery-staple-8")
    assert await kinds(house) == [("password_changed", NEW)]


async def test_to_make_primary_what_is_primary_changes_nothing(house: House) -> None:
    ada = await house.visitor().join()
    await house.notices()

    assert shown(await make_primary(ada, ADA)) == [ADAS]
    assert await kinds(house) == []
    assert "primary_email_changed" not in await house.events()


async def test_only_a_verified_address_becomes_primary(house: House) -> None:
    ada = await house.visitor().join()
    await add(ada)

    assert faults_of(await make_primary(ada)) == ["unverified_primary_email"]
    assert faults_of(await make_primary(ada, BOB)) == ["unknown_email"]
    assert (await house.account()).email == ADA


async def test_a_login_under_way_is_told_where_the_person_is_now(house: House) -> None:
    """The warning of a second factor that was not given goes to the primary address."""
    ada = await added(await (await house.visitor().join()).protect())
    await make_primary(ada)
    await house.notices()
    await ada.elsewhere("203.0.113.9").log_in(ADA)
    house.clock.turn(minutes=16)

    assert await kinds(house) == [("second_factor_missing", NEW)]


# Removing


async def test_an_address_is_removed(house: House) -> None:
    """It opens nothing any more, and is free; both addresses are told."""
    ada = await added(await house.visitor().join())
    await house.notices()

    assert shown(await remove(ada)) == [ADAS]
    assert await listed(ada) == [ADAS]
    assert set(await kinds(house)) == {("email_removed", ADA), ("email_removed", NEW)}
    assert faults_of(await ada.elsewhere().log_in(NEW)) == ["email_password_mismatch"]
    house.clock.turn(seconds=SOON.total_seconds())
    await house.visitor("203.0.113.9").join(NEW)


async def test_the_primary_address_stays(house: House) -> None:
    ada = await added(await house.visitor().join())

    assert faults_of(await remove(ada, ADA)) == ["cannot_remove_primary_email"]
    assert faults_of(await remove(ada, BOB)) == ["unknown_email"]
    await remove(ada)
    assert faults_of(await remove(ada, ADA)) == ["cannot_remove_primary_email"]
    assert await listed(ada) == [ADAS]


async def test_a_proof_is_given_up(house: House) -> None:
    ada = await house.visitor().join()
    await add(ada)
    code = await house.code()
    await house.notices()

    assert shown(await remove(ada)) == [ADAS]
    assert isinstance(await ada.verify(code), Misfit)
    assert await kinds(house) == []


async def test_nothing_of_others_is_removed(house: House) -> None:
    await house.visitor("203.0.113.9").join(BOB)
    ada = await house.visitor().join()

    assert faults_of(await remove(ada, BOB)) == ["unknown_email"]
    assert faults_of(await make_primary(ada, BOB)) == ["unknown_email"]
    assert await stored(house) == {ADA, BOB}


# One address only


async def test_with_one_address_another_takes_its_place(house: House) -> None:
    """ACCOUNT_CHANGE_EMAIL: the old one is told, and opens nothing any more."""
    one = house.under(Policy(addresses=AddressRules(replaces=True)))
    ada = await one.visitor().join()
    await house.notices()
    assert shown(await add(ada)) == [ADAS, (NEW, False, False)]

    outcome = await ada.verify(await house.code())

    assert isinstance(outcome, Standing)
    account = outcome.visit.account
    assert account is not None
    assert (account.email, account.email_verified) == (NEW, True)
    assert await listed(ada) == [(NEW, True, True)]
    (told,) = await house.notices()
    assert (told.kind, told.to, told.facts["email"]) == (MailKind.EMAIL_CHANGED, ADA, NEW)
    assert faults_of(await ada.elsewhere().log_in(ADA)) == ["email_password_mismatch"]
    assert isinstance(await ada.elsewhere().log_in(NEW), Standing)


async def test_with_one_address_those_of_before_go_too(house: House) -> None:
    ada = await added(await house.visitor().join(), "second@example.com")
    one = replace(ada, house=house.under(Policy(addresses=AddressRules(replaces=True))))

    await added(one, NEW)

    assert await listed(ada) == [(NEW, True, True)]


# Operators


async def test_another_address_is_no_way_to_guess_more(house: House) -> None:
    """L2, L6: five guesses of one account, whichever of its addresses are typed."""
    await added(await house.visitor().join())
    told = [
        faults_of(await house.visitor(f"203.0.113.{number}").log_in(email, "wrong"))
        for number, email in enumerate([ADA, NEW] * 4)
    ]

    assert told == [["email_password_mismatch"]] * 5 + [["too_many_login_attempts"]] * 3


async def test_what_was_typed_before_it_was_an_address_does_not_count(house: House) -> None:
    """L8: strangers lock no account by an address that it does not have yet."""
    for number in range(6):
        await house.visitor(f"203.0.113.{number}").log_in(NEW, "wrong")
    await added(await house.visitor().join())

    assert isinstance(await house.visitor("203.0.113.77").log_in(NEW), Standing)


async def test_to_unlock_somebody_is_to_unlock_each_address(house: House) -> None:
    """L1, L6: failures are forgotten whichever address was typed."""
    ada = await added(await house.visitor().join())
    there = "203.0.113.1"
    for number in range(6):
        await house.visitor(f"203.0.113.{number}").log_in(NEW, "wrong")
    for email in (ADA, NEW):
        assert faults_of(await house.visitor(there).log_in(email)) == ["too_many_login_attempts"]

    await operating(house).unlock(NEW)

    for email in (ADA, NEW):
        assert isinstance(await house.visitor(there).log_in(email), Standing)
    assert await listed(ada) == [ADAS, (NEW, True, False)]


# Who may


async def test_with_reauthentication_changes_take_a_fresh_proof(house: House) -> None:
    """N6, S: ACCOUNT_REAUTHENTICATION_REQUIRED; to look and to prove does not."""
    strict = house.under(Policy(reauthentication=Reauthentication(account=True)))
    ada = await strict.visitor().join()
    await house.mails()
    assert faults_of(await add(ada, ADA)) == ["duplicate_email"], "what is wrong is said first"
    assert isinstance(await add(ada), ReauthenticationNeeded)
    assert await house.mails() == []
    await ada.reauthenticate()
    await add(ada)
    house.clock.turn(minutes=6)

    assert isinstance(await ada.verify(await house.code()), Standing)
    assert isinstance(await make_primary(ada), ReauthenticationNeeded)
    assert isinstance(await remove(ada), ReauthenticationNeeded)
    assert await listed(ada) == [ADAS, (NEW, True, False)]
    await ada.reauthenticate()
    assert isinstance(await make_primary(ada), Addresses)
    assert isinstance(await remove(ada, ADA), Addresses)


async def test_without_a_session_there_is_nothing(house: House) -> None:
    await house.visitor().join()
    nobody = house.visitor()

    for outcome in (
        await house.flows.emails.list(await nobody.visit()),
        await add(nobody),
        await ask(nobody, ADA),
        await make_primary(nobody, ADA),
        await remove(nobody, ADA),
    ):
        assert isinstance(outcome, LoginNeeded)


async def test_only_the_states_that_are_for_it_go_on(house: House) -> None:
    """O2: no flow relies on having been admitted."""
    for state, visit in (await visits_of(house)).items():
        flows = house.flows
        if state != "verify_email":
            assert await flows.verify_email.show(visit, "BBBB-BBBB") == Misfit(), state
            assert await flows.verify_email.resend(visit) == Misfit(), state
        assert await flows.signup_address.change(visit, NEW) == Misfit(), state
        if state != "logged_in":
            assert isinstance(await flows.emails.list(visit), LoginNeeded), state
            assert isinstance(await flows.emails.add(visit, NEW), LoginNeeded), state


async def test_changes_are_counted_for_the_person(house: House) -> None:
    """Refusals too: with them addresses could be tried."""
    few = house.under(with_limit(Policy(), manage_email="3/m/user"))
    ada = await few.visitor().join()
    outcomes: list[Outcome] = [
        await add(ada, ADA),
        await remove(ada, ADA),
        await ask(ada, BOB),
        await add(ada),
        await add(ada, ADA),
        await remove(ada, ADA),
        await make_primary(ada, ADA),
        await ask(ada, ADA),
    ]

    assert [isinstance(outcome, Refused) for outcome in outcomes[:3]] == [True] * 3
    assert [isinstance(outcome, Throttled) for outcome in outcomes[3:]] == [True] * 5
    house.clock.turn(minutes=1)
    assert isinstance(await add(ada), Addresses)


async def test_what_ends_sessions_ends_a_proof_under_way(house: House) -> None:
    """N4: a code that somebody else asked for is worth nothing after a change of the password."""
    ada = await house.visitor().join()
    thief = ada.elsewhere("203.0.113.9")
    await thief.log_in()
    await add(thief, "thief@example.com")
    code = await house.code()
    await ada.change_password(PASSWORD, "battery-staple-8")

    with pytest.raises(Gone):
        await thief.verify(code)
    assert await stored(house) == {ADA}


async def test_a_change_meanwhile_refuses(house: House) -> None:
    """What was read of the account has to stand, or nothing is written."""
    ada = await added(await house.visitor().join())
    visit = await ada.visit()
    await change_user(house, session_epoch=7)

    with pytest.raises(Unavailable):
        await house.flows.emails.remove(visit, NEW)
    with pytest.raises(Unavailable):
        await house.flows.emails.make_primary(visit, NEW)
    assert await stored(house) == {ADA, NEW}


async def test_nothing_is_claimed_where_codes_are_mailed(house: House) -> None:
    ada = await added(await house.visitor().join())
    await add(ada, "other@example.com")

    assert await house.db.all(Statement(select(claimed_addresses.c.address))) == []
    assert (await house.account()).has_claims is False


async def test_a_session_keeps_its_token_and_its_other_processes(house: House) -> None:
    ada = await house.visitor().join()
    token = ada.token
    await add(ada)
    await ada.verify(await house.code())

    assert ada.token == token
    assert (await ada.visit()).authenticated


async def test_who_logs_in_has_left_a_proof_behind(house: House) -> None:
    """N2: what was under way in the session of before is not carried into another person's."""
    ada = await house.visitor().join()
    await add(ada)
    code = await house.code()
    await ada.log_out()
    house.clock.turn(seconds=timedelta(minutes=1).total_seconds())
    await ada.log_in()

    assert isinstance(await ada.verify(code), Misfit)
