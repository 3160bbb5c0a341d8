"""Signing up with an address and a passkey, and no password."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from services.session.domain.faults import invalid_email
from services.session.domain.mails import MailKind
from services.session.domain.methods import amr, assurance_level
from services.session.domain.stages import LOGIN_LIFETIME, Stage
from services.session.flows.outcomes import (
    Asked,
    Gone,
    LoginNeeded,
    Misfit,
    Outcome,
    Refused,
    Standing,
    Throttled,
)
from services.session.flows.register import LIVE
from services.session.flows.signup import Applicant
from tests.session.house import (
    ADA,
    PASSWORD,
    Crash,
    Cut,
    House,
    Visitor,
    faults_of,
    kinds,
    second_replica,
    unavailable,
)
from tests.session.keys import ask, limited
from tests.session.test_webauthn import consistent
from tests.webauthn.authenticator import Device, Lies

Json = dict[str, Any]


async def sign_up(visitor: Visitor, email: str | None = ADA) -> Outcome:
    flow = visitor.house.flows.signup
    return visitor.keep(
        await flow.sign_up_by_passkey(await visitor.visit(), Applicant(email=email))
    )


async def options(visitor: Visitor) -> Json:
    """Return what the page of the last stage hands to the browser."""
    asked = await visitor.house.flows.passkey_signup.options(await visitor.visit())
    assert isinstance(asked, Asked)
    shown = asked.display["creation_options"]
    assert isinstance(shown, dict)
    return shown


async def complete(visitor: Visitor, credential: Json, name: str | None = None) -> Outcome:
    flow = visitor.house.flows.passkey_signup
    return visitor.keep(await flow.complete(await visitor.visit(), name, credential))


async def waiting(house: House) -> Visitor:
    """Return somebody who has verified the address and owes the passkey."""
    ada = house.visitor()
    await sign_up(ada)
    outcome = await ada.verify(await house.code())
    assert isinstance(outcome, Standing)
    assert outcome.visit.pending is Stage.MFA_SIGNUP_WEBAUTHN
    return ada


def at(outcome: Outcome) -> Stage | None:
    """Return the stage that an outcome waits at; None once it is a session."""
    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated is (outcome.visit.pending is None)
    return outcome.visit.pending


async def test_address_then_passkey_then_in(house: House) -> None:
    """No password, no codes, no mail that tells of what the person has just done."""
    ada = house.visitor()
    assert at(await sign_up(ada)) is Stage.VERIFY_EMAIL
    assert at(await ada.verify(await house.code())) is Stage.MFA_SIGNUP_WEBAUTHN
    asked = await options(ada)
    assert asked["publicKey"]["authenticatorSelection"]["residentKey"] == "required"
    assert asked["publicKey"]["authenticatorSelection"]["userVerification"] == "required"
    before = ada.token

    session = await complete(ada, Device().create(asked), "Ada's phone")

    assert at(session) is None
    assert isinstance(session, Standing)
    assert kinds(session) == ["mfa"]
    assert ada.token not in (None, before)
    assert session.visit.account is not None
    assert not session.visit.account.has_usable_password
    assert await house.registered("webauthn") == await house.keys()
    assert len(await house.keys()) == 1
    assert await house.registered("recovery_codes") == []
    assert await house.notices() == []
    assert (await house.events())[-2:] == ["authenticator_added", "logged_in"]
    assert await consistent(house)


async def test_the_passkey_opens_the_account_and_a_password_does_not(house: House) -> None:
    ada = await waiting(house)
    assert at(await complete(ada, Device().create(await options(ada)))) is None
    other = house.visitor()

    assert faults_of(await other.log_in(ADA, PASSWORD)) == ["email_password_mismatch"]
    assert faults_of(await other.log_in(ADA, "")) == ["email_password_mismatch"]


async def test_options_are_limited_by_who_asks_for_them(house: House) -> None:
    """L8: then no call is made, and what was shown last still counts.

    Nobody else is stopped by that, nor does anybody else at the same address stop it.
    """
    bound = house.under(limited("1/m/ip"))
    ada = await waiting(bound)
    stranger = bound.visitor()
    await ask(stranger)
    assert isinstance(await bound.flows.passkeys.ask(await stranger.visit()), Throttled)
    asked = await options(ada)
    before = len(house.wires["webauthn"].requests)

    late = await bound.flows.passkey_signup.options(await ada.visit())

    assert isinstance(late, Throttled)
    assert timedelta(0) < late.retry_after <= timedelta(minutes=1)
    assert (await house.event_rows())[-1].type == "mfa.session.key_options_limited"
    assert len(house.wires["webauthn"].requests) == before
    assert at(await complete(ada, Device().create(asked))) is None


async def test_nothing_is_passed_without_the_passkey(house: House) -> None:
    """O1: the stage allows its own endpoints and nothing else."""
    ada = await waiting(house)

    assert isinstance(await ada.authenticators(), LoginNeeded)
    assert isinstance(await ada.change_password(None, PASSWORD), LoginNeeded)
    assert isinstance(await ada.show_totp(), LoginNeeded)
    visit = await ada.visit()
    assert isinstance(await house.flows.webauthn.options(visit, passwordless=True), LoginNeeded)
    assert isinstance(await ada.verify("AAAA-AAAA"), Misfit)


async def test_the_stage_is_nobody_elses(house: House) -> None:
    """409 before the address is verified, to others, and after it is over."""
    ada = house.visitor()
    flow = house.flows.passkey_signup
    assert isinstance(await flow.options(await ada.visit()), Misfit)
    await sign_up(ada)
    assert isinstance(await flow.options(await ada.visit()), Misfit)
    assert isinstance(await flow.complete(await ada.visit(), None, {"id": "a"}), Misfit)
    await ada.verify(await house.code())
    credential = Device().create(await options(ada))
    assert at(await complete(ada, credential)) is None
    assert isinstance(await flow.options(await ada.visit()), Misfit)
    assert isinstance(await flow.complete(await ada.visit(), None, credential), Misfit)
    bob = await house.visitor().join("bob@example.org")
    assert isinstance(await flow.options(await bob.visit()), Misfit)


@pytest.mark.parametrize(
    "lies",
    [
        Lies(challenge=b"another"),
        Lies(origin="https://evil.example"),
        Lies(clear_flags=0x04),  # not verified by PIN or finger: it could never log in
    ],
    ids=["challenge", "origin", "unverified"],
)
async def test_a_refused_passkey_leaves_the_login_where_it_is(house: House, lies: Lies) -> None:
    ada = await waiting(house)

    refused = await complete(ada, Device().create(await options(ada), lies))

    assert faults_of(refused) == ["incorrect_code"]
    assert await house.keys() == []
    assert (await house.user()).register_pending is None
    assert at(await complete(ada, Device().create(await options(ada)))) is None


async def test_a_known_address_is_answered_as_an_unknown_one(house: House) -> None:
    """L6: and the owner is told."""
    ada = await waiting(house)
    await complete(ada, Device().create(await options(ada)))
    house.clock.turn(minutes=1)
    stranger = house.visitor()

    answered = await sign_up(stranger)

    assert at(answered) is Stage.VERIFY_EMAIL
    (told,) = await house.mails()
    assert (told.kind, told.to) == (MailKind.ACCOUNT_EXISTS, ADA)
    for _ in range(3):
        await stranger.verify("BBBB-BBBB")
    assert isinstance(await house.flows.passkey_signup.options(await stranger.visit()), Misfit)


async def mailed(house: House, visitor: Visitor) -> str:
    """Sign up by passkey once more, when the next mail may be sent; return the code."""
    house.clock.turn(seconds=10)
    assert at(await sign_up(visitor)) is Stage.VERIFY_EMAIL
    return await house.code()


@pytest.mark.parametrize("later", [timedelta(0), LOGIN_LIFETIME])
async def test_who_gives_up_the_stage_begins_again(house: House, later: timedelta) -> None:
    """The same account, by another code; the login that was given up is over with that."""
    given_up = await waiting(house)
    visit, credential = await given_up.visit(), Device().create(await options(given_up))
    house.clock.turn(seconds=later.total_seconds())
    again = house.visitor()

    code = await mailed(house, again)
    assert isinstance(await house.flows.passkey_signup.options(await again.visit()), Misfit)
    assert at(await again.verify(code)) is Stage.MFA_SIGNUP_WEBAUTHN
    assert await unavailable(house.flows.passkey_signup.complete(visit, None, credential))
    assert await house.keys() == []
    assert at(await complete(again, Device().create(await options(again)))) is None
    assert await house.registered("webauthn") == await house.keys()
    assert await consistent(house)


async def test_who_gives_up_the_stage_takes_a_password_instead(house: House) -> None:
    given_up = await waiting(house)
    house.clock.turn(seconds=10)
    again = house.visitor()

    assert at(await again.sign_up()) is Stage.VERIFY_EMAIL
    assert faults_of(await house.visitor().log_in()) == ["email_password_mismatch"]
    assert at(await again.verify(await house.code())) is None
    assert at(await house.visitor().log_in()) is None
    with pytest.raises(Gone):
        await given_up.visit()


async def test_a_passkey_that_was_made_meanwhile_keeps_the_account(house: House) -> None:
    """O6: the other has a code, but there is a way in now."""
    ada, other = await waiting(house), house.visitor()
    code = await mailed(house, other)
    assert at(await complete(ada, Device().create(await options(ada)))) is None

    with pytest.raises(Gone):
        await other.verify(code)
    assert (await ada.visit()).authenticated


async def test_a_passkey_on_its_way_is_no_way_in_once_another_has_the_account(
    house: House,
) -> None:
    """O6: it is judged while somebody else proves to own the address."""
    ada, other = await waiting(house), house.visitor()
    code = await mailed(house, other)
    credential = Device().create(await options(ada))
    held = house.wires["webauthn"].hold("POST", "complete", Cut.AFTER)
    completing = asyncio.create_task(complete(ada, credential))
    await held.arrived.wait()
    assert at(await other.verify(code)) is Stage.MFA_SIGNUP_WEBAUTHN
    held.go_on.set()

    assert await unavailable(completing)
    assert await house.registered("webauthn") == []
    assert at(await complete(other, Device().create(await options(other)))) is None
    assert await consistent(house)


async def test_the_passkey_is_the_proof_of_the_session(house: House) -> None:
    """N5: two factors in one, as when it logs in; and no fresh proof of anything."""
    ada = await waiting(house)
    outcome = await complete(ada, Device().create(await options(ada)))

    assert isinstance(outcome, Standing)
    assert outcome.visit.session is not None
    (method,) = outcome.visit.session.methods
    assert (method.type, [method.id]) == ("webauthn", await house.registered("webauthn"))
    assert method.passwordless
    assert not method.reauthenticated
    assert assurance_level([method]) == 2
    assert amr([method]) == ("pop", "user", "mfa")


async def test_sign_ups_by_passkey_count_as_sign_ups(house: House) -> None:
    for n in range(20):
        await sign_up(house.visitor(), f"p{n}@example.org")

    assert isinstance(await sign_up(house.visitor(), "q@example.org"), Throttled)
    assert isinstance(await house.visitor().sign_up("r@example.org"), Throttled)


async def test_what_cannot_be_read_is_refused_before_anything_else(house: House) -> None:
    ada = await (house.visitor()).join()
    flow, fault = house.flows.signup, invalid_email()
    unread = await flow.sign_up_by_passkey(await ada.visit(), Applicant(email=None), faults=[fault])

    assert unread == Refused((fault,))
    assert isinstance(await sign_up(ada, "bob@example.org"), Misfit)


async def test_while_webauthn_is_away_the_stage_waits(house: House) -> None:
    """O4: nobody is let past, and all goes on when it is back."""
    ada = await waiting(house)
    credential = Device().create(await options(ada))
    house.wires["webauthn"].break_down()
    flow, visit = house.flows.passkey_signup, await ada.visit()

    assert await unavailable(flow.options(visit))
    assert await unavailable(flow.complete(visit, None, credential))
    house.wires["webauthn"].restore()
    assert at(await complete(ada, Device().create(await options(ada)))) is None
    assert await consistent(house)


@pytest.mark.parametrize("where", Cut)
async def test_a_lost_answer_costs_another_passkey_and_not_the_account(
    house: House, where: Cut
) -> None:
    ada = await waiting(house)
    house.wires["webauthn"].cut("POST", "complete", where)

    assert await unavailable(complete(ada, Device().create(await options(ada))))
    assert at(await complete(ada, Device().create(await options(ada)))) is None
    assert len(await house.registered("webauthn")) == 1
    assert await consistent(house)


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("writes", [0, 1])
async def test_a_process_that_dies_leaves_the_stage_to_be_done_over(
    house: House, writes: int, at_once: bool
) -> None:
    ada = await waiting(house)
    visit, credential = await ada.visit(), Device().create(await options(ada))
    mortal = house.mortal(writes, at_once=at_once)
    with pytest.raises(Crash):
        await mortal.flows.passkey_signup.complete(visit, None, credential)
    house.clock.turn(seconds=LIVE.total_seconds())

    assert at(await complete(ada, Device().create(await options(ada)))) is None
    assert len(await house.registered("webauthn")) == 1
    assert await consistent(house)


async def test_a_logout_stops_the_passkey_on_its_way(house: House) -> None:
    """N3."""
    ada = await waiting(house)
    credential = Device().create(await options(ada))
    held = house.wires["webauthn"].hold("POST", "complete", Cut.AFTER)
    completing = asyncio.create_task(complete(ada, credential))
    await held.arrived.wait()
    await ada.log_out()
    held.go_on.set()

    assert await unavailable(completing)
    assert await house.registered("webauthn") == []
    assert len(await house.session_rows()) == 0
    assert await consistent(house)


async def test_one_passkey_opens_one_session(pg_house: House) -> None:
    """O6: four requests at two replicas."""
    ada = await waiting(pg_house)
    visit, credential = await ada.visit(), Device().create(await options(ada))
    async with second_replica(pg_house) as replica:
        outcomes = await asyncio.gather(
            *(
                house.flows.passkey_signup.complete(visit, None, credential)
                for house in (pg_house, replica) * 2
            ),
            return_exceptions=True,
        )

    assert sum(isinstance(outcome, Standing) for outcome in outcomes) == 1
    assert len(await pg_house.registered("webauthn")) == 1
    assert await consistent(pg_house)
