"""Passwords that change, and what ends with them."""

import asyncio
from itertools import pairwise

import pytest
from sqlalchemy import update

from services.session.domain.mails import MailKind
from services.session.domain.methods import MethodKind
from services.session.domain.passwords import PasswordRules
from services.session.flows import PasswordPolicy, Policy, Reauthentication
from services.session.flows.outcomes import (
    Enrolled,
    Gone,
    LoginNeeded,
    ReauthenticationNeeded,
    Refused,
    Standing,
    Throttled,
)
from services.session.store.tables import users
from shared.database import Statement, step
from tests.session.house import HOME, PASSWORD, House, Visitor, counted, faults_of, unavailable
from tests.session.keys import log_in as log_in_by_passkey
from tests.session.keys import reauthenticate, with_passkey
from tests.webauthn.authenticator import Device

NEW = "battery-staple-7"
FORGET_PASSWORD = Statement(update(users).values(password_hash=None))


async def without_password(house: House) -> Visitor:
    """Return somebody who is logged in and has no password."""
    ada = await house.visitor().join()
    await house.db.apply(step(FORGET_PASSWORD))
    await house.notices()
    return ada


async def is_over(visitor: Visitor) -> bool:
    try:
        return not (await visitor.visit()).authenticated
    except Gone:
        return True


async def test_a_change_ends_every_other_session_and_goes_on_under_a_new_token(
    house: House,
) -> None:
    """N4, N2: also sessions of the other kind; the token from before is dead."""
    ada = await house.visitor().join()
    other = house.visitor()
    await other.log_in()
    before = house.visitor()
    before.token = ada.token
    await house.notices()

    changed = await ada.change_password(PASSWORD, NEW)

    assert isinstance(changed, Standing)
    assert changed.visit.authenticated
    assert (await ada.visit()).authenticated
    assert await is_over(other)
    assert await is_over(before)
    assert [mail.kind for mail in await house.notices()] == [MailKind.PASSWORD_CHANGED]
    assert (await house.events())[-1] == "password_changed"
    assert faults_of(await house.visitor().log_in()) == ["email_password_mismatch"]
    assert isinstance(await house.visitor().log_in(password=NEW), Standing)


async def test_a_change_may_end_the_session_it_is_made_in(house: House) -> None:
    """N4: with ACCOUNT_LOGOUT_ON_PASSWORD_CHANGE."""
    house = house.under(Policy(passwords=PasswordPolicy(log_out=True)))
    ada = await house.visitor().join()
    before = house.visitor()
    before.token = ada.token

    changed = await ada.change_password(PASSWORD, NEW)

    assert isinstance(changed, Standing)
    assert not changed.visit.authenticated
    assert await is_over(before)
    assert isinstance(await ada.log_in(password=NEW), Standing)


async def test_a_login_begun_with_the_old_password_does_not_finish(house: House) -> None:
    """O6, N4: its second factor is not even judged."""
    ada = await (await house.visitor().join()).protect()
    late = ada.elsewhere()
    await late.log_in()

    assert isinstance(await ada.change_password(PASSWORD, NEW), Standing)

    with pytest.raises(Gone):
        await late.authenticate(late.otp())


async def test_everything_that_is_wrong_is_told_together(house: House) -> None:
    ada = await house.visitor().join()

    outcome = await ada.change_password("wrong", "123")
    assert isinstance(outcome, Refused)
    assert [(fault.code, fault.param) for fault in outcome.faults] == [
        ("enter_current_password", "current_password"),
        ("password_too_short", "new_password"),
        ("password_too_common", "new_password"),
        ("password_entirely_numeric", "new_password"),
    ]
    assert faults_of(await ada.change_password(None, NEW)) == ["required"]
    assert faults_of(await ada.change_password(PASSWORD, "ada@example.org")) == [
        "password_too_similar"
    ]
    assert (await ada.visit()).authenticated


async def test_the_rules_are_the_operators(house: House) -> None:
    rules = PasswordRules(min_length=12, similarity=None, refuse_common=False, refuse_numeric=False)
    house = house.under(Policy(passwords=PasswordPolicy(rules=rules)))
    assert faults_of(await house.visitor().sign_up(password="k3-yfgr-x0")) == ["password_too_short"]
    assert isinstance(await house.visitor().sign_up(password="123456789012"), Standing)


async def test_a_stolen_session_is_no_better_place_to_guess(house: House) -> None:
    """L2: wrong current passwords and wrong logins of the account are one count."""
    ada = await house.visitor().join()
    for _ in range(3):
        assert faults_of(await ada.change_password("wrong", NEW)) == ["enter_current_password"]
    for _ in range(2):
        wrong = await house.visitor().log_in(password="wrong")
        assert faults_of(wrong) == ["email_password_mismatch"]

    limited = await ada.change_password(PASSWORD, NEW)

    assert isinstance(limited, Refused)
    assert limited.retry_after
    assert [(f.code, f.param) for f in limited.faults] == [
        ("too_many_login_attempts", "current_password")
    ]
    assert isinstance(await house.visitor(HOME).log_in(password=PASSWORD), Refused)


async def test_a_weak_password_is_no_oracle_for_the_current_one(house: House) -> None:
    """L2: a current password that is right is told so within the limit only."""
    ada = await house.visitor().join()
    for _ in range(5):
        await house.visitor().log_in(password="wrong")

    for current in (PASSWORD, "wrong"):
        outcome = await ada.change_password(current, "123")
        assert faults_of(outcome) == ["too_many_login_attempts"]


async def test_changes_are_counted(house: House) -> None:
    """L9: five a minute."""
    ada = await house.visitor().join()
    passwords = [PASSWORD, *(f"{NEW}-{n}" for n in range(6))]
    for old, new in pairwise(passwords[:6]):
        assert isinstance(await ada.change_password(old, new), Standing)

    assert isinstance(await ada.change_password(passwords[5], passwords[6]), Throttled)
    house.clock.turn(minutes=1)
    assert isinstance(await ada.change_password(passwords[5], passwords[6]), Standing)


async def test_the_first_password_is_set_without_one(house: House) -> None:
    ada = await without_password(house)
    other = house.visitor()
    other.token = ada.token

    assert isinstance(await ada.change_password(None, NEW), Standing)

    assert await is_over(other)
    assert (await house.events())[-1] == "password_set"
    assert [mail.kind for mail in await house.notices()] == [MailKind.PASSWORD_SET]
    assert isinstance(await house.visitor().log_in(password=NEW), Standing)


async def test_who_has_no_password_can_name_none(house: House) -> None:
    ada = await without_password(house)
    assert faults_of(await ada.change_password(PASSWORD, NEW)) == ["enter_current_password"]


@pytest.mark.parametrize(
    "chosen",
    [
        Reauthentication(),
        Reauthentication(mfa=False),
        Reauthentication(mfa_by_mfa=True),
    ],
    ids=["by default", "with mfa off", "with mfa by mfa"],
)
async def test_the_first_password_takes_a_second_factor_that_was_proved_just_now(
    house: House, chosen: Reauthentication
) -> None:
    """N6: a passkey's login is no such proof, and neither is one of some minutes ago."""
    device = Device()
    await with_passkey(house, device)
    await house.db.apply(step(FORGET_PASSWORD))
    house = house.under(Policy(reauthentication=chosen))
    ada = house.visitor()
    assert isinstance(await log_in_by_passkey(ada, device), Standing)
    needed = await ada.change_password(None, NEW)
    assert isinstance(needed, ReauthenticationNeeded)
    assert needed.methods == {MethodKind.MFA}

    assert isinstance(await reauthenticate(ada, device), Standing)
    house.clock.turn(minutes=5)
    assert isinstance(await ada.change_password(None, NEW), ReauthenticationNeeded)
    assert not (await house.account()).has_usable_password

    assert isinstance(await reauthenticate(ada, device), Standing)
    assert isinstance(await ada.change_password(None, NEW), Standing)
    assert isinstance(await house.visitor().log_in(password=NEW), Standing)


async def test_a_second_factor_that_came_meanwhile_is_asked_for(house: House) -> None:
    """N6: whoever was let on without one comes again, and is not let on any more."""
    ada = await without_password(house)
    visit = await ada.visit()
    await ada.show_totp()
    assert isinstance(await ada.activate(ada.otp()), Enrolled)

    assert await unavailable(house.flows.change_password.change(visit, None, NEW))

    assert not (await house.account()).has_usable_password
    assert isinstance(await ada.change_password(None, NEW), ReauthenticationNeeded)


async def test_two_changes_at_once_are_one(pg_house: House) -> None:
    """N4: one is written; the other one's session is over."""
    house = pg_house
    ada = await house.visitor().join()
    other = house.visitor()
    await other.log_in()

    visits = await ada.visit(), await other.visit()
    change = house.flows.change_password.change
    outcomes = await asyncio.gather(
        change(visits[0], PASSWORD, NEW + "-a"), change(visits[1], PASSWORD, NEW + "-b")
    )

    won = [isinstance(o, Standing) and o.visit.authenticated for o in outcomes]
    assert sorted(won) == [False, True]
    assert isinstance(outcomes[won.index(False)], LoginNeeded)
    password = NEW + ("-a" if won[0] else "-b")
    assert isinstance(await house.visitor().log_in(password=password), Standing)


async def test_a_change_leaves_no_login_in_progress(pg_house: House) -> None:
    """O6, N4: whichever comes first, no session of the old password lives afterwards."""
    house, password = pg_house, PASSWORD
    ada = await house.visitor().join()
    for n in range(4):
        others = [house.visitor(f"192.0.2.{n * 10 + i}") for i in range(6)]
        changed, *_ = await asyncio.gather(
            ada.change_password(password, f"{NEW}-{n}"),
            *(unavailable(other.log_in(password=password)) for other in others),
        )
        assert isinstance(changed, Standing)
        assert all([other.token is None or await is_over(other) for other in others])
        password = f"{NEW}-{n}"
        house.clock.turn(minutes=6)


async def test_what_a_change_costs(house: House) -> None:
    """One read to recognise, one to look at the limits, one write."""
    ada = await house.visitor().join()
    before = counted()
    await ada.change_password(PASSWORD, NEW)
    after = counted()
    assert after["commit"] - before["commit"] == 1
    assert after["read"] - before["read"] == 2
