"""Keys as second factor, and to prove oneself again: judged and counted as codes are."""

from datetime import timedelta

import pytest

from services.session.domain.limits import FOR_EVER
from services.session.domain.mails import MailKind
from services.session.domain.methods import amr, assurance_level
from services.session.domain.stages import Stage
from services.session.flows.outcomes import (
    Asked,
    LoginNeeded,
    Outcome,
    Refused,
    StageNeeded,
    Standing,
)
from shared.clock import to_micros
from shared.errors import Unavailable
from tests.session.house import House, Visitor, change_user
from tests.session.keys import add_key, authenticate, log_in, reauthenticate, with_passkey
from tests.webauthn.authenticator import HONEST, UV, Device, Lies

AWAY = "203.0.113.9"
WRONG = Lies(signs=b"something else")


def codes(outcome: Outcome) -> list[tuple[str, str | None]]:
    """Return what a proof was refused for."""
    assert isinstance(outcome, Refused)
    return [(fault.code, fault.param) for fault in outcome.faults]


def passed(outcome: Outcome) -> bool:
    """Tell whether somebody is logged in."""
    return isinstance(outcome, Standing) and outcome.visit.authenticated


async def pending(house: House, device: Device) -> Visitor:
    """Return somebody who has a key and has given the password."""
    ada = await with_passkey(house, device)
    outcome = await ada.log_in()
    assert isinstance(outcome, Standing)
    assert outcome.visit.pending is Stage.MFA_AUTHENTICATE
    assert outcome.visit.types == ("recovery_codes", "webauthn")
    return ada


async def test_a_key_is_asked_for_and_passes_the_stage(house: House) -> None:
    """O1: the keys of that person are listed, and one of them is enough."""
    device = Device()
    ada = await pending(house, device)
    asked = await house.flows.authenticate.ask_for_key(await ada.visit())
    assert isinstance(asked, Asked)
    options = asked.display["request_options"]
    assert isinstance(options, dict)
    assert len(options["publicKey"]["allowCredentials"]) == 1

    outcome = await authenticate(ada, device)

    assert isinstance(outcome, Standing)
    assert outcome.visit.session is not None
    methods = outcome.visit.session.methods
    assert [(m.kind.value, m.type, m.passwordless) for m in methods] == [
        ("password", None, False),
        ("mfa", "webauthn", False),
    ]
    assert (amr(methods), assurance_level(methods)) == (("pwd", "pop", "user", "mfa"), 2)


async def test_a_key_without_its_user_is_a_second_factor_and_no_more(house: House) -> None:
    device = Device(verifies=False)
    ada = await house.visitor().join()
    await add_key(ada, device, passwordless=False)
    await ada.log_out()
    await ada.log_in()

    outcome = await authenticate(ada, device)

    assert isinstance(outcome, Standing)
    assert outcome.visit.session is not None
    methods = outcome.visit.session.methods
    assert amr(methods) == ("pwd", "pop", "user", "mfa")
    assert (amr(methods[1:]), assurance_level(methods[1:])) == (("pop", "user"), 1)


async def test_somebody_elses_key_is_none(house: House) -> None:
    """W7.2-5: neither listed, nor accepted where only hers are."""
    bobs = Device()
    await with_passkey(house, bobs, "bob@example.org")
    house.clock.turn(minutes=1)
    ada = await pending_as(house, Device(), "ada@example.com")
    (credential,) = bobs.credentials.values()
    asked = await house.flows.authenticate.ask_for_key(await ada.visit())
    assert isinstance(asked, Asked)
    options = asked.display["request_options"]
    assert isinstance(options, dict)
    given = bobs.get(options, HONEST, credential=credential)
    outcome = await house.flows.authenticate.authenticate_by_key(await ada.visit(), given)

    assert codes(outcome) == [("incorrect_code", "credential")]


async def pending_as(house: House, device: Device, email: str) -> Visitor:
    """Return somebody of that address who has a key and has given the password."""
    visitor = await with_passkey(house, device, email)
    await visitor.log_in(email)
    return visitor


async def test_codes_and_keys_have_one_counter(house: House) -> None:
    """L3: five failures of whatever kind, then a rest, in which no key is judged either."""
    device = Device()
    ada = await pending(house, device)
    stranger = ada.elsewhere(AWAY)
    await stranger.log_in()
    for number in range(5):
        if number % 2:
            await stranger.authenticate(f"0000000{number}")
        else:
            wrong = await authenticate(stranger, device, WRONG)
            assert codes(wrong) == [("incorrect_code", "credential")]
    calls = len(house.wires["webauthn"].requests)

    late = await authenticate(stranger, device)

    assert codes(late) == [("too_many_login_attempts", "credential")]
    assert isinstance(late, Refused)
    assert late.retry_after is not None
    assert timedelta(0) < late.retry_after <= timedelta(minutes=5)
    assert len(house.wires["webauthn"].requests) == calls + 1  # the options, and no judgement
    assert passed(await authenticate(ada, device))  # who is at home


async def test_after_the_last_failure_no_key_is_judged_anywhere(house: House) -> None:
    """L1: but a passkey alone still logs in, L8."""
    device = Device()
    ada = await pending(house, device)
    await change_user(house, mfa_rests_until=to_micros(FOR_EVER))

    stopped = await authenticate(ada, device)

    assert codes(stopped) == [("too_many_login_attempts", "credential")]
    assert isinstance(stopped, Refused)
    assert stopped.retry_after is None
    assert passed(await log_in(ada, device))


async def test_no_code_is_sent_to_keys(house: House) -> None:
    """Whatever its form, and whatever else there is; nor does a code need webauthn to be up."""
    device = Device()
    ada = await house.visitor().join()
    await ada.protect()
    await add_key(ada, device)
    await ada.log_out()
    await ada.log_in()
    house.wires["webauthn"].break_down()
    before = len(house.wires["webauthn"].requests)

    for wrong in ("abc", "00000000", "-"):
        assert codes(await ada.authenticate(wrong)) == [("incorrect_code", "code")]
    assert passed(await ada.authenticate(ada.otp()))
    assert len(house.wires["webauthn"].requests) == before


async def test_without_webauthn_nobody_is_let_past(house: House) -> None:
    """O4: nothing is counted, and the login waits where it is."""
    device = Device()
    ada = await pending(house, device)
    asked = await house.flows.authenticate.ask_for_key(await ada.visit())
    assert isinstance(asked, Asked)
    options = asked.display["request_options"]
    assert isinstance(options, dict)
    house.wires["webauthn"].break_down()

    with pytest.raises(Unavailable):
        await house.flows.authenticate.ask_for_key(await ada.visit())
    with pytest.raises(Unavailable):
        await house.flows.authenticate.authenticate_by_key(await ada.visit(), device.get(options))
    assert (await house.user()).mfa_failures == 0
    assert (await ada.visit()).pending is Stage.MFA_AUTHENTICATE
    house.wires["webauthn"].restore()
    assert passed(await authenticate(ada, device))


async def test_only_who_waits_for_it_is_asked(house: House) -> None:
    """O2: nobody else has a challenge made."""
    device = Device()
    ada = await house.visitor().join()
    await add_key(ada, device)
    nobody = house.visitor()
    flows = house.flows

    for visitor in (ada, nobody):
        asked = await flows.authenticate.ask_for_key(await visitor.visit())
        given = await flows.authenticate.authenticate_by_key(await visitor.visit(), {"id": "x"})
        assert isinstance(asked, StageNeeded)
        assert isinstance(given, StageNeeded)
    assert isinstance(await flows.reauthenticate.ask_for_key(await nobody.visit()), LoginNeeded)
    proved = await flows.reauthenticate.by_key(await nobody.visit(), {"id": "x"})
    assert isinstance(proved, LoginNeeded)


async def test_a_key_proves_it_again(house: House) -> None:
    """What was asked of one is no proof of the other; failures count as those of a login."""
    device = Device()
    ada = await house.visitor().join()
    await add_key(ada, device)

    assert codes(await reauthenticate(ada, device, WRONG)) == [("incorrect_code", "credential")]
    assert (await house.user()).mfa_failures == 1
    outcome = await reauthenticate(ada, device)

    assert isinstance(outcome, Standing)
    assert outcome.visit.session is not None
    last = outcome.visit.session.methods[-1]
    assert (last.type, last.reauthenticated, last.passwordless) == ("webauthn", True, False)
    assert (await house.user()).mfa_failures == 0
    asked = await house.flows.reauthenticate.ask_for_key(await ada.visit())
    assert isinstance(asked, Asked)
    options = asked.display["request_options"]
    assert isinstance(options, dict)
    other = ada.elsewhere()
    await other.log_in()
    flow = house.flows.authenticate
    wrong = await flow.authenticate_by_key(await other.visit(), device.get(options))
    assert codes(wrong) == [("incorrect_code", "credential")]


async def test_whoever_has_no_key_is_asked_for_none(house: House) -> None:
    """As with the peer: the options list nothing, and no answer is right."""
    ada = await house.visitor().join()
    await ada.protect()

    asked = await house.flows.reauthenticate.ask_for_key(await ada.visit())
    assert isinstance(asked, Asked)
    options = asked.display["request_options"]
    assert isinstance(options, dict)
    assert options["publicKey"]["allowCredentials"] == []
    outcome = await house.flows.reauthenticate.by_key(await ada.visit(), {"id": "x"})
    assert codes(outcome) == [("incorrect_code", "credential")]


async def test_a_key_that_may_be_copied_is_told_here_too(house: House) -> None:
    """W7.2-22: refused as any other, and counted; its owner is told by mail."""
    device = Device(counts=True)
    ada = await pending(house, device)
    assert passed(await authenticate(ada, device))
    await house.notices()

    assert codes(await reauthenticate(ada, device, Lies(counter=1))) == [
        ("incorrect_code", "credential")
    ]

    assert [(m.kind, m.facts["key"]) for m in await house.notices()] == [
        (MailKind.CLONE_SUSPECTED, "My key")
    ]
    assert codes(await reauthenticate(ada, device, Lies(clear_flags=UV, signs=b"x"))) == [
        ("incorrect_code", "credential")
    ]
    assert await house.notices() == []
