"""The journey through the flows, step by step."""

import json
from dataclasses import replace

from services.session.flows.outcomes import (
    Authenticators,
    Enrolled,
    Misfit,
    ReauthenticationNeeded,
    Refused,
    Removed,
    Standing,
)
from shared import context
from tests.session.house import ADA, House, faults_of, kinds


def standing(outcome: object) -> Standing:
    assert isinstance(outcome, Standing), outcome
    return outcome


async def test_a_person_signs_up_protects_the_account_and_logs_in(house: House) -> None:
    ada = house.visitor()
    signed_up = standing(await ada.sign_up())
    assert signed_up.visit.pending == "verify_email"

    verified = standing(await ada.verify(await house.code()))
    assert verified.visit.authenticated
    assert verified.visit.account is not None
    assert verified.visit.account.email == ADA
    assert kinds(verified) == []

    await ada.log_out()
    logged_in = standing(await ada.log_in())
    assert kinds(logged_in) == ["password"]

    await ada.protect()
    await ada.log_out()
    pending = standing(await ada.log_in())
    assert (pending.visit.pending, pending.visit.types) == (
        "mfa_authenticate",
        ("recovery_codes", "totp"),
    )
    assert not pending.visit.authenticated

    done = standing(await ada.authenticate(ada.otp()))
    assert kinds(done) == ["password", "mfa"]

    house.clock.turn(seconds=30)
    again = standing(await ada.reauthenticate_by_code(ada.otp()))
    assert again.visit.session is not None
    assert again.visit.session.methods[-1].reauthenticated
    assert await ada.deactivate() == Removed()
    await ada.log_out()
    assert standing(await ada.log_in()).visit.authenticated


async def test_a_factor_is_changed_only_after_a_fresh_reauthentication(house: House) -> None:
    """N6: the login does not count, nor another session's proof, nor one of five minutes ago."""
    ada = await house.visitor().join()
    await ada.show_totp()
    assert isinstance(await ada.activate(ada.otp()), ReauthenticationNeeded)
    elsewhere = house.visitor()
    await elsewhere.log_in()
    await elsewhere.reauthenticate()
    assert isinstance(await ada.activate(ada.otp()), ReauthenticationNeeded)
    await ada.reauthenticate()
    house.clock.turn(minutes=5)
    await ada.show_totp()
    assert isinstance(await ada.activate(ada.otp()), ReauthenticationNeeded)

    await ada.reauthenticate()
    assert isinstance(await ada.activate(ada.otp()), Enrolled)
    house.clock.turn(minutes=5)
    assert isinstance(await ada.deactivate(), ReauthenticationNeeded)
    assert await house.registered() == await house.enrolled()


async def test_without_an_authenticator_deactivating_needs_nothing(house: House) -> None:
    ada = await house.visitor().join()

    assert await ada.deactivate() == Removed()


async def test_each_look_has_a_new_secret_and_only_the_last_one_serves(house: House) -> None:
    """T6: a secret is bound to the session in which it was shown."""
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await ada.show_totp()
    first = ada.otp()
    await ada.show_totp()
    other = ada.elsewhere()
    await other.log_in()
    await other.reauthenticate()

    assert faults_of(await other.activate(other.otp())) == ["incorrect_code"]
    assert first == ada.otp() or faults_of(await ada.activate(first)) == ["incorrect_code"]
    assert isinstance(await ada.activate(ada.otp()), Enrolled)


async def test_a_second_totp_cannot_be_added(house: House) -> None:
    ada = await (await house.visitor().join()).protect()

    assert faults_of(await ada.activate(ada.otp())) == ["incorrect_code"]
    shown = await ada.show_totp()
    assert isinstance(shown, Enrolled)


async def test_the_code_that_activated_is_spent(house: House) -> None:
    """T4: it logs nobody in, and reauthenticates nobody."""
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await ada.show_totp()
    code = ada.otp()
    await ada.activate(code)

    assert faults_of(await ada.reauthenticate_by_code(code)) == ["incorrect_code"]
    await ada.log_out()
    await ada.log_in()
    assert faults_of(await ada.authenticate(code)) == ["incorrect_code"]


async def test_the_list_tells_when_an_authenticator_was_used_last(house: House) -> None:
    ada = await (await house.visitor().join()).protect()
    before = await ada.authenticators()
    await ada.reauthenticate_by_code(ada.otp())
    after = await ada.authenticators()

    assert isinstance(before, Authenticators)
    assert isinstance(after, Authenticators)
    entry, codes = before.entries
    assert (entry.type, entry.last_used_at) == ("totp", None)
    assert after.entries == (replace(entry, last_used_at=house.clock()), codes)


async def test_nobody_enrols_with_an_unverified_address(house: House) -> None:
    """The stage machine lets no such session be; the flow does not count on it."""
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await ada.show_totp()
    visit = await ada.visit()
    assert visit.account is not None
    unverified = replace(visit, account=replace(visit.account, email_verified=False))

    shown = await house.flows.totp.show(unverified)
    activated = await house.flows.totp.activate(unverified, ada.otp())

    assert isinstance(shown, Misfit)
    assert isinstance(activated, Refused)
    assert faults_of(shown) == faults_of(activated) == ["unverified_email"]


async def test_every_attempt_is_on_record(house: House) -> None:
    """D3: success, failure and change, with the user, and without anything secret."""
    ada = house.visitor()
    await ada.sign_up()
    code = await house.code()
    await ada.verify("BCDF-GHJK")
    await ada.verify(code)
    await ada.reauthenticate("wrong")
    await ada.protect()
    await ada.log_out()
    await ada.log_in(password="wrong")
    await ada.log_in()
    await ada.authenticate(ada.wrong_otp())
    otp = ada.otp()
    await ada.authenticate(otp)
    house.clock.turn(seconds=30)
    await ada.reauthenticate_by_code(ada.otp())
    await ada.deactivate()
    await ada.log_out()

    assert await house.events() == [
        "signed_up",
        "email_verification_failed",
        "email_verified",
        "logged_in",
        "reauthentication_failed",
        "reauthenticated",
        "authenticator_added",
        "authenticator_added",
        "logged_out",
        "login_failed",
        "login_started",
        "second_factor_failed",
        "logged_in",
        "reauthenticated",
        "authenticator_removed",
        "authenticator_removed",
        "logged_out",
    ]
    rows = await house.event_rows()
    assert {row.subject for row in rows} == {(await house.user()).id}
    told = " ".join(str(dict(row)) for row in rows)
    assert ada.secret is not None
    for secret in (code, otp, ada.secret, "correct-horse", "wrong", ADA):
        assert secret not in told


async def test_what_is_done_in_a_session_names_it_and_how_the_person_got_in(house: House) -> None:
    """D3: which session began is told, and by which proofs what followed was done."""
    context.enter(context.Context(request_id="r1", address="192.0.2.1"))
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await ada.log_out()

    rows = {row.type: row for row in await house.event_rows()}
    began, ended = rows["mfa.session.logged_in"], rows["mfa.session.logged_out"]
    told = json.loads(ended.context)
    assert told["amr"] == "pwd"
    assert told["session"] == json.loads(began.data)["session"]
