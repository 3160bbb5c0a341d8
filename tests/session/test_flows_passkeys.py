"""Logging in with a passkey alone: who it lets in, what it takes, and what stops it or does not."""

import json
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from services.session.domain.limits import FOR_EVER
from services.session.domain.mails import MailKind
from services.session.domain.sessions import Client
from services.session.domain.stages import LOGIN_LIFETIME, Stage
from services.session.flows.outcomes import (
    Asked,
    Gone,
    Misfit,
    Outcome,
    Refused,
    Standing,
    Throttled,
)
from services.session.flows.signup import Applicant
from services.session.store.tables import emails
from shared.clock import to_micros
from shared.database import Statement, step
from shared.errors import Unavailable
from tests.hands import START
from tests.session.house import (
    ADA,
    PASSWORD,
    Cut,
    House,
    Visitor,
    change_user,
    make_factors,
    make_flows,
    open_webauthn,
)
from tests.session.keys import NO_LIMIT, add_key, answer, ask, limited, log_in, with_passkey
from tests.webauthn.authenticator import BS, HONEST, UV, Device, Lies

AWAY = "203.0.113.9"
ADDRESS_IS_UNVERIFIED = Statement(update(emails).values(verified_at=None))


def is_in(outcome: Outcome) -> bool:
    """Tell whether somebody is logged in."""
    return isinstance(outcome, Standing) and outcome.visit.authenticated


def is_refused(outcome: Outcome) -> bool:
    """Tell whether a passkey was refused, in the one way in which all are."""
    if not isinstance(outcome, Refused):
        return False
    (fault,) = outcome.faults
    return (fault.code, fault.param) == ("incorrect_code", "credential")


async def last_event(house: House) -> tuple[str, dict[str, object]]:
    """Return what was put on record last: its kind and its data."""
    row = (await house.event_rows())[-1]
    return row.type.removeprefix("mfa.session."), json.loads(row.data)


async def test_a_passkey_is_two_factors_in_one(house: House) -> None:
    """It skips the second factor, TOTP or not, and the session says how it was proved."""
    device = Device()
    ada = await house.visitor().join()
    await ada.protect()
    key = await add_key(ada, device)
    await ada.log_out()
    house.clock.turn(minutes=1)

    outcome = await log_in(ada, device)

    assert isinstance(outcome, Standing)
    assert is_in(outcome)
    assert outcome.visit.session is not None
    (method,) = outcome.visit.session.methods
    assert (method.kind.value, method.type, method.id) == ("mfa", "webauthn", key)
    assert method.passwordless
    assert not method.reauthenticated
    name, data = await last_event(house)
    assert (name, data["aal"]) == ("logged_in", 2)
    assert data["amr"] == ["pop", "user", "mfa"]
    account = await house.account()
    assert account.register.find(key).last_used_at == house.clock()
    assert is_in(Standing(visit=await ada.visit()))


async def test_who_comes_without_a_session_gets_one_and_another_token_with_the_login(
    house: House,
) -> None:
    """N2: the challenge is bound to it; a token that was planted is worth nothing afterwards."""
    device = Device()
    ada = await with_passkey(house, device)
    assert ada.token is None

    options = await ask(ada)
    anonymous = ada.token
    assert anonymous is not None
    visit = await ada.visit()
    assert visit.session is not None
    assert (visit.account, visit.pending, visit.authenticated) == (None, None, False)
    assert is_in(await answer(ada, device.get(options)))

    assert ada.token != anonymous
    assert await house.flows.visits.recognise(
        Client.BROWSER, anonymous, address=ada.address, user_agent="test"
    ) == replace(visit, client=Client.BROWSER, session=None)
    (session,) = [row for row in await house.session_rows() if row.authenticated_at]
    assert session.id == visit.session.id


async def test_nothing_is_listed_for_who_is_not_known(house: House) -> None:
    """W7.2-5: no enumeration; and the user has to be verified."""
    await with_passkey(house, Device())
    asked = (await ask(house.visitor()))["publicKey"]

    assert (asked["allowCredentials"], asked["userVerification"]) == ([], "required")


async def test_an_answer_is_good_in_the_session_that_was_asked_and_once(house: House) -> None:
    """W7.2-11: not in another session, not again, not without one."""
    device = Device()
    ada = await with_passkey(house, device)
    eve, nobody = house.visitor(), house.visitor()
    credential = device.get(await ask(ada))
    await ask(eve)

    assert is_refused(await answer(eve, credential))
    assert is_refused(await answer(nobody, credential))
    assert is_in(await answer(ada, credential))
    await ada.log_out()
    await ask(ada)
    assert is_refused(await answer(ada, credential))
    assert len([row for row in await house.session_rows() if row.authenticated_at]) == 0


async def test_what_was_asked_for_another_ceremony_is_no_login(house: House) -> None:
    """W7.2-11: neither is a passkey login a second factor."""
    device = Device()
    ada = await house.visitor().join()
    await add_key(ada, device)
    await ada.log_out()
    await ada.log_in()
    asked = await house.flows.authenticate.ask_for_key(await ada.visit())
    assert isinstance(asked, Asked)
    options = asked.display["request_options"]
    assert isinstance(options, dict)
    assert is_refused(await answer(ada, device.get(options)))

    asked_to_log_in = await ask(ada)
    flow = house.flows.authenticate
    outcome = await flow.authenticate_by_key(await ada.visit(), device.get(asked_to_log_in))
    assert is_refused(outcome)


@pytest.mark.parametrize(
    "lies",
    [
        Lies(signs=b"something else"),
        Lies(clear_flags=UV),
        Lies(origin="https://evil.example"),
        Lies(no_user_handle=True),
        Lies(user_handle=b"h" * 64),
        Lies(set_flags=BS),
        Lies(authenticator_data=b"garbage"),
        Lies(id="?"),
    ],
    ids=lambda lies: next(k for k, v in vars(lies).items() if v != vars(HONEST)[k]),
)
async def test_every_lie_is_refused_in_one_way(house: House, lies: Lies) -> None:
    """W7.2: and the challenge is gone with it."""
    device = Device()
    ada = await with_passkey(house, device)
    options = await ask(ada)

    assert is_refused(await answer(ada, device.get(options, lies)))
    assert is_refused(await answer(ada, device.get(options)))
    assert is_in(await log_in(ada, device))


async def test_a_key_that_was_registered_without_its_user_never_serves_alone(
    house: House,
) -> None:
    """A second factor in somebody's pocket is one factor, whatever it says later."""
    device = Device(verifies=False)
    ada = await house.visitor().join()
    await add_key(ada, device, passwordless=False)
    await ada.log_out()
    device.verifies = True

    assert is_refused(await log_in(ada, device))


async def test_only_what_the_register_holds_lets_in(house: House) -> None:
    """A factor may hold more than counts: what is half made, or was dropped."""
    device = Device()
    ada = await with_passkey(house, device)
    user = (await house.user()).id
    other = Device()
    offer = await house.webauthn.begin(
        user, "e2", session_id="s2", account_name=ADA, options={"passwordless": True}
    )
    options = offer.display["creation_options"]
    assert isinstance(options, dict)
    made = await house.webauthn.complete(
        user, "e2", session_id="s2", proof={"credential": other.create(options)}
    )
    assert made.accepted

    assert is_refused(await log_in(ada, other))
    assert await last_event(house) == ("login_failed", {"method": "passkey"})
    assert (await house.event_rows())[-1].subject == user
    assert is_in(await log_in(ada, device))


async def test_a_passkey_that_nobody_has_is_told_to_its_browser(house: House) -> None:
    """As removed elsewhere: the browser had better offer it no more. Of others nothing is told."""
    device, stranger = Device(), Device()
    ada = await with_passkey(house, device)
    (key,) = await house.keys()
    (credential,) = device.credentials.values()
    refused = await log_in(ada, device, Lies(clear_flags=UV))
    assert isinstance(refused, Refused)
    assert refused.signal is None
    await house.webauthn.remove((await house.user()).id, key)

    gone = await log_in(ada, device)

    assert is_refused(gone)
    assert isinstance(gone, Refused)
    named = device.get(await ask(ada))["id"]
    assert gone.signal == {"unknownCredential": {"rpId": "example.com", "credentialId": named}}
    assert stranger.credentials == {}
    assert credential.rp_id == "example.com"


async def test_who_is_let_in_is_told_what_their_browser_may_know(house: House) -> None:
    device = Device()
    ada = await with_passkey(house, device)

    outcome = await log_in(ada, device)

    assert isinstance(outcome, Standing)
    assert outcome.signal is not None
    details = outcome.signal["currentUserDetails"]
    assert details["name"] == details["displayName"] == ADA
    accepted = outcome.signal["allAcceptedCredentials"]
    assert accepted["userId"] == details["userId"]
    assert len(accepted["allAcceptedCredentialIds"]) == 1


async def test_a_disabled_account_is_refused_like_a_wrong_passkey(house: House) -> None:
    device = Device()
    ada = await with_passkey(house, device)
    await change_user(house, disabled_at=to_micros(START))

    assert is_refused(await log_in(ada, device))
    await change_user(house, disabled_at=None)
    assert is_in(await log_in(ada, device))


async def test_an_unverified_address_is_verified_first(house: House) -> None:
    """O1: it skips the second factor and nothing else."""
    device = Device()
    ada = await with_passkey(house, device)
    await house.mails()
    house.clock.turn(minutes=1)
    assert await house.db.apply(step(ADDRESS_IS_UNVERIFIED)) is not None

    pending = await log_in(ada, device)
    assert isinstance(pending, Standing)
    assert (pending.visit.pending, pending.signal) == (Stage.VERIFY_EMAIL, None)
    outcome = await ada.verify(await house.code())

    assert isinstance(outcome, Standing)
    assert is_in(outcome)
    assert outcome.visit.session is not None
    assert [method.passwordless for method in outcome.visit.session.methods] == [True]


async def test_mails_are_limited_here_too(house: House) -> None:
    device = Device()
    ada = await with_passkey(house, device)
    house.clock.turn(minutes=1)
    assert await house.db.apply(step(ADDRESS_IS_UNVERIFIED)) is not None
    assert isinstance(await log_in(ada, device), Standing)
    again = await log_in(ada.elsewhere(), device)

    assert isinstance(again, Refused)
    assert [fault.code for fault in again.faults] == ["too_many_login_attempts"]
    assert (await house.event_rows())[-1].type == "mfa.session.login_limited"


async def test_no_rest_stops_it_and_it_ends_none(house: House) -> None:
    """L8: strangers who have locked password and second factor have not locked this out."""
    device = Device()
    ada = await with_passkey(house, device)
    stranger = house.visitor(AWAY)
    for _ in range(6):
        await stranger.log_in(password="wrong")
    await change_user(house, mfa_rests_until=to_micros(FOR_EVER))

    assert is_in(await log_in(ada, device))
    assert (await house.user()).mfa_rests_until == to_micros(FOR_EVER)
    stopped = await stranger.log_in()
    assert isinstance(stopped, Refused)
    assert [fault.code for fault in stopped.faults] == ["too_many_login_attempts"]


async def test_failures_count_against_nobody(house: House) -> None:
    """L8: neither against the account whose passkey it is, nor against its password."""
    device = Device()
    ada = await with_passkey(house, device)
    under = house.under(NO_LIMIT)
    stranger = under.visitor()
    for _ in range(30):
        assert is_refused(await log_in(stranger, device, Lies(signs=b"x")))

    assert (await house.user()).mfa_failures == 0
    assert isinstance(await ada.log_in(), Standing)
    assert is_in(await log_in(ada.elsewhere(house=under), device))


async def test_answers_are_counted_by_where_they_come_from(house: House) -> None:
    """L8: ten a minute, as with the peer; then nothing is told, however right it is."""
    device = Device()
    ada = await with_passkey(house, device)
    for _ in range(5):
        assert is_in(await log_in(ada, device))
        await ada.log_out()
        assert is_refused(await log_in(ada, device, Lies(signs=b"x")))

    late = await log_in(ada, device)
    assert isinstance(late, Throttled)
    assert timedelta(0) < late.retry_after <= timedelta(minutes=1)
    assert await last_event(house) == ("login_limited", {"method": "passkey"})
    assert not [row for row in await house.session_rows() if row.authenticated_at]
    assert isinstance(await answer(ada, {"id": "?"}), Throttled)

    assert is_in(await log_in(house.visitor(AWAY), device))
    house.clock.turn(minutes=1)
    assert is_in(await log_in(ada, device))


async def test_beyond_the_limit_nothing_is_judged(house: House) -> None:
    """L8: no call and no event of the factor's, and a challenge that can be answered later."""
    device = Device()
    ada = await with_passkey(house, device)
    credential = device.get(await ask(ada))
    stranger = house.visitor()
    await ask(stranger)
    for _ in range(10):
        assert is_refused(await answer(stranger, {"id": "?"}))
    before = len(house.wires["webauthn"].requests)

    late = await answer(ada, credential)

    assert isinstance(late, Throttled)
    assert timedelta(0) < late.retry_after <= timedelta(minutes=1)
    assert len(house.wires["webauthn"].requests) == before
    assert await last_event(house) == ("login_limited", {"method": "passkey"})
    house.clock.turn(minutes=1)
    assert is_in(await answer(ada, credential))


async def test_questions_are_limited_by_themselves(house: House) -> None:
    """L8: each, in whatever session, and as no attempt: pages ask when they are shown."""
    device = Device()
    ada = await with_passkey(house, device)
    bound = house.under(limited("3/m/ip"))
    visitors = [bound.visitor(), bound.visitor()]
    credential = device.get(await ask(visitors[0]))
    for visitor in visitors:
        await ask(visitor)
    before = len(house.wires["webauthn"].requests)

    for visitor in (*visitors, bound.visitor()):
        asked = await bound.flows.passkeys.ask(await visitor.visit())
        assert isinstance(asked, Throttled)
        assert timedelta(0) < asked.retry_after <= timedelta(minutes=1)
    assert await last_event(house) == ("login_limited", {"method": "passkey"})
    assert len(house.wires["webauthn"].requests) == before
    assert len(await house.session_rows()) == 2
    await ask(bound.visitor(AWAY))
    house.clock.turn(minutes=1)
    assert is_in(await log_in(visitors[1], device))
    assert is_refused(await answer(visitors[0], credential))  # another was asked for since
    assert ada.token is None


async def test_who_is_logged_in_asks_no_more_often(house: House) -> None:
    device = Device()
    ada = await with_passkey(house, device)
    await log_in(ada, device)
    bound = ada.elsewhere(house=house.under(limited("2/m/ip")))
    bound.token = ada.token
    await ask(bound)
    await ask(bound)

    assert isinstance(await bound.house.flows.passkeys.ask(await bound.visit()), Throttled)


async def test_who_has_the_password_alone_does_not_use_up_what_is_its_owners(house: House) -> None:
    """L8: nor what is left to others at that address."""
    device = Device()
    ada = await with_passkey(house, device)
    bound = house.under(limited("1/m/ip"))
    await log_in(ada, device)
    owner, knows = (ada.elsewhere(house=bound) for _ in range(2))
    owner.token = ada.token
    await knows.log_in()
    await ask(knows)

    assert isinstance(await bound.flows.passkeys.ask(await knows.visit()), Throttled)
    await ask(owner)
    await ask(bound.visitor())


async def test_a_login_that_has_proved_nothing_is_nobodys(house: House) -> None:
    """L8: anybody can begin a sign-up with an address, also one that is hers to finish."""
    bound = house.under(limited("1/m/ip"))
    flow = bound.flows.signup
    for _ in range(2):  # the second is for the account that the first has made
        stranger = bound.visitor()
        stranger.keep(await flow.sign_up_by_passkey(await stranger.visit(), Applicant(email=ADA)))
        house.clock.turn(seconds=10)
    assert (await stranger.visit()).account is not None
    await ask(bound.visitor())

    assert isinstance(await bound.flows.passkeys.ask(await stranger.visit()), Throttled)


async def test_a_register_that_is_changing_is_not_guessed_at(house: House) -> None:
    """A change that may be alive: come again. One that was left half done: it is undone first."""
    device = Device()
    ada = await with_passkey(house, device)
    account = await house.account()
    (key,) = account.register.entries[:1]
    assert key.type == "webauthn"
    registrar = house.flows.webauthn._registrar
    pending = await _announced_removal(house)
    assert pending

    with pytest.raises(Unavailable):
        await log_in(ada, device)
    assert registrar is not None
    house.clock.turn(minutes=1)
    assert is_refused(await log_in(ada, device))
    assert await house.registered("webauthn") == []


async def _announced_removal(house: House) -> bool:
    """Have a removal announced, by a process that dies right after it."""
    from services.session.domain.register import Intent, Pending  # noqa: PLC0415

    account = await house.account()
    entry = next(e for e in account.register.entries if e.type == "webauthn")
    pending = Pending(intent=Intent.REMOVE, type="webauthn", id=entry.id)
    marked = house.store.mark_register(account, pending, house.clock())
    return await house.store.write(marked) is not None


async def test_without_webauthn_nobody_is_let_in(house: House) -> None:
    """O4: asked or answered, it is away; nothing is counted against anybody."""
    device = Device()
    ada = await with_passkey(house, device)
    options = await ask(ada)
    house.wires["webauthn"].break_down()

    with pytest.raises(Unavailable):
        await house.flows.passkeys.ask(await house.visitor().visit())
    with pytest.raises(Unavailable):
        await answer(ada, device.get(options))
    assert not [row for row in await house.session_rows() if row.authenticated_at]
    assert isinstance(await house.visitor().log_in(), Standing)
    house.wires["webauthn"].restore()
    assert is_in(await answer(ada, device.get(options)))


async def test_an_answer_that_was_lost_lets_nobody_in(house: House) -> None:
    """The proof is spent, and nothing was written: the person begins again."""
    device = Device()
    ada = await with_passkey(house, device)
    credential = device.get(await ask(ada))
    house.wires["webauthn"].cut("POST", "/v1/verifications", Cut.AFTER)

    with pytest.raises(Unavailable):
        await answer(ada, credential)
    assert is_refused(await answer(ada, credential))
    assert is_in(await log_in(ada, device))


async def test_it_takes_the_place_of_a_login_that_waits(house: House) -> None:
    """What the password had proved is dropped, and nobody is warned of a missing second factor."""
    device = Device()
    ada = await with_passkey(house, device)
    waiting = await ada.log_in()
    assert isinstance(waiting, Standing)
    assert waiting.visit.pending is Stage.MFA_AUTHENTICATE

    outcome = await log_in(ada, device)

    assert isinstance(outcome, Standing)
    assert is_in(outcome)
    assert outcome.visit.session is not None
    assert [m.kind.value for m in outcome.visit.session.methods] == ["mfa"]
    house.clock.turn(minutes=20)
    assert MailKind.SECOND_FACTOR_MISSING not in [mail.kind for mail in await house.notices()]


async def test_who_is_logged_in_logs_in_no_more(house: House) -> None:
    device = Device()
    ada = await with_passkey(house, device)
    await log_in(ada, device)
    token = ada.token

    options = await ask(ada)
    assert isinstance(await answer(ada, device.get(options)), Misfit)
    assert ada.token == token


async def test_a_login_from_elsewhere_is_told(house: House) -> None:
    device = Device()
    ada = await with_passkey(house, device)
    await log_in(ada, device)
    assert [mail.kind for mail in await house.notices()] == []

    await log_in(house.visitor(AWAY), device)

    assert [(mail.kind, mail.to) for mail in await house.notices()] == [(MailKind.NEW_LOGIN, ADA)]


async def test_whoever_asks_again_keeps_the_session_while_it_lasts(house: House) -> None:
    """A page that stands open asks anew, before its challenge and its session are over."""
    device = Device()
    ada = await with_passkey(house, device)
    await ask(ada)
    token = ada.token
    for _ in range(5):
        house.clock.turn(minutes=4)
        await ask(ada)
        assert ada.token == token

    house.clock.turn(minutes=4)
    assert is_in(await log_in(ada, device))


async def test_two_pages_that_ask_at_once_are_both_told(house: House) -> None:
    """One of them has the session last longer, which is enough for the other."""
    ada = house.visitor()
    await ask(ada)
    house.clock.turn(minutes=14)
    visit = await ada.visit()

    for _ in range(2):
        asked = await house.flows.passkeys.ask(visit)
        assert isinstance(asked, Asked)
        assert asked.token is None
    (row,) = await house.session_rows()
    assert row.expires_at == to_micros(house.clock() + LOGIN_LIFETIME)


async def test_nobody_keeps_a_session_for_ever_by_asking(house: House) -> None:
    """It lasts for a day at most; then whoever asks gets another, and answers in that."""
    device = Device()
    ada = await with_passkey(house, device)
    await ask(ada)
    first, opened = ada.token, house.clock()
    while house.clock() + timedelta(minutes=12) < opened + timedelta(days=1):
        house.clock.turn(minutes=12)
        await ask(ada)
        assert ada.token == first
    (row,) = await house.session_rows()
    assert row.expires_at == to_micros(opened + timedelta(days=1))

    house.clock.turn(minutes=8)
    credential = device.get(await ask(ada))

    assert ada.token != first
    house.clock.turn(minutes=4)
    assert is_in(await answer(ada, credential))
    planted = house.visitor()
    planted.token = first
    with pytest.raises(Gone):
        await planted.visit()


async def test_a_session_that_nobody_logs_in_with_is_swept(house: House) -> None:
    await ask(house.visitor())
    assert len(await house.session_rows()) == 1
    house.clock.turn(minutes=16)
    await house.store.delete_expired(house.clock())

    assert await house.session_rows() == []


async def test_a_key_that_may_be_copied_is_refused_and_its_owner_told(house: House) -> None:
    """W7.2-22: whoever has the key, and not whoever holds it, is told."""
    device = Device(counts=True)
    ada = await with_passkey(house, device)
    assert is_in(await log_in(ada, device))
    await ada.log_out()

    assert is_refused(await log_in(ada, device, Lies(counter=1)))

    (mail,) = await house.notices()
    assert (mail.kind, mail.to) == (MailKind.CLONE_SUSPECTED, ADA)
    assert mail.facts["key"] == "My key"
    assert is_in(await log_in(ada, device))
    assert await house.notices() == []


async def test_where_it_is_only_flagged_the_owner_is_told_too(house: House) -> None:
    """W7.2-22: WEBAUTHN_COUNTER_REGRESSION=flag."""
    device = Device(counts=True)
    ada = await with_passkey(house, device)
    assert is_in(await log_in(ada, device))
    await ada.log_out()
    async with AsyncExitStack() as stack:
        wire = await open_webauthn(
            stack, house.urls[3], house.clock, house.signer, webauthn_counter_regression="flag"
        )
        wires = {**house.wires, "webauthn": wire}
        factors = make_factors(stack, wires, house.clock, house.signer)
        lax = replace(house, flows=make_flows(house.db, factors, house.clock))

        assert is_in(await log_in(ada.elsewhere(house=lax), device, Lies(counter=1)))

    (mail,) = await house.notices()
    assert (mail.kind, mail.to) == (MailKind.CLONE_SUSPECTED, ADA)


async def test_of_an_account_that_is_gone_nothing_is_left(house: House) -> None:
    """The factor has not forgotten yet: its credential is nobody's all the same."""
    device = Device()
    ada: Visitor = await house.visitor().join()
    await add_key(ada, device)
    await house.flows.delete.delete(await ada.visit())
    house.clock.turn(minutes=1)
    other = await house.visitor().join()
    await other.log_out()

    assert is_refused(await log_in(house.visitor(), device))
    assert isinstance(await other.log_in(password=PASSWORD), Standing)
