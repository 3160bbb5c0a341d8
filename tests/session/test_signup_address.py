"""Giving another address before the one of a sign-up is verified."""

import pytest
from sqlalchemy import select

from services.session.domain.mails import MailKind
from services.session.domain.verification import Verified
from services.session.flows import Policy
from services.session.flows.outcomes import Addresses, Misfit, Outcome, Refused, Standing, Throttled
from services.session.store.tables import emails, users
from shared.database import Statement
from tests.session.addressing import (
    BOB,
    NEW,
    SOON,
    add,
    added,
    by_link,
    change,
    changing,
    costs,
    shown,
    with_limit,
)
from tests.session.house import ADA, House, Visitor, faults_of

WAITS = [(NEW, False, True)]


@pytest.fixture
def house(house: House) -> House:
    """The house where an address may be changed twice."""
    return house.under(changing())


async def held(house: House) -> set[str]:
    """Return every address that is somebody's."""
    return {row.address for row in await house.db.all(Statement(select(emails.c.address)))}


async def people(house: House) -> int:
    """Return how many accounts there are."""
    return len(await house.db.all(Statement(select(users.c.id))))


def soon(house: House) -> None:
    """Let the limit on mails to one address be over."""
    house.clock.turn(seconds=SOON.total_seconds())


async def taken(house: House, email: str) -> None:
    """Let somebody else have an address."""
    await house.visitor("203.0.113.9").join(email)
    soon(house)


async def logs_in(house: House, email: str) -> bool:
    """Tell whether the password of the sign-up opens the account of an address."""
    outcome = await house.visitor("198.51.100.7").log_in(email)
    return isinstance(outcome, Standing) and outcome.visit.authenticated


async def test_the_code_goes_to_the_other_address(house: House) -> None:
    ada = house.visitor()
    await ada.sign_up()
    stale = await house.code()

    assert shown(await change(ada, NEW)) == WAITS
    (mail,) = await house.mails()

    assert mail.to == NEW
    assert faults_of(await ada.verify(stale)) == ["incorrect_code"]
    outcome = await ada.verify(mail.facts["code"])
    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated
    assert await held(house) == {NEW}
    assert await people(house) == 1
    assert await logs_in(house, NEW)


async def test_without_a_word_nothing_is_changed(house: House) -> None:
    """As in allauth."""
    ada = house.under(Policy()).visitor()
    await ada.sign_up()

    assert isinstance(await change(ada, NEW), Misfit)


async def test_so_often_and_no_more(house: House) -> None:
    ada = house.visitor()
    await ada.sign_up()
    await change(ada, "first@example.com")
    await change(ada, "second@example.com")

    assert isinstance(await change(ada, NEW), Misfit)
    assert await held(house) == {"second@example.com"}


async def test_the_address_has_to_be_another(house: House) -> None:
    ada = house.visitor()
    await ada.sign_up()

    assert faults_of(await change(ada, ADA)) == ["same_as_current"]


async def test_failures_stay_counted(house: House) -> None:
    """L2: another address is no way to guess more."""
    ada = house.visitor()
    await ada.sign_up()
    await ada.verify("BBBB-BBBB")
    await ada.verify("BBBB-BBBC")
    await house.mails()
    await change(ada, NEW)
    code = await house.code()

    assert faults_of(await ada.verify("BBBB-BBBD")) == ["incorrect_code"]
    assert isinstance(await ada.verify(code), Misfit)


async def test_the_code_is_as_old_as_it_was(house: House) -> None:
    ada = house.visitor()
    await ada.sign_up()
    house.clock.turn(minutes=14)
    await house.mails()
    await change(ada, NEW)
    code = await house.code()
    house.clock.turn(seconds=59)
    assert (await ada.visit()).pending is not None
    house.clock.turn(seconds=1)

    with pytest.raises(Exception, match="ended"):
        await ada.verify(code)


async def test_a_taken_address_is_not_told(house: House) -> None:
    """The answer and the statements are the same, whether the old or the new one is taken."""
    await taken(house, BOB)
    seen: dict[tuple[str, str], tuple[object, object]] = {}
    for number, (old, new) in enumerate(
        [(ADA, "free@example.com"), ("eve@example.org", BOB), (BOB, "free2@example.com")]
    ):
        soon(house)
        who = house.visitor(f"198.51.100.{number}")
        await who.sign_up(old)
        await house.mails()
        soon(house)
        outcomes: list[Outcome] = []

        async def do(who: Visitor = who, new: str = new, kept: list[Outcome] = outcomes) -> None:
            kept.append(await change(who, new))

        spent = await costs(do())
        assert shown(outcomes[0]) == [(new, False, True)]
        seen[old, new] = (spent, [mail.kind.value for mail in await house.mails()])

    spent_each = [spent for spent, _ in seen.values()]
    assert spent_each[0] == spent_each[1] == spent_each[2]
    assert [mails for _, mails in seen.values()] == [
        ["verification_code"],
        ["account_exists"],
        ["verification_code"],
    ]


async def test_a_taken_address_opens_nothing(house: House) -> None:
    """Whatever is typed, the account of somebody else stays theirs."""
    await taken(house, BOB)
    eve = house.visitor()
    await eve.sign_up("eve@example.org", "evil-password-9")
    soon(house)
    await house.mails()
    await change(eve, BOB)
    (mail,) = await house.mails()

    assert mail.kind is MailKind.ACCOUNT_EXISTS
    assert mail.facts == {}
    assert (await eve.visit()).account is None
    assert faults_of(await eve.verify("BBBB-BBBB")) == ["incorrect_code"]
    assert await logs_in(house, BOB)


async def test_who_signed_up_with_a_taken_address_gets_an_account_by_another(
    house: House,
) -> None:
    """They had mistyped it: what looked like an account is one now."""
    await taken(house, BOB)
    ada = house.visitor()
    await ada.sign_up(BOB, "battery-staple-8")
    await house.mails()
    await change(ada, NEW)
    outcome = await ada.verify(await house.code())

    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated
    account = outcome.visit.account
    assert account is not None
    assert account.email == NEW
    other = house.visitor("198.51.100.7")
    assert isinstance(await other.log_in(NEW, "battery-staple-8"), Standing)
    assert await logs_in(house, BOB), "with the password of its owner"


async def test_from_a_taken_address_to_another_and_back(house: House) -> None:
    """The account of before is left behind; nothing of it is shared."""
    await taken(house, BOB)
    ada = house.visitor()
    await ada.sign_up()
    await house.mails()
    await change(ada, BOB)
    await house.mails()
    await change(ada, NEW)

    outcome = await ada.verify(await house.code())

    assert isinstance(outcome, Standing)
    account = outcome.visit.account
    assert account is not None
    assert account.email == NEW
    assert await logs_in(house, NEW)


async def test_an_address_that_nobody_finished_with_is_had_by_its_code(house: House) -> None:
    squatter = house.visitor("203.0.113.9")
    await squatter.sign_up(NEW, "squatters-horse-9")
    await house.mails()
    soon(house)
    ada = house.visitor()
    await ada.sign_up()
    await house.mails()
    await change(ada, NEW)

    outcome = await ada.verify(await house.code())

    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated
    assert await logs_in(house, NEW)
    assert not isinstance(
        await house.visitor("203.0.113.9").log_in(NEW, "squatters-horse-9"), Standing
    )


async def test_who_reclaims_an_account_does_not_move_it(house: House) -> None:
    """A sign-up for an account that nobody got into is not in it yet."""
    squatter = house.visitor("203.0.113.9")
    await squatter.sign_up(ADA, "squatters-horse-9")
    await house.mails()
    soon(house)
    ada = house.visitor()
    await ada.sign_up(ADA)
    await house.mails()
    await change(ada, NEW)
    outcome = await ada.verify(await house.code())

    assert isinstance(outcome, Standing)
    assert await held(house) == {ADA, NEW}
    assert await people(house) == 2
    assert await logs_in(house, NEW)


async def test_without_prevention_a_taken_address_is_told(house: House) -> None:
    await taken(house, BOB)
    open_house = house.under(
        Policy(verification=changing().verification, prevent_enumeration=False)
    )
    ada = open_house.visitor()
    await ada.sign_up()

    assert faults_of(await change(ada, BOB)) == ["email_taken"]
    assert (await house.events())[-1] == "email_refused"


async def test_a_login_changes_the_address_of_an_account_nobody_was_in(house: House) -> None:
    """As in allauth: by password, after the session of the sign-up is lost."""
    await house.visitor().sign_up()
    await house.mails()
    soon(house)
    ada = house.visitor("198.51.100.7")
    await ada.log_in()
    await house.mails()

    assert isinstance(await change(ada, NEW), Addresses)
    assert isinstance(await ada.verify(await house.code()), Standing)
    assert await held(house) == {NEW}


async def test_nobody_changes_the_address_of_an_account_that_was_used(house: House) -> None:
    """Whoever has the password, and not the mailbox, moves it nowhere."""
    optional = house.under(by_link(Verified.OPTIONAL))
    await optional.visitor().sign_up()
    await house.mails()
    house.clock.turn(minutes=4)
    thief = house.visitor("203.0.113.9")
    await thief.log_in()
    await house.mails()

    assert isinstance(await change(thief, NEW), Misfit)
    assert await held(house) == {ADA}


async def test_changes_are_limited(house: House) -> None:
    few = house.under(with_limit(changing(9), manage_email="1/m/user"))
    ada = few.visitor()
    await ada.sign_up()
    assert isinstance(await change(ada, "first@example.com"), Addresses)

    assert isinstance(await change(ada, "second@example.com"), Throttled)


async def test_who_is_logged_in_or_nobody_has_no_sign_up(house: House) -> None:
    ada = await added(await house.visitor().join())

    assert isinstance(await change(ada, "third@example.com"), Misfit)
    assert isinstance(await change(house.visitor(), NEW), Misfit)
    assert isinstance(await add(ada, "third@example.com"), Addresses)


async def test_what_cannot_be_read_is_told(house: House) -> None:
    ada = house.visitor()
    await ada.sign_up()

    assert isinstance(await change(ada, None), Refused)
    assert await held(house) == {ADA}
