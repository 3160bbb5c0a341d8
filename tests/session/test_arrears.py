"""What is late is shown to operators while it is, and no longer."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from services.session.domain.mails import Mail, MailKind
from services.session.domain.register import Intent, Pending
from services.session.flows import Policy, arrears, build_erasing, build_mails, build_measuring
from services.session.flows.delivery import Delivery
from services.session.flows.register import LIVE
from services.session.gateway.postbox import postbox_for
from services.session.gateway.templates import Templates
from shared.errors import Unavailable
from tests.session.house import ADA, RING, Cut, House
from tests.session.test_flows_delete import Ledger
from tests.session.test_flows_operate import operating
from tests.session.test_mail import Server, listening
from tests.trail import eventually

NOTHING = {
    "mails_waiting": 0,
    "mails_oldest_seconds": 0,
    "registers_dirty": 0,
    "erasures_waiting": 0,
    "erasures_oldest_seconds": 0,
}


def shown() -> dict[str, float | None]:
    """Return what the gauges show."""
    labels = {"source": "session"}
    return {name: REGISTRY.get_sample_value(f"countersign_{name}", labels) for name in NOTHING}


async def measured(house: House) -> dict[str, float | None]:
    """Return what the gauges show now."""
    await build_measuring(house.db, house.clock).measure()
    return shown()


async def owe(house: House, *, id: str = "m1", later: timedelta = timedelta(0)) -> None:
    mail = Mail(id=id, kind=MailKind.VERIFICATION_CODE, to=ADA, facts={"code": "BCDF-GHJK"})
    now = house.clock()
    await house.store.write(build_mails(house.db, RING).due(mail, now, at=now + later))


def delivery(house: House, smtp_url: str) -> Delivery:
    return Delivery(
        mails=build_mails(house.db, RING),
        postbox=postbox_for(smtp_url, Path()),
        templates=Templates(),
        clock=house.clock,
        sender="no-reply@login.example.org",
        public_url="https://login.example.org",
    )


async def test_where_all_is_well_nothing_is_late(house: House) -> None:
    await (await house.visitor().join()).protect()
    await house.notices()

    assert await measured(house) == NOTHING


async def test_a_mail_that_is_refused_shows_until_it_is_delivered(
    house: House, unused_tcp_port: int
) -> None:
    await owe(house)
    await delivery(house, f"smtp://127.0.0.1:{unused_tcp_port}").deliver_due()
    house.clock.turn(seconds=1)  # it rests now, and is not due

    assert await measured(house) == {**NOTHING, "mails_waiting": 1, "mails_oldest_seconds": 1}

    house.clock.turn(minutes=10)
    assert await measured(house) == {**NOTHING, "mails_waiting": 1, "mails_oldest_seconds": 601}
    server = Server()
    async with listening(server) as port:
        await delivery(house, f"smtp://localhost:{port}").deliver_due()
    assert len(server.received) == 1
    assert await measured(house) == NOTHING


async def test_a_mail_that_nobody_takes_shows_as_soon_as_it_is_due(house: House) -> None:
    """What is only due later is not late; and its age is that of the delay."""
    await owe(house, id="soon", later=timedelta(hours=1))
    await owe(house, id="later", later=timedelta(hours=2))
    assert await measured(house) == NOTHING

    house.clock.turn(hours=1, seconds=7)

    assert await measured(house) == {**NOTHING, "mails_waiting": 1, "mails_oldest_seconds": 7}


async def test_a_register_that_stays_dirty_shows_until_it_is_repaired(house: House) -> None:
    ada = await (await house.visitor().join()).protect()
    await house.notices()
    house.wire.cut("DELETE", "authenticators", Cut.BEFORE)
    with pytest.raises(Unavailable):
        await ada.deactivate()

    assert (await measured(house))["registers_dirty"] == 0  # it may still be under way
    house.clock.turn(seconds=LIVE / timedelta(seconds=1))
    assert (await measured(house))["registers_dirty"] == 1
    house.clock.turn(minutes=1)
    assert await house.sweeps.repair_registers() == 1
    assert (await measured(house))["registers_dirty"] == 0


async def test_a_change_of_a_register_is_late_only_when_nobody_can_be_at_it(house: House) -> None:
    await house.visitor().join()
    await house.notices()
    pending = Pending(intent=Intent.ADD, type="totp", id="x")
    marked = house.store.mark_register(await house.account(), pending, house.clock())
    assert await house.store.write(marked) is not None

    house.clock.turn(seconds=LIVE / timedelta(seconds=1) - 1)
    before = await measured(house)
    house.clock.turn(seconds=1)

    assert before == NOTHING
    assert await measured(house) == {**NOTHING, "registers_dirty": 1}


async def test_who_is_not_forgotten_by_all_shows(house: House) -> None:
    await operating(house).create(ADA, None, verified=True)
    await operating(house).delete(ADA)
    await house.notices()
    house.clock.turn(minutes=3)

    assert await measured(house) == {
        **NOTHING,
        "erasures_waiting": 1,
        "erasures_oldest_seconds": 180,
    }

    await build_erasing(
        house.db, factors=house.factors, ledger=Ledger(), clock=house.clock, policy=Policy()
    ).erase_due()
    assert await measured(house) == NOTHING


async def test_the_gauges_follow_and_are_gone_when_nobody_measures(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrears, "MEASURE", 0.02)
    measuring = asyncio.create_task(build_measuring(house.db, house.clock).run())

    async def calm() -> bool:
        return shown() == NOTHING

    async def alarmed() -> bool:
        return shown()["mails_waiting"] == 1

    await eventually(calm)
    await owe(house)
    await eventually(alarmed)
    measuring.cancel()
    await asyncio.wait([measuring])

    assert set(shown().values()) == {None}
