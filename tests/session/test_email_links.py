"""Addresses verified by link: at sign-up, and those that are added."""

from dataclasses import replace

import pytest
from sqlalchemy import select

from services.session.domain.mails import MailKind
from services.session.domain.verification import AddressRules, Verified
from services.session.flows.outcomes import (
    Addresses,
    AddressShown,
    Done,
    Enrolled,
    Gone,
    Misfit,
    NotEnrolled,
    Refused,
    Standing,
    Unsent,
)
from services.session.store.tables import claimed_addresses, emails, users
from shared.database import Statement
from tests.session.addressing import (
    BOB,
    LATER,
    NEW,
    add,
    ask,
    by_link,
    change,
    costs,
    joined,
    key,
    key_of,
    listed,
    make_primary,
    remove,
    resend,
    show,
    shown,
)
from tests.session.house import ADA, PASSWORD, House, Visitor, faults_of
from tests.session.test_flows_operate import operating

ADAS = (ADA, True, True)
CLAIMED = (NEW, False, False)


@pytest.fixture
def house(house: House) -> House:
    """The house where links are mailed."""
    return house.under(by_link())


def later(house: House) -> None:
    """Let the limit on mails to one address be over."""
    house.clock.turn(seconds=LATER.total_seconds())


async def claims(house: House) -> list[str]:
    """Return the addresses that somebody says are theirs."""
    return [
        row.address for row in await house.db.all(Statement(select(claimed_addresses.c.address)))
    ]


# At sign-up


async def test_a_sign_up_waits_for_the_link(house: House) -> None:
    """The link verifies the address; the person then logs in, as allauth has it by default."""
    ada = house.visitor()
    outcome = await ada.sign_up()
    assert isinstance(outcome, Standing)
    assert outcome.visit.pending is not None
    link = await key(house)

    seen = await show(ada, link)
    assert isinstance(seen, AddressShown)
    assert (seen.address, seen.is_authenticating) == (ADA, True)
    verified = await ada.verify(link)

    assert isinstance(verified, Standing)
    assert not verified.visit.authenticated
    assert verified.visit.pending is None
    assert (await house.account()).email_verified
    assert isinstance(await ada.log_in(), Standing)
    assert (await ada.visit()).authenticated


async def test_a_link_is_followed_wherever_that_is(house: House) -> None:
    """By somebody without a session, who is not logged in by it."""
    ada, phone = house.visitor(), house.visitor("203.0.113.9")
    await ada.sign_up()
    link = await key(house)

    seen = await show(phone, link)
    assert isinstance(seen, AddressShown)
    assert not seen.is_authenticating
    outcome = await phone.verify(link)

    assert isinstance(outcome, Standing)
    assert outcome.token is None
    assert not outcome.visit.authenticated
    assert (await house.account()).email_verified
    assert (await ada.visit()).pending is None, "who waits has only to log in"


async def test_with_login_by_link_its_own_session_goes_on(house: House) -> None:
    house = house.under(by_link(login_by_link=True))
    ada = house.visitor()
    await ada.sign_up()

    outcome = await ada.verify(await key(house))

    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated
    assert outcome.token is not None, "N2"
    assert (await house.events())[-2:] == ["email_verified", "logged_in"]


async def test_login_by_link_is_for_the_session_that_signed_up(house: House) -> None:
    """Whoever finds the link logs in nowhere by it; a login of another address ends."""
    house = house.under(by_link(login_by_link=True))
    ada, bob = house.visitor(), house.visitor("203.0.113.9")
    await ada.sign_up()
    link = await key(house)
    await bob.sign_up(BOB)

    outcome = await bob.verify(link)

    assert isinstance(outcome, Standing)
    assert not outcome.visit.authenticated
    assert (await bob.visit()).pending is None
    assert not (await ada.visit()).authenticated


async def test_a_second_factor_is_asked_for_all_the_same(house: House) -> None:
    """O7, O8: a link goes through the same engine as any other proof."""
    open_house = house.under(
        by_link(Verified.OPTIONAL, unverified_may_enrol=True, login_by_link=True)
    )
    ada = await _signed_up(open_house)
    await ada.protect()
    await ada.log_out()
    strict = house.under(by_link(login_by_link=True))
    ada = replace(ada, house=strict)
    await ada.log_in()
    (link,) = [key_of(mail) for mail in await house.mails() if "link" in mail.facts][-1:]

    outcome = await ada.verify(link)

    assert isinstance(outcome, Standing)
    assert not outcome.visit.authenticated
    assert outcome.visit.pending is not None
    assert outcome.visit.pending.value == "mfa_authenticate"


async def _signed_up(house: House) -> Visitor:
    """Return somebody who was logged in by signing up, and has had their mail."""
    ada = house.visitor()
    await ada.sign_up()
    await house.mails()
    later(house)
    return ada


async def test_a_link_is_good_once(house: House) -> None:
    ada = house.visitor()
    await ada.sign_up()
    link = await key(house)
    await ada.verify(link)

    assert faults_of(await ada.verify(link)) == ["invalid_or_expired_key"]
    assert faults_of(await show(ada, link)) == ["invalid_or_expired_key"]


async def test_a_link_is_good_for_days(house: House) -> None:
    ada, bob = house.visitor(), house.visitor("203.0.113.9")
    await ada.sign_up()
    first = await key(house)
    house.clock.turn(days=2)
    await bob.sign_up(BOB)
    second = await key(house)
    house.clock.turn(days=1)

    assert faults_of(await house.visitor().verify(first)) == ["invalid_or_expired_key"]
    assert isinstance(await house.visitor().verify(second), Standing)


@pytest.mark.parametrize("text", ["", "nonsense", "a.b.c", "🦆", "x" * 5000])
async def test_what_is_no_key_is_refused(house: House, text: str) -> None:
    nobody = house.visitor()

    assert faults_of(await nobody.verify(text)) == ["invalid_or_expired_key"]
    assert faults_of(await show(nobody, text)) == ["invalid_or_expired_key"]


async def test_what_ends_all_sessions_ends_links(house: House) -> None:
    """N4: a thief's address does not become one of the owner's after a change of the password."""
    ada = await joined(house, ADA)
    thief = ada.elsewhere("203.0.113.9")
    await thief.log_in()
    await add(thief, "thief@example.com")
    link = await key(house)
    await ada.change_password(PASSWORD, "battery-staple-8")

    assert faults_of(await house.visitor().verify(link)) == ["invalid_or_expired_key"]
    assert await listed(ada) == [ADAS, ("thief@example.com", False, False)]


async def test_a_disabled_account_is_not_verified(house: House) -> None:
    """O6."""
    ada = house.visitor()
    await ada.sign_up()
    link = await key(house)
    await operating(house).disable(ADA)

    assert faults_of(await house.visitor().verify(link)) == ["invalid_or_expired_key"]


async def test_a_login_may_wait_for_a_link_too(house: House) -> None:
    """It gets a mail of its own; beyond the limit it waits all the same, for the one of before."""
    ada = house.visitor()
    await ada.sign_up()
    first = await key(house)

    too_early = await ada.log_in()
    assert isinstance(too_early, Standing)
    assert too_early.visit.pending is not None
    assert await house.mails() == []
    later(house)
    assert isinstance(await ada.log_in(), Standing)
    second = await key(house)

    assert isinstance(await show(ada, first), AddressShown)
    assert isinstance(await ada.verify(second), Standing)
    assert faults_of(await ada.verify(first)) == ["invalid_or_expired_key"]


async def test_a_taken_address_looks_like_a_free_one_at_sign_up(house: House) -> None:
    """Enumeration: statements and answer are the same, within the limit on mails and beyond."""
    await joined(house, ADA)
    later(house)
    each: list[tuple[dict[str, float], list[str]]] = []
    for address in (ADA, BOB, ADA, BOB):
        before = await costs(house.visitor(f"198.51.100.{len(each)}").sign_up(address))
        each.append((before, [mail.to for mail in await house.mails()]))

    (taken, told), (free, asked), (taken_again, none), (free_again, nothing) = each
    assert taken == free
    assert taken_again == free_again
    assert (told, asked, none, nothing) == ([ADA], [BOB], [], [])


async def test_a_sign_up_is_not_taken_over_by_another(house: House) -> None:
    """As in allauth: whoever reads the mail follows the link, and knows no password of others'."""
    squatter, owner = house.visitor("203.0.113.9"), house.visitor()
    await squatter.sign_up(ADA, "squatters-horse-9")
    await house.mails()
    later(house)

    outcome = await owner.sign_up(ADA)

    assert isinstance(outcome, Standing)
    (mail,) = await house.mails()
    assert mail.kind is MailKind.ACCOUNT_EXISTS
    assert (await owner.visit()).account is None


async def test_codes_are_not_for_links(house: House) -> None:
    """409, as in allauth: there is nothing to be sent anew, and no address to be changed."""
    ada = house.visitor()
    await ada.sign_up()
    await house.mails()

    assert isinstance(await resend(ada), Misfit)
    assert isinstance(await change(ada, NEW), Misfit)


async def test_what_links_cost(house: House) -> None:
    ada = house.visitor()
    await ada.sign_up()
    link = await key(house)
    elsewhere = house.visitor("203.0.113.9")

    looked = await costs(show(elsewhere, link))
    followed = await costs(elsewhere.verify(link))

    assert (looked["read"], looked["commit"]) == (3, 0)
    assert (followed["read"], followed["commit"]) == (3, 1)


# Added addresses


async def test_an_added_address_is_listed_and_holds_nothing(house: House) -> None:
    ada = await joined(house, ADA)
    await house.notices()

    assert shown(await add(ada)) == [ADAS, CLAIMED]
    assert await claims(house) == [NEW]
    assert faults_of(await ada.elsewhere().log_in(NEW)) == ["email_password_mismatch"]
    assert await house.notices() == []
    await house.mails()
    later(house)
    owner = house.visitor("203.0.113.9")
    await owner.sign_up(NEW)
    assert isinstance(await owner.verify(await key(house)), Standing)


async def test_its_link_makes_it_count(house: House) -> None:
    ada = await joined(house, ADA)
    await house.notices()
    await add(ada)
    link = await key(house)

    outcome = await ada.verify(link)

    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated
    assert await listed(ada) == [ADAS, (NEW, True, False)]
    assert await claims(house) == []
    (told,) = await house.notices()
    assert (told.kind, told.to) == (MailKind.EMAIL_ADDED, ADA)
    assert isinstance(await ada.elsewhere().log_in(NEW), Standing)
    assert faults_of(await ada.verify(link)) == ["invalid_or_expired_key"]


async def test_a_taken_address_is_claimed_without_a_word(house: House) -> None:
    """The same statements; the owner is told, and there is no link to it."""
    await joined(house, BOB)
    ada = await joined(house, ADA)
    later(house)

    taken = await costs(add(ada, BOB))
    (mail,) = await house.mails()
    free = await costs(add(ada, NEW))

    assert taken == free
    assert (mail.kind, mail.to) == (MailKind.ADDRESS_TAKEN, BOB)
    assert await listed(ada) == [ADAS, (BOB, False, False), CLAIMED]


async def test_whoever_follows_the_link_first_has_the_address(house: House) -> None:
    ada, bob = await joined(house, ADA), await joined(house, BOB)
    await add(ada)
    first = await key(house)
    later(house)
    await add(bob)
    second = await key(house)

    assert isinstance(await bob.verify(second), Standing)
    assert faults_of(await ada.verify(first)) == ["email_taken"]
    assert (await house.events())[-1] == "email_refused"
    assert faults_of(await show(ada, first)) == ["email_taken"]


async def test_a_sign_up_that_nobody_finished_gives_its_address_up(house: House) -> None:
    """And with it everything else: its link and its account."""
    squatter = house.visitor("203.0.113.9")
    await squatter.sign_up(NEW)
    stale = await key(house)
    ada = await joined(house, ADA)
    later(house)
    await add(ada)

    assert isinstance(await ada.verify(await key(house)), Standing)
    assert await listed(ada) == [ADAS, (NEW, True, False)]
    assert faults_of(await house.visitor().verify(stale)) == ["invalid_or_expired_key"]
    with pytest.raises(Gone):
        await squatter.visit()
    gone = Statement(select(users.c.id).where(users.c.deleted_at.is_not(None)))
    assert len(await house.db.all(gone)) == 1


async def test_a_claim_is_removed_and_its_link_with_it(house: House) -> None:
    """Also when it is claimed anew."""
    ada = await joined(house, ADA)
    await add(ada)
    link = await key(house)
    await house.notices()
    assert shown(await remove(ada)) == [ADAS]
    assert await house.notices() == []
    assert faults_of(await ada.verify(link)) == ["invalid_or_expired_key"]
    later(house)
    await add(ada)

    assert faults_of(await ada.verify(link)) == ["invalid_or_expired_key"]
    assert isinstance(await ada.verify(await key(house)), Standing)


async def test_a_link_is_sent_again(house: House) -> None:
    """As often as mails go to one address; then 403. Both links are good."""
    ada = await joined(house, ADA)
    await add(ada)
    first = await key(house)
    assert isinstance(await ask(ada, NEW), Unsent)
    later(house)

    assert isinstance(await ask(ada, NEW), Done)
    assert isinstance(await show(ada, first), AddressShown)
    assert isinstance(await ada.verify(await key(house)), Standing)
    assert isinstance(await ask(ada, NEW), Unsent)
    assert isinstance(await ask(ada, ADA), Unsent)


async def test_beyond_the_limit_an_address_is_claimed_without_a_mail(house: House) -> None:
    ada, bob = await joined(house, ADA), await joined(house, BOB)
    await add(ada)
    await house.mails()

    assert isinstance(await add(bob), Addresses)
    assert await house.mails() == []
    assert (NEW, False, False) in await listed(bob)


async def test_an_address_is_claimed_once(house: House) -> None:
    ada = await joined(house, ADA)
    await add(ada)

    assert faults_of(await add(ada)) == ["duplicate_email"]


async def test_claims_count_among_the_most(house: House) -> None:
    few = house.under(replace(by_link(), addresses=AddressRules(most=2)))
    ada = await joined(few, ADA)
    await add(ada)

    assert faults_of(await add(ada, "third@example.com")) == ["max_email_addresses"]


async def test_with_one_address_only_the_last_is_claimed(house: House) -> None:
    """ACCOUNT_CHANGE_EMAIL by link: the claims of before go, and at last the old address."""
    one = house.under(replace(by_link(), addresses=AddressRules(replaces=True, most=2)))
    ada = await joined(one, ADA)
    await house.notices()
    await add(ada, "first@example.com")
    first = await key(house)
    assert shown(await add(ada)) == [ADAS, CLAIMED]
    second = await key(house)

    assert faults_of(await ada.verify(first)) == ["invalid_or_expired_key"]
    assert isinstance(await ada.verify(second), Standing)
    assert await listed(ada) == [(NEW, True, True)]
    (told,) = await house.notices()
    assert (told.kind, told.to) == (MailKind.EMAIL_CHANGED, ADA)
    assert (await ada.visit()).authenticated


async def test_a_claim_does_not_become_primary(house: House) -> None:
    ada = await joined(house, ADA)
    await add(ada)

    assert faults_of(await make_primary(ada)) == ["unverified_primary_email"]


# Second factors


async def test_no_factor_is_added_while_an_address_is_not_verified(house: House) -> None:
    """As in allauth; MFA_ALLOW_UNVERIFIED_EMAIL lets it be."""
    ada = await joined(house, ADA)
    await add(ada)
    await ada.reauthenticate()

    assert faults_of(await ada.show_totp()) == ["unverified_email"]
    assert faults_of(await ada.activate("123456")) == ["unverified_email"]
    options = await house.flows.webauthn.options(await ada.visit(), passwordless=False)
    assert faults_of(options) == ["unverified_email"]

    allowing = replace(ada, house=house.under(by_link(unverified_may_enrol=True)))
    assert isinstance(await allowing.show_totp(), NotEnrolled)
    assert isinstance(await allowing.activate(allowing.otp()), Enrolled)


async def test_no_address_is_claimed_on_an_account_with_a_second_factor(house: House) -> None:
    """`add_email_blocked`, where a link is mailed; MFA_ALLOW_UNVERIFIED_EMAIL lets it be."""
    ada = await (await joined(house, ADA)).protect()

    assert faults_of(await add(ada)) == ["add_email_blocked"]
    assert await listed(ada) == [ADAS]
    allowing = replace(ada, house=house.under(by_link(unverified_may_enrol=True)))
    assert shown(await add(allowing)) == [ADAS, CLAIMED]


# Where it need not be verified


@pytest.mark.parametrize("when", [Verified.OPTIONAL, Verified.NONE])
async def test_who_signs_up_is_logged_in_at_once(house: House, when: Verified) -> None:
    house = house.under(by_link(when))
    ada = house.visitor()

    outcome = await ada.sign_up()

    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated
    assert outcome.visit.account == await house.account()
    assert (await ada.visit()).authenticated
    assert await listed(ada) == [(ADA, False, True)]
    mails = [mail.kind for mail in await house.mails()]
    assert mails == ([MailKind.VERIFICATION_LINK] if when is Verified.OPTIONAL else [])
    assert (await house.events()) == ["signed_up", "logged_in"]
    assert isinstance(await ada.elsewhere().log_in(), Standing)
    assert await house.mails() == [], "as in allauth, only at sign-up"


@pytest.mark.parametrize("when", [Verified.OPTIONAL, Verified.NONE])
async def test_a_taken_address_is_told(house: House, when: Verified) -> None:
    """Who is let in at once would see it anyway: as in allauth. It is counted all the same."""
    house = house.under(by_link(when))
    await house.visitor().sign_up()
    await house.mails()

    outcomes = [await house.visitor().sign_up() for _ in range(20)]

    codes = [faults_of(outcome) for outcome in outcomes]
    assert codes == [["email_taken"]] * 19 + [[]]
    assert not isinstance(outcomes[-1], Refused)
    assert await house.mails() == []


async def test_an_unverified_account_that_is_used_keeps_its_address(house: House) -> None:
    """It is no unfinished one: its owner logs in by password."""
    house = house.under(by_link(Verified.OPTIONAL))
    squatter = await _signed_up(house)
    ada = house.visitor("203.0.113.9")
    await ada.sign_up(BOB)
    await ada.verify(await key(house))
    later(house)
    await add(ada, ADA)
    (mail,) = await house.mails()

    assert mail.kind is MailKind.ADDRESS_TAKEN
    assert isinstance(await squatter.elsewhere().log_in(), Standing)


async def test_a_link_may_be_followed_at_leisure(house: House) -> None:
    house = house.under(by_link(Verified.OPTIONAL))
    ada = house.visitor()
    await ada.sign_up()

    outcome = await ada.verify(await key(house))

    assert isinstance(outcome, Standing)
    account = outcome.visit.account
    assert account is not None
    assert account.email_verified
    assert await listed(ada) == [ADAS]


async def test_the_mail_of_a_sign_up_may_be_left_out(house: House) -> None:
    """Where mails to the address are used up; nobody is kept out by that."""
    house = house.under(by_link(Verified.OPTIONAL))
    other = await _signed_up(house)
    await add(other, NEW)
    await house.mails()

    outcome = await house.visitor("203.0.113.9").sign_up(NEW)

    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated
    assert await house.mails() == []


async def test_a_link_is_asked_for_again(house: House) -> None:
    house = house.under(by_link(Verified.OPTIONAL))
    ada = await _signed_up(house)

    assert isinstance(await ask(ada, ADA), Done)
    assert isinstance(await ada.verify(await key(house)), Standing)


async def test_of_two_unverified_addresses_either_is_primary(house: House) -> None:
    """As in allauth, until one is verified; what is no more primary is claimed."""
    house = house.under(by_link(Verified.OPTIONAL))
    ada = await _signed_up(house)
    await add(ada)
    mails = [key_of(mail) for mail in await house.mails()]

    assert shown(await make_primary(ada)) == [(NEW, False, True), (ADA, False, False)]
    assert faults_of(await ada.verify(mails[0])) == ["invalid_or_expired_key"]
    later(house)
    await ask(ada, ADA)
    assert isinstance(await ada.verify(await key(house)), Standing)
    assert await listed(ada) == [(NEW, False, True), (ADA, True, False)]
    assert shown(await make_primary(ada, ADA)) == [(ADA, True, True), (NEW, False, False)]


async def test_an_address_of_others_does_not_become_primary(house: House) -> None:
    house = house.under(by_link(Verified.OPTIONAL))
    await house.visitor("203.0.113.9").sign_up(BOB)
    ada = await _signed_up(house)
    await add(ada, BOB)

    assert faults_of(await make_primary(ada, BOB)) == ["email_taken"]
    assert (await house.events())[-1] == "email_refused"
    assert await listed(ada) == [(ADA, False, True), (BOB, False, False)]


async def test_no_factor_is_added_to_an_unverified_account(house: House) -> None:
    house = house.under(by_link(Verified.OPTIONAL))
    ada = await _signed_up(house)

    assert faults_of(await ada.show_totp()) == ["unverified_email"]


async def test_once_it_has_to_be_verified_logins_wait_for_it(house: House) -> None:
    """The setting may change; a secondary address that is verified lets in at once."""
    optional = house.under(by_link(Verified.OPTIONAL))
    ada = await _signed_up(optional)
    await add(ada)
    await ada.verify(await key(house))
    await ada.log_out()
    strict = replace(ada, house=house)

    by_primary = await strict.elsewhere(house=house).log_in(ADA)
    by_other = await strict.elsewhere(house=house).log_in(NEW)

    assert isinstance(by_primary, Standing)
    assert isinstance(by_other, Standing)
    assert not by_primary.visit.authenticated
    assert by_other.visit.authenticated


# Deleting


async def test_with_the_person_all_addresses_go(house: House) -> None:
    """Claims too; links that are on their way are worth nothing."""
    ada = await joined(house, ADA)
    await add(ada, BOB)
    other = await key(house)
    await add(ada)
    await ada.verify(await key(house))
    await operating(house).delete(NEW)

    assert await claims(house) == []
    assert await house.db.all(Statement(select(emails.c.address))) == []
    assert faults_of(await house.visitor().verify(other)) == ["invalid_or_expired_key"]


async def test_operators_find_people_by_each_address(house: House) -> None:
    ada = await joined(house, ADA)
    await add(ada)
    with pytest.raises(Exception, match="nobody"):
        await operating(house).find(NEW)
    await ada.verify(await key(house))
    later(house)
    await add(ada, BOB)

    found = await operating(house).find(NEW)

    assert found.email == ADA
    assert [(a.address, a.verified, a.primary) for a in found.addresses] == [
        ADAS,
        (NEW, True, False),
        (BOB, False, False),
    ]
