"""People are told what happens to their account, by the very write that makes it happen."""

from services.session.domain.mails import MailKind
from services.session.flows import Policy
from services.session.flows.outcomes import Enrolled, Removed, Standing
from shared import context
from tests.session.house import ADA, House, make_flows


async def test_a_second_factor_that_comes_or_goes_is_told(house: House) -> None:
    ada = await house.visitor().join()
    await house.notices()
    await ada.reauthenticate()
    await ada.show_totp()
    context.enter(context.Context(request_id="r", address="192.0.2.9", user_agent="Browser/1"))

    assert isinstance(await ada.activate(ada.otp()), Enrolled)

    (told,) = await house.notices()
    assert (told.kind, told.to) == (MailKind.AUTHENTICATOR_ADDED, ADA)
    assert told.facts == {
        "time": f"{house.clock():%Y-%m-%d %H:%M:%S} UTC",
        "address": "192.0.2.9",
        "user_agent": "Browser/1",
        "factor": "totp",
    }

    assert isinstance(await ada.deactivate(), Removed)
    (told,) = await house.notices()
    assert (told.kind, told.facts["factor"]) == (MailKind.AUTHENTICATOR_REMOVED, "totp")
    assert await ada.deactivate() == Removed()
    assert await house.notices() == []


async def test_what_was_refused_is_not_told(house: House) -> None:
    ada = await house.visitor().join()
    await house.notices()
    await ada.reauthenticate()
    await ada.show_totp()

    await ada.activate(ada.wrong_otp())

    assert await house.notices() == []


async def test_notices_can_be_turned_off(house: House) -> None:
    house.flows = make_flows(
        house.db, house.factors, house.clock, policy=Policy(notifications=False)
    )
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    thief = ada.elsewhere("203.0.113.77")
    await thief.log_in()
    assert isinstance(await thief.authenticate(ada.otp()), Standing)
    await ada.elsewhere("203.0.113.78").log_in()
    house.clock.turn(hours=1)

    assert await house.notices() == []
    assert await house.mails() == []
