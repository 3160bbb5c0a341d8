"""The watch on events finds what it is there for."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta

import pytest

from countersign_events.types import TYPES
from services.recovery.domain import codes as recovery
from services.session.domain.faults import SAME_AS_CURRENT, incorrect_code, required
from services.session.flows.outcomes import Refused, Throttled
from services.suite import SERVICES
from services.totp.domain import codes as totp
from services.totp.events import TotpAccepted
from services.webauthn import flows as webauthn
from services.webauthn.domain.refusal import Reason
from shared.database import Database, step
from shared.errors import Malformed
from shared.event import Event
from shared.migrations import migrate
from shared.outbox import DELETE
from tests.trail import Happened
from tests.trail.plugin import missing
from tests.trail.refusals import ENROLLING, LIMITED, NO_REASON, UNSPOKEN, refusals
from tests.trail.silent import SILENT
from tests.trail.watch import WATCHED, Watch, _seen, flows_of, framed, misshapen, use_cases

CHANGE = step(DELETE, seqs=[1])
WRONG = Refused((incorrect_code(),))
MISTAKE = Refused((required("code"), SAME_AS_CURRENT))
SOON = timedelta(seconds=1)


@dataclass
class Flow:
    """A use case that changes something, and perhaps tells."""

    db: Database
    events: tuple[Event, ...] = ()
    answer: object = None

    async def do(self) -> None:
        """Change something."""
        await self.db.apply(CHANGE, *self.events)

    async def fail(self) -> None:
        """Change something, and then refuse to answer."""
        await self.do()
        raise Malformed("no")

    async def say(self) -> object:
        """Change nothing, and answer."""
        if self.events:
            await self.db.record(*self.events)
        return self.answer


async def seen(
    db: Database, *calls: str, events: tuple[Event, ...] = (), answer: object = None
) -> Watch:
    """Return what the watch sees when a use case is run, by the names of its methods."""
    watch = Watch()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Database, "_write", _seen(watch))
        for name in ("do", "fail", "say"):
            patch.setattr(Flow, name, framed(watch, "demo", f"Flow.{name}", getattr(Flow, name)))
        for call in calls:
            with pytest.MonkeyPatch.context():
                try:
                    await getattr(Flow(db, events, answer), call)()
                except Malformed:
                    continue
    return watch


@pytest.fixture
async def db(sqlite_url: str) -> Database:
    """A database that has an outbox, with an event in it to be changed."""
    await asyncio.to_thread(migrate, sqlite_url, "tests.trail.migrations")
    database = Database(sqlite_url, source="demo")
    await database.record(Happened(user_id="ada", number=1))
    return database


async def test_a_change_without_an_event_is_a_fault(db: Database) -> None:
    watch = await seen(db, "do")
    await db.close()

    assert watch.faults == ["Flow.do has changed something, and told nobody"]


async def test_a_change_with_an_event_is_none(db: Database) -> None:
    watch = await seen(db, "do", events=(Happened(user_id="ada", number=2),))
    await db.close()

    assert watch.faults == []
    assert watch.types == {"mfa.demo.happened"}


async def test_a_change_that_was_refused_is_none(db: Database) -> None:
    await db.apply(CHANGE)
    watch = await seen(db, "do")
    await db.close()

    assert watch.faults == []


async def test_what_raises_has_not_answered(db: Database) -> None:
    watch = await seen(db, "fail")
    await db.close()

    assert watch.faults == []


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (WRONG, "incorrect_code"),
        (Refused(()), NO_REASON),
        (Throttled(SOON), LIMITED),
        (Refused(MISTAKE.faults, SOON), "required"),
        (totp.Judgement(totp.Verdict.REPLAYED), "replayed"),
        (recovery.Judgement(recovery.Verdict.REJECTED), "rejected"),
        (webauthn.Judgement(Reason.TYPE), "type"),
    ],
)
async def test_a_refusal_without_an_event_is_a_fault(
    db: Database, answer: object, told: str
) -> None:
    """Though it has changed nothing: whoever guesses is to be seen."""
    watch = await seen(db, "say", answer=answer)
    event = Happened(user_id="ada", number=2)
    good = await seen(db, "say", answer=answer, events=(event,))
    await db.close()

    assert f"Flow.say has refused something ({told}), and told nobody" in watch.faults
    assert good.faults == []


@pytest.mark.parametrize(
    "answer",
    [
        MISTAKE,
        totp.Judgement(totp.Verdict.ACCEPTED),
        recovery.Judgement(recovery.Verdict.ACCEPTED),
        webauthn.Judgement(None),
        None,
    ],
)
async def test_a_mistake_in_a_form_and_what_is_accepted_are_none(
    db: Database, answer: object
) -> None:
    watch = await seen(db, "say", answer=answer)
    await db.close()

    assert watch.faults == []


def test_of_an_enrolment_nothing_means_that_it_was_refused() -> None:
    assert [refusals(flow, None) for flow in ENROLLING] == [[NO_REASON]] * 2


def test_an_event_that_is_not_as_promised_is_a_fault() -> None:
    good = TotpAccepted(user_id="ada", authenticator_id="a")
    odd = TotpAccepted(user_id="ada", authenticator_id=7)  # type: ignore[arg-type]

    assert misshapen(good) == []
    assert len(misshapen(odd)) == 1


def test_what_no_test_has_seen_is_told() -> None:
    assert "no test has seen mfa.totp.accepted happen" in missing(Watch())
    assert missing(Watch(types=set(TYPES))) == []


def test_every_silence_is_of_a_use_case_that_there_is() -> None:
    there = {
        f"{service}: {kind.__name__}.{name}"
        for service in WATCHED
        for kind in flows_of(service)
        for name, _ in use_cases(kind)
    }

    assert {silent.flow for silent in SILENT} <= there
    assert {unspoken.flow for unspoken in UNSPOKEN} | set(ENROLLING) <= there
    assert set(SERVICES) - set(WATCHED) == {"audit"}
