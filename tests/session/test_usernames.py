"""Signing up with a username, and logging in by it."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.session.domain.identifiers import LoginMethod
from services.session.domain.mails import MailKind
from services.session.domain.signup_fields import SignupFields
from services.session.domain.usernames import UsernameRules
from services.session.domain.verification import Verification, Verified
from services.session.flows import PasswordHasher, Policy, build_operating
from services.session.flows.operate import Operating, WeakPassword
from services.session.flows.outcomes import (
    Addresses,
    Misfit,
    NotEnrolled,
    Outcome,
    Refused,
    Standing,
    Throttled,
)
from services.session.flows.signup import Applicant
from services.session.store.tables import emails, reserved_usernames, users
from shared.database import Statement
from shared.errors import Conflict, Malformed
from tests.session.addressing import (
    BOB,
    NEW,
    SOON,
    add,
    change,
    costs,
    make_primary,
    remove,
)
from tests.session.house import (
    ADA,
    PASSWORD,
    RING,
    House,
    Visitor,
    faults_of,
    make_flows,
    second_replica,
)
from tests.session.test_limits_enumeration import NOBODY, Recorded

ONE_OF_EACH = {"read": 1, "write": 1, "commit": 1}
EITHER = frozenset(LoginMethod)
BY_USERNAME = frozenset({LoginMethod.USERNAME})


def named(*names: str, required: str = "email username", **more: Any) -> Policy:
    """Return the policy where people sign up with these names, and log in by any of them."""
    fields = SignupFields(
        names=names or ("email", "username"), required=frozenset(required.split())
    )
    chosen = {"login_methods": EITHER, "usernames": UsernameRules(), **more}
    return Policy(signup_fields=fields, **chosen)


def nameless(**more: Any) -> Policy:
    """Return the policy where nobody needs an address, and an address need not be verified."""
    return named(
        "username",
        "email",
        required="username",
        login_methods=BY_USERNAME,
        verification=Verification(when=Verified.NONE, by_code=False),
        **more,
    )


@pytest.fixture
def house(house: House) -> House:
    """The house where people have an address and a username."""
    return house.under(named())


def operating(house: House, policy: Policy) -> Operating:
    """Return what operators can do."""
    hasher = PasswordHasher(queue=0, threads=1, memory=8, passes=1)
    return build_operating(house.db, ring=RING, clock=house.clock, policy=policy, hasher=hasher)


async def joined(house: House, username: str, email: str) -> Visitor:
    """Let somebody sign up with both and be logged in."""
    visitor = house.visitor()
    visitor.keep(await visitor.sign_up(email, username=username))
    assert isinstance(await visitor.verify(await house.code()), Standing)
    return visitor


def called(outcome: Outcome) -> tuple[str | None, str]:
    """Return the username of who is logged in, and what they are called."""
    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated
    assert outcome.visit.account is not None
    return outcome.visit.account.username, outcome.visit.account.display


async def held(house: House) -> dict[str, str | None]:
    """Return the usernames of people by their keys, and those of nobody."""
    theirs = await house.db.all(Statement(select(users.c.username, users.c.username_key)))
    nobodys = await house.db.all(Statement(select(reserved_usernames.c.username_key)))
    return {row.username_key: row.username for row in theirs if row.username_key} | {
        row.username_key: None for row in nobodys
    }


# Signing up


async def test_a_username_is_kept_as_it_was_typed(house: House) -> None:
    ada = await joined(house, "Ada", ADA)

    assert (await ada.visit()).account is not None
    assert called(await house.visitor().log_in_as("aDA")) == ("Ada", "Ada")
    assert called(await house.visitor().log_in(ADA)) == ("Ada", "Ada")


@pytest.mark.parametrize("username", ["Ada", "ADA", "\N{FULLWIDTH LATIN SMALL LETTER A}da"])
async def test_a_username_is_one_accounts_in_every_spelling(house: House, username: str) -> None:
    await joined(house, "Ada", ADA)

    assert faults_of(await house.visitor().sign_up(BOB, username=username)) == ["username_taken"]
    assert faults_of(await house.visitor().sign_up(ADA, username=username)) == ["username_taken"]
    assert await held(house) == {"ada": "Ada"}


async def test_what_is_wrong_is_told_together_in_the_order_of_the_fields(house: House) -> None:
    await joined(house, "Ada", ADA)

    refused = await house.visitor().sign_up(BOB, "12345678", username="ada")

    codes = ["username_taken", "password_too_common", "password_entirely_numeric"]
    assert faults_of(refused) == codes


async def test_a_password_like_the_username_is_refused(house: House) -> None:
    refused = await house.visitor().sign_up(BOB, "wizard-one", username="Wizard")

    assert faults_of(refused) == ["password_too_similar"]
    assert "username" in refused.faults[0].message  # type: ignore[union-attr]


async def test_asking_for_usernames_that_are_taken_has_a_limit(house: House) -> None:
    """L1: whether a name is taken is told twenty times a minute, as often as anybody signs up."""
    await joined(house, "Ada", ADA)
    thief = house.visitor("203.0.113.9")
    told = [faults_of(await thief.sign_up(BOB, username="ada")) for _ in range(20)]

    assert told == [["username_taken"]] * 20
    assert (await house.events())[-20:] == ["username_refused"] * 20
    assert isinstance(await thief.sign_up(BOB, username="ada"), Throttled)
    weak = await thief.sign_up(BOB, "12345678", username="ada")
    assert "username_taken" not in faults_of(weak)


async def test_a_sign_up_with_a_known_address_holds_its_username(house: House) -> None:
    """Enumeration: were it free afterwards, as it is not otherwise, the address would be told."""
    await joined(house, "Ada", ADA)
    house.clock.turn(seconds=SOON.total_seconds())
    known, unknown = house.visitor(), house.visitor()
    assert isinstance(await known.sign_up(ADA, username="Eve"), Standing)
    assert isinstance(await unknown.sign_up(BOB, username="Mallory"), Standing)
    assert [mail.kind for mail in await house.mails()] == [
        MailKind.ACCOUNT_EXISTS,
        MailKind.VERIFICATION_CODE,
    ]

    for name in ("Eve", "Mallory"):
        assert faults_of(await house.visitor().sign_up(NEW, username=name)) == ["username_taken"]
    assert await held(house) == {"ada": "Ada", "mallory": "Mallory", "eve": None}


async def test_known_and_unknown_addresses_say_the_same_to_the_database(house: House) -> None:
    """Enumeration: the same statements, whether or not the username is given or made up."""
    house = house.under(named(required="email"))
    await joined(house, "Ada", ADA)
    house.clock.turn(seconds=SOON.total_seconds())
    db = Recorded(house.db)
    said: dict[str, list[Any]] = {}
    watched = replace(
        house, flows=make_flows(db, house.factors, house.clock, policy=named(required="email"))
    )
    for email, username in ((ADA, "Eve"), (BOB, "Mallory"), (NEW, None)):
        db.said = said[email] = []
        assert isinstance(await watched.visitor().sign_up(email, username=username), Standing)

    assert said[ADA] == said[BOB] == said[NEW]


async def test_a_sign_up_costs_one_read_and_one_write(house: House) -> None:
    assert await costs(house.visitor().sign_up(ADA, username="Ada")) == ONE_OF_EACH


async def test_an_account_that_is_reclaimed_has_the_new_username(house: House) -> None:
    """Whoever proves to own the address has it as they have asked for it, and not as found."""
    await house.visitor().sign_up(ADA, "another-horse-8", username="Squatter")
    await house.mails()
    house.clock.turn(seconds=SOON.total_seconds())
    ada = house.visitor()
    await ada.sign_up(ADA, username="Ada")
    assert faults_of(await house.visitor().sign_up(BOB, username="ada")) == ["username_taken"]

    assert called(await ada.verify(await house.code())) == ("Ada", "Ada")
    assert called(await house.visitor().log_in_as("ada")) == ("Ada", "Ada")
    assert faults_of(await house.visitor().log_in_as("squatter")) == ["username_password_mismatch"]


async def test_a_username_moves_with_the_address_of_a_sign_up(house: House) -> None:
    """Also where that is somebody else's for a while: an account that is left gives it up."""
    house = house.under(named(verification=Verification(max_changes=2)))
    await joined(house, "Ada", ADA)
    house.clock.turn(seconds=SOON.total_seconds())
    bob = house.visitor()
    await bob.sign_up("bbo@example.org", username="Bob")
    for email in (ADA, BOB):
        house.clock.turn(seconds=SOON.total_seconds())
        assert isinstance(await change(bob, email), Addresses)
        assert faults_of(await house.visitor().sign_up(NEW, username="bob")) == ["username_taken"]
    *_, mail = await house.mails()

    assert called(await bob.verify(mail.facts["code"])) == ("Bob", "Bob")
    assert called(await house.visitor().log_in_as("bob")) == ("Bob", "Bob")


# Made-up usernames


async def test_who_gives_no_username_gets_one(house: House) -> None:
    house = house.under(named(required="email"))
    ada = house.visitor()
    await ada.sign_up(ADA)
    assert called(await ada.verify(await house.code())) == ("ada", "ada")
    other = house.visitor()
    await other.sign_up("ada@example.com")

    username, display = called(await other.verify(await house.code()))

    assert username is not None
    assert username == display
    assert username.startswith("ada")
    assert username[3:].isdigit()
    assert called(await house.visitor().log_in_as(username.upper()))[0] == username


async def test_what_is_made_up_is_as_long_as_it_has_to_be(house: House) -> None:
    rules = UsernameRules(min_length=12)
    house = house.under(named(required="email", usernames=rules))
    ada = house.visitor()
    await ada.sign_up(ADA)

    username, _ = called(await ada.verify(await house.code()))
    assert username is not None
    assert rules.parse(username) == username


async def test_without_usernames_there_are_none(house: House) -> None:
    house = house.under(Policy())
    ada = await house.visitor().join()

    account = (await ada.visit()).account
    assert account is not None
    assert (account.username, account.display) == (None, "ada")
    assert await held(house) == {}


# Logging in


async def test_a_login_by_username_records_what_was_typed(house: House) -> None:
    await joined(house, "Ada", ADA)
    outcome = await house.visitor().log_in_as(" aDa ")

    assert isinstance(outcome, Standing)
    assert outcome.visit.session is not None
    (method,) = outcome.visit.session.methods
    assert (method.username, method.email) == (" aDa ", None)


async def test_a_login_by_username_waits_for_the_primary_address(house: House) -> None:
    """As by an address: whoever signs up with one that is not theirs is not let in by a name."""
    ada = house.visitor()
    await ada.sign_up(ADA, username="Ada")
    await house.mails()
    house.clock.turn(seconds=SOON.total_seconds())
    again = house.visitor()
    outcome = await again.log_in_as("ada")

    assert isinstance(outcome, Standing)
    assert outcome.visit.pending == "verify_email"
    assert called(await again.verify(await house.code())) == ("Ada", "Ada")


@pytest.mark.parametrize("right", [True, False])
async def test_a_login_costs_the_same_by_either_name(house: House, right: bool) -> None:
    """One read and one write, whichever of its names an account is called by."""
    await joined(house, "Ada", ADA)
    password = PASSWORD if right else "wrong"
    for log_in in (
        house.visitor().log_in(ADA, password),
        house.visitor().log_in_as("ada", password),
        house.visitor().log_in_as("nobody", password),
    ):
        assert await costs(log_in) == ONE_OF_EACH


async def test_guesses_count_for_the_account_by_whichever_name(house: House) -> None:
    """L6: its addresses and its username are aliases; five wrong passwords are judged of all."""
    ada = await joined(house, "Ada", ADA)
    house.clock.turn(seconds=SOON.total_seconds())
    await add(ada)
    await ada.verify(await house.code())
    told = []
    for turn, name in enumerate(("ada", ADA, "ADA", NEW, " Ada ", "ada", ADA, NEW)):
        thief = house.visitor(f"203.0.113.{turn}")
        log_in = thief.log_in if "@" in name else thief.log_in_as
        told.append(faults_of(await log_in(name, "wrong")))

    assert [codes == ["too_many_login_attempts"] for codes in told] == [False] * 5 + [True] * 3
    assert called(await house.visitor().log_in_as("ada"))  # at home they get in
    assert faults_of(await house.visitor("203.0.113.9").log_in_as("bob", "wrong")) == [
        "username_password_mismatch"
    ]


async def test_a_right_password_that_is_proved_again_is_counted_with_them(house: House) -> None:
    """L6: reauthentication is one more place to guess at the same password."""
    ada = await joined(house, "Ada", ADA)
    for _ in range(3):
        await house.visitor().log_in_as("ada", "wrong")
    assert faults_of(await ada.reauthenticate("wrong")) == ["incorrect_password"]
    assert faults_of(await ada.reauthenticate("wrong")) == ["incorrect_password"]

    assert faults_of(await ada.reauthenticate("wrong")) == ["too_many_login_attempts"]
    assert faults_of(await house.visitor().log_in(ADA, "wrong")) == ["too_many_login_attempts"]


async def test_refused_logins_by_username_say_the_same_to_the_database(house: House) -> None:
    """L8: known or not, judged or over the limit."""
    await joined(house, "Ada", ADA)
    db = Recorded(house.db)
    house.flows = make_flows(db, house.factors, house.clock, policy=named())
    said: dict[str, list[Any]] = {}
    for username in ("ada", "nobody"):
        db.said = said[username] = []
        away = house.visitor("203.0.113.77")
        told = [faults_of(await away.log_in_as(username, "wrong")) for _ in range(7)]
        assert told == [["username_password_mismatch"]] * 5 + [["too_many_login_attempts"]] * 2
        house.clock.turn(minutes=10)

    assert len(said["ada"]) == 7 * 2
    assert said["ada"] == said["nobody"]


async def test_an_unlocked_account_is_unlocked_by_every_name(house: House) -> None:
    await joined(house, "Ada", ADA)
    thief = house.visitor("203.0.113.9")
    for _ in range(6):
        refused = await thief.log_in_as("ada", "wrong")
    assert faults_of(refused) == ["too_many_login_attempts"]

    await operating(house, named()).unlock("ADA")

    assert faults_of(await thief.log_in_as("ada", "wrong")) == ["username_password_mismatch"]
    assert faults_of(await thief.log_in(ADA, "wrong")) == ["email_password_mismatch"]


async def test_a_name_that_was_guessed_at_before_it_was_anybodys_counts_anew(house: House) -> None:
    """A stranger cannot lock out whoever is to have the name, nor find out that they have come."""
    thief = house.visitor("203.0.113.9")
    for _ in range(6):
        await thief.log_in_as("ada", "wrong")
    await joined(house, "Ada", ADA)

    assert called(await house.visitor().log_in_as("ada"))


# No address


async def test_nobody_needs_an_address_where_that_is_so(house: House) -> None:
    house = house.under(nameless())
    ada = house.visitor()

    assert called(ada.keep(await ada.sign_up(None, username="Ada"))) == ("Ada", "Ada")
    assert await house.mails() == []
    account = (await ada.visit()).account
    assert account is not None
    assert account.email is None
    assert called(await house.visitor().log_in_as("ada")) == ("Ada", "Ada")
    assert await house.notices() == []


async def test_who_has_no_address_can_protect_the_account(house: House) -> None:
    """There is none that is unverified; the device calls the account by the username."""
    house = house.under(nameless())
    ada = house.visitor()
    await ada.sign_up(None, username="Ada")
    await ada.reauthenticate()
    offered = await ada.show_totp()
    assert isinstance(offered, NotEnrolled)
    assert "Ada" in str(offered.display["totp_url"])
    await ada.protect()

    again = house.visitor()
    await again.log_in_as("ada")
    assert isinstance(await again.authenticate(ada.otp()), Standing)
    assert await house.notices() == []


async def test_the_first_address_becomes_primary_and_the_last_can_go(house: House) -> None:
    policy = nameless()
    proving = replace(policy, verification=Verification(when=Verified.NONE, by_code=True))
    house = house.under(proving)
    ada = house.visitor()
    await ada.sign_up(None, username="Ada")
    await add(ada)
    outcome = await ada.verify(await house.code())
    assert isinstance(outcome, Standing)
    assert outcome.visit.account is not None
    assert (outcome.visit.account.email, outcome.visit.account.email_verified) == (NEW, True)
    (row,) = await house.db.all(Statement(select(emails.c.address, emails.c.is_primary)))
    assert (row.address, row.is_primary) == (NEW, 1)

    assert isinstance(await remove(ada), Addresses)

    account = (await ada.visit()).account
    assert account is not None
    assert account.email is None


async def test_an_address_that_is_needed_stays(house: House) -> None:
    """Where it has to be verified, nobody could log in without one."""
    ada = await joined(house, "Ada", ADA)

    assert faults_of(await remove(ada, ADA)) == ["cannot_remove_primary_email"]


async def test_a_primary_address_with_others_beside_it_stays(house: House) -> None:
    proving = replace(nameless(), verification=Verification(when=Verified.NONE, by_code=True))
    house = house.under(proving)
    ada = house.visitor()
    await ada.sign_up(ADA, username="Ada")
    await add(ada)
    await ada.verify(await house.code())

    assert faults_of(await remove(ada, ADA)) == ["cannot_remove_primary_email"]
    assert isinstance(await make_primary(ada, NEW), Addresses)


@pytest.mark.parametrize("required", [True, False])
async def test_who_has_no_address_is_let_in_by_nothing_that_is_mailed(
    house: House, required: bool
) -> None:
    """O4: settings may change; then who has no address waits in vain, and fails closed."""
    before = house.under(nameless())
    ada = before.visitor()
    await ada.sign_up(None, username="Ada")
    after = named()
    if required:
        by_code = replace(after.login_by_code, required=frozenset({"password"}))  # type: ignore[arg-type]
        after = replace(nameless(), login_by_code=by_code)
    house = house.under(after)
    again = house.visitor()
    outcome = await again.log_in_as("ada")

    assert isinstance(outcome, Standing)
    assert outcome.visit.pending == ("login_by_code" if required else "verify_email")
    assert not outcome.visit.authenticated
    for key in ("", "BCDF-GHJK"):
        outcome = await (again.confirm_code(key) if required else again.verify(key))
        assert isinstance(outcome, Misfit)
    assert await house.mails() == []


# Races


async def test_two_sign_ups_with_one_username_make_one_account(pg_house: House) -> None:
    """The loser is told so, whatever had been read before."""
    house = pg_house.under(named())
    async with second_replica(pg_house) as built:
        other = built.under(named())
        read = house.store.find_vacancy

        async def overtaken(*args: Any, **more: Any) -> Any:
            found = await read(*args, **more)
            if not await held(house):
                await other.visitor("198.51.100.7").sign_up(BOB, username="ADA")
            return found

        house.flows.signup._store.find_vacancy = overtaken  # type: ignore[method-assign]
        refused = await house.visitor().sign_up(ADA, username="Ada")

    assert isinstance(refused, Refused)
    assert faults_of(refused) == ["username_taken"]
    assert await held(house) == {"ada": "ADA"}


# Operators


async def test_operators_make_and_find_accounts_by_username(house: House) -> None:
    do = operating(house, named())
    made = await do.create(ADA, PASSWORD, username="Ada", verified=True)

    for name in ("ada", " ADA", ADA, ADA.upper(), made):
        assert (await do.find(name)).id == made
    assert called(await house.visitor().log_in_as("ada")) == ("Ada", "Ada")
    with pytest.raises(Conflict, match=r"called bob@example\.org or ADA"):
        await do.create(BOB, None, username="ADA")
    with pytest.raises(WeakPassword):
        await do.create(BOB, "wizard-one", username="Wizard")
    with pytest.raises(Malformed):
        await do.create(BOB, None, username="two words")
    with pytest.raises(Malformed):
        await do.create(BOB, None)
    with pytest.raises(Malformed):
        await do.create(None, None, username="Bob")


async def test_an_id_is_never_taken_for_a_username(house: House) -> None:
    """Nobody is to be deleted in place of somebody else who calls themselves by their id."""
    do = operating(house, named(required="email"))
    bob = await do.create(BOB, None)
    mallory = await do.create(ADA, None, username=bob)

    assert (await do.find(bob)).id == bob
    assert (await do.find(ADA)).id == mallory


async def test_operators_need_no_address_where_nobody_does(house: House) -> None:
    do = operating(house, nameless())
    made = await do.create(None, PASSWORD, username="Ada")

    assert (await do.find("ada")).name == "Ada"
    await do.disable("ada")
    await do.enable("ada")
    await do.delete("ada")
    assert (await do.find(made)).username is None
    assert await do.create(None, PASSWORD, username="Ada") != made


async def test_where_accounts_have_no_usernames_operators_give_none(house: House) -> None:
    with pytest.raises(Malformed):
        await operating(house, Policy()).create(ADA, None, username="Ada")


async def test_a_username_is_free_again_once_its_owner_is_gone(house: House) -> None:
    ada = await joined(house, "Ada", ADA)
    await ada.reauthenticate()
    await house.flows.delete.delete(await ada.visit())

    assert called(await _again(house, ada)) == ("ada", "ada")


async def _again(house: House, ada: Visitor) -> Outcome:
    house.clock.turn(seconds=timedelta(minutes=1).total_seconds())
    ada.token = None
    await ada.sign_up(ADA, username="ada")
    return await ada.verify(await house.code())


async def test_a_passkey_sign_up_takes_a_username(house: House) -> None:
    ada = house.visitor()
    flow = house.flows.signup
    outcome = await flow.sign_up_by_passkey(await ada.visit(), Applicant(email=ADA, username="Ada"))
    assert isinstance(outcome, Standing)
    taken = await flow.sign_up_by_passkey(
        await house.visitor().visit(), Applicant(email=BOB, username="ADA")
    )

    assert faults_of(taken) == ["username_taken"]
    assert NOBODY not in str(await held(house))
    assert await held(house) == {"ada": "Ada"}
