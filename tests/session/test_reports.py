"""What other services report is told by mail, once, whoever is away or dies meanwhile."""

import asyncio
import json
import os
import signal
import subprocess
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from sqlalchemy import func, select

from services.audit.store.ledger import LedgerStore
from services.cli.failing import EX_CONFIG
from services.recovery.events.trust import TrustReplayed
from services.session.domain.mails import Mail, MailKind
from services.session.domain.reports import REPORTED, Report
from services.session.flows import PasswordHasher, Policy, build_mails, build_operating
from services.session.flows import build_reports as build
from services.session.flows.reports import Reports
from services.session.settings import Settings
from services.session.store.reports import REMEMBERED
from services.session.store.tables import mails, reports
from services.session.worker import register
from services.webauthn.events import WebAuthnCloneSuspected
from shared.bus import topology
from shared.bus.publisher import Outgoing, Publisher
from shared.bus.wire import EventSigner, to_cloudevent
from shared.clock import utc_now
from shared.database import Database, Row, Statement
from shared.errors import ConfigurationError, Malformed
from shared.migrations import migrate
from shared.outbox import Outbox
from shared.relay import Relay
from shared.settings import load
from shared.worker import create_celery
from tests import spending, trail
from tests.cli.running import run
from tests.session.house import ADA, PASSWORD, RING, House, Visitor
from tests.session.keys import add_key
from tests.session.test_flows_operate import operating
from tests.session.test_limits_growth import connected
from tests.signers import Signer
from tests.trail import eventually, processes
from tests.trail.proxy import Proxy
from tests.webauthn.authenticator import Device

THEFT, CLONE = TrustReplayed.type, WebAuthnCloneSuspected.type
SIGNERS = {
    source: Signer(source) for source in ("recovery", "webauthn", "session", "totp", "yubikey")
}
KNOWN_KEYS = json.dumps({SIGNERS[s].key.id: SIGNERS[s].public for s in ("recovery", "webauthn")})
BROWSER = {"address": "198.51.100.7", "user_agent": "Firefox"}

MAILS = Statement(select(func.count().label("count")).select_from(mails))
TAKEN = Statement(select(func.count().label("count")).select_from(reports))
WAITING = """
SELECT 1 FROM pg_stat_activity
WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '%reports%'
"""


# What is told, and to whom


@pytest.fixture
def telling(house: House) -> Reports:
    """What tells of reports, as it is in session's worker."""
    return build(house.db, ring=RING, clock=house.clock, policy=Policy())


@pytest.fixture
async def ada(house: House) -> Visitor:
    """Somebody who has been told everything so far."""
    ada = await (await house.visitor().join()).protect()
    await house.notices()
    return ada


async def theft(house: House, **changes: Any) -> Report:
    """Return a report of a token that was replaced and used again, an hour ago."""
    made = Report(
        id="e1",
        source="recovery",
        type=THEFT,
        user_id=(await house.user()).id,
        at=house.clock() - timedelta(hours=1),
        **BROWSER,
    )
    return replace(made, **changes)


def test_what_is_reported_are_events_of_the_services_that_state_them() -> None:
    assert set(REPORTED) == {THEFT, CLONE}


async def test_a_theft_is_told_with_when_and_where_it_was_found(
    house: House, ada: Visitor, telling: Reports
) -> None:
    """K8: by what the event says, whenever it arrives."""
    assert await telling.take_in([await theft(house)]) == 1

    (mail,) = await house.notices()
    at = house.clock() - timedelta(hours=1)
    assert (mail.kind, mail.to) == (MailKind.TRUST_REPLAYED, ADA)
    assert mail.facts == {"time": f"{at:%Y-%m-%d %H:%M:%S} UTC", **BROWSER}


async def test_what_comes_again_is_told_once(house: House, ada: Visitor, telling: Reports) -> None:
    """D5: idempotent by source and id, also once the mail has been sent; the id is the mail's."""
    one, other = await theft(house), await theft(house, id="e2")
    assert await telling.take_in([one, one, other]) == 2
    sent = await house.notices()

    assert await telling.take_in([other, one]) == 0

    assert len({mail.id for mail in sent}) == 2
    assert await house.notices() == []


async def test_many_workers_at_once_tell_once(pg_house: House) -> None:
    """D5: whoever comes second changes nothing."""
    await pg_house.visitor().join()
    await pg_house.notices()
    report = await theft(pg_house)
    workers = [
        build(pg_house.db, ring=RING, clock=pg_house.clock, policy=Policy()) for _ in range(8)
    ]

    taken = await asyncio.gather(*(worker.take_in([report]) for worker in workers))

    assert sum(taken) == 1
    assert len(await pg_house.notices()) == 1


async def test_a_copy_of_a_key_is_told_by_its_name(
    house: House, ada: Visitor, telling: Reports
) -> None:
    """W7.2-22: of a key that counts for the person, and of no other thing that they have."""
    await ada.reauthenticate()
    key = await add_key(ada, Device())
    (totp,) = await house.registered("totp")
    await house.notices()
    clone = await theft(house, source="webauthn", type=CLONE, authenticator_id=key)

    strange = [
        replace(clone, id=f"s{place}", authenticator_id=other)
        for place, other in enumerate((None, "unknown", totp))
    ]
    assert await telling.take_in([*strange, clone]) == 4

    (mail,) = await house.notices()
    assert (mail.kind, mail.facts["factor"]) == (MailKind.CLONE_SUSPECTED, "webauthn")
    assert mail.facts["key"] == "My key"


async def test_of_nobody_nobody_is_told(house: House, ada: Visitor, telling: Reports) -> None:
    """And it is done with: it need not come again."""
    gone = await theft(house, user_id="nobody")

    assert [await telling.take_in([gone]) for _ in range(2)] == [1, 0]
    assert await house.notices() == []


class Meanwhile(Database):
    """The same database, for a process that looks away after its first read."""

    def __init__(self, db: Database, happens: Callable[[], Awaitable[None]]) -> None:
        self.__dict__.update(db.__dict__)
        self.happens: Callable[[], Awaitable[None]] | None = happens

    async def find(self, statement: Statement, /, **params: object) -> Row | None:
        """Read, and then let happen what does."""
        row = await super().find(statement, **params)
        happens, self.happens = self.happens, None
        if happens is not None:
            await happens()
        return row


async def test_who_is_deleted_meanwhile_is_told_nothing_more(house: House, ada: Visitor) -> None:
    """And it is done with, as if they had been gone before."""
    report = await theft(house)

    async def delete() -> None:
        await operating(house).delete(ADA)

    db = Meanwhile(house.db, delete)
    telling = build(db, ring=RING, clock=house.clock, policy=Policy())

    assert await telling.take_in([report]) == 1

    assert [mail.kind for mail in await house.notices()] == [MailKind.ACCOUNT_DELETED]
    assert await telling.take_in([report]) == 0


async def test_who_is_being_deleted_is_waited_for(pg_house: House) -> None:
    """What is written at the same moment comes before the deletion, or not at all."""
    await pg_house.visitor().join()
    await pg_house.notices()
    report = await theft(pg_house)
    telling = build(pg_house.db, ring=RING, clock=pg_house.clock, policy=Policy())
    async with connected(pg_house.db) as connection, connected(pg_house.db) as watching:
        await connection.execute("BEGIN")
        await connection.execute("UPDATE users SET deleted_at = 1, disabled_at = 1")
        await connection.execute("DELETE FROM emails")

        taking = asyncio.create_task(telling.take_in([report]))
        async with asyncio.timeout(trail.PATIENCE):
            while not await watching.fetch(WAITING):  # noqa: ASYNC110 - nobody would tell
                await asyncio.sleep(0.01)
        await connection.execute("COMMIT")

        assert await taking == 1
    assert await pg_house.notices() == []
    assert await telling.take_in([report]) == 0


async def test_who_wants_no_notices_gets_none_of_these(house: House, ada: Visitor) -> None:
    quiet = build(house.db, ring=RING, clock=house.clock, policy=Policy(notifications=False))

    assert await quiet.take_in([await theft(house)]) == 1
    assert await house.notices() == []


@pytest.mark.parametrize("type", ["mfa.recovery.trust_used", "mfa.totp.clone_suspected"])
async def test_what_people_are_not_told_of_is_refused(
    house: House, ada: Visitor, telling: Reports, type: str
) -> None:
    with pytest.raises(Malformed):
        await telling.take_in([await theft(house, type=type)])
    assert await house.notices() == []


async def test_reports_are_not_remembered_for_ever(
    house: House, ada: Visitor, telling: Reports
) -> None:
    report = await theft(house)
    await telling.take_in([report])
    (first,) = await house.notices()
    house.clock.turn(seconds=REMEMBERED.total_seconds() - 1)
    await telling.forget_old()
    assert await telling.take_in([report]) == 0

    house.clock.turn(seconds=1)
    await telling.forget_old()

    assert (await house.db.all(TAKEN))[0]["count"] == 0
    await telling.take_in([report])
    (again,) = await house.notices()
    assert again.id == first.id  # so that whoever has it sees that it is the same mail


async def test_a_report_is_one_read_and_one_write(
    house: House, ada: Visitor, telling: Reports
) -> None:
    before = house_spent()
    await telling.take_in([await theft(house)])

    assert house_spent() - before == 3  # and one to find out who she is


def house_spent() -> int:
    """Return all statements of session so far."""
    counts = spending.counted("session")
    return int(counts["read"] + counts["write"])


# Off the bus, by a worker in a process of its own


@dataclass
class Post:
    """Session's database, the broker, and what there is between them."""

    db: Database
    broker_url: str
    user_id: str
    environment: dict[str, str]

    def send(self, numbers: Iterable[int], **changes: Any) -> None:
        """Publish thefts of the owner's trust, as recovery's relay does."""
        with Publisher(self.broker_url) as publisher:
            publisher.publish([self.outgoing(number, **changes) for number in numbers])

    def outgoing(self, number: int, **changes: Any) -> Outgoing:
        """Return a report on its way, signed by `by`, or else by whom it names as its source."""
        signer = SIGNERS[changes.pop("by", "recovery")]
        facts: dict[str, Any] = {
            "id": f"event-{number}",
            "type": THEFT,
            "source": "recovery",
            "number": number,
            "occurred_at": trail.NOON,
            "subject": self.user_id,
            "data": {"browser_id": "b1"},
            "context": {"request_id": "r1", **BROWSER},
        }
        event = to_cloudevent(**{**facts, **changes})
        return Outgoing(f"event-{number}", str(event["type"]), EventSigner(signer.key).sign(event))

    def has(self, count: int) -> Callable[[], Awaitable[bool]]:
        """Return a condition: so many reports are taken in, and none of them waits any more."""

        async def condition() -> bool:
            if (await self.db.all(TAKEN))[0]["count"] != count:
                return False
            return await asyncio.to_thread(self.waiting) == 0

        return condition

    async def is_ready(self) -> bool:
        """Tell whether the worker says that it is ready."""
        try:
            async with httpx.AsyncClient() as http:
                port = self.environment["OPERATIONS_PORT"]
                return (await http.get(f"http://127.0.0.1:{port}/readyz")).status_code == 200
        except httpx.TransportError:
            return False

    def waiting(self) -> int:
        """Return how many messages there are in the queue."""
        return trail.waiting(self.broker_url, topology.NOTICES)

    async def owed(self) -> list[Mail]:
        """Return the mails about trust that wait to be sent, and leave them alone."""
        box, found = build_mails(self.db, RING), []
        while due := await box.take(utc_now() + timedelta(days=1), timedelta(days=2)):
            found.append(box.open(due))
        return [mail for mail in found if mail.kind is MailKind.TRUST_REPLAYED]


@pytest.fixture
async def post(stack: tuple[str, str], unused_tcp_port: int) -> AsyncIterator[Post]:
    """A person, a broker with its queues, and no mail server."""
    database_url, broker_url = stack
    migrate(database_url, "services.session.migrations")
    assert run("bus", "declare", BROKER_URL=broker_url).exit_code == 0
    db = Database(database_url, source="session")
    hasher = PasswordHasher(queue=1, threads=1, memory=8, passes=1)
    operating = build_operating(db, ring=RING, clock=utc_now, policy=Policy(), hasher=hasher)
    user_id = await operating.create(ADA, PASSWORD, verified=True)
    environment = {
        "BROKER_URL": broker_url,
        "SESSION_DATABASE_URL": database_url,
        "SESSION_SEALING_KEYS": json.dumps(
            {"primary": "k1", "keys": {"k1": b64encode(RING.keys["k1"]).decode()}}
        ),
        "SESSION_CALLER_KEY": private(SIGNERS["session"]),
        "SESSION_EVENT_KEY": private(SIGNERS["session"]),
        "EVENT_KEYS": KNOWN_KEYS,
        "SMTP_URL": "smtp://127.0.0.1:1",
        "OPERATIONS_PORT": str(unused_tcp_port),
    }
    yield Post(db, broker_url, user_id, environment)
    hasher.close()
    await db.close()


def private(signer: Signer) -> str:
    """Return a key as settings have it."""
    raw = signer.private.private_bytes_raw()
    key = {"kid": signer.key.id, "issuer": signer.key.issuer, "key": b64encode(raw).decode()}
    return json.dumps(key)


async def test_a_report_off_the_bus_is_one_mail_however_often_it_comes(post: Post) -> None:
    """D5: from the broker to what is owed; across batches, and across the worker's end."""
    post.send([1, 1, 2])
    with processes.running("session", **post.environment) as worker:
        await eventually(post.has(2))
        post.send([2, 3])
        await eventually(post.has(3))
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    post.send([1, 2, 3])
    with processes.running("session", **post.environment):
        await eventually(post.has(3))

    told = await post.owed()
    assert {mail.to for mail in told} == {ADA}
    assert len(told) == len({mail.id for mail in told}) == 3
    assert trail.take(post.broker_url, topology.DEAD) == []


async def test_one_worker_takes_for_the_ledger_and_for_the_mail(post: Post, tmp_path: Path) -> None:
    """As where the suite is embedded: each from a queue of its own, at any broker."""
    ledger_url = f"sqlite:///{tmp_path}/ledger.db"
    migrate(ledger_url, "services.audit.migrations")
    db = Database(ledger_url, source="audit")
    ledger = LedgerStore(db)
    other = post.outgoing(3, type="mfa.recovery.trust_used")
    with Publisher(post.broker_url) as publisher:
        publisher.publish([post.outgoing(1), other, post.outgoing(2)])

    async def entered() -> bool:
        entries = await ledger.after(0, 100)
        return {entry.id for entry in entries} >= {"event-1", "event-2", "event-3"}

    environment = {**post.environment, "AUDIT_DATABASE_URL": ledger_url}
    with processes.running("together", **environment) as worker:
        await eventually(post.has(2))
        await eventually(entered)
        assert processes.terminate(worker) == 0
    await db.close()

    assert len(await post.owed()) == 2


@pytest.mark.long
async def test_a_killed_worker_leaves_its_reports_to_the_next(post: Post) -> None:
    """D5: killed with -9 in the middle, twice over; nothing is lost, and nothing told twice."""
    total = 0

    async def taken() -> int:
        return int((await post.db.all(TAKEN))[0]["count"])

    async def some_wait() -> bool:
        # RabbitMQ has what was handed out again once it has noticed that the worker is gone.
        return await asyncio.to_thread(post.waiting) > 0

    for kill in range(2):
        with processes.running("session", **post.environment) as worker:

            async def stands_in_the_middle(
                worker: subprocess.Popen[bytes] = worker, kill: int = kill
            ) -> bool:
                nonlocal total
                processes.stand_still(worker)
                count = await taken()
                if kill * 80 < count < total:  # or it is not in the middle
                    return True
                if count == total:  # it was quicker than we have looked
                    post.send(range(total + 1, total + 401))
                    total += 400
                worker.send_signal(signal.SIGCONT)
                return False

            await eventually(stands_in_the_middle)
        await eventually(some_wait)
    with processes.running("session", **post.environment):
        await eventually(post.has(total))

    assert len({mail.id for mail in await post.owed()}) == total


@pytest.mark.long
async def test_while_the_broker_is_away_the_worker_waits_for_it(post: Post) -> None:
    """D5: and takes what it has kept once it is back."""
    cable = Proxy(post.broker_url)
    with processes.running("session", **{**post.environment, "BROKER_URL": cable.url}) as worker:
        post.send([1])
        await eventually(post.has(1))
        cable.cut()
        post.send([2])
        await asyncio.sleep(1)
        assert (await post.db.all(TAKEN))[0]["count"] == 1
        cable.restore()
        await eventually(post.has(2))
        assert processes.terminate(worker) == 0

    assert len(await post.owed()) == 2


async def test_a_queue_that_is_declared_late_is_found(
    post: Post, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """D5: after an update the worker does the rest of its work meanwhile, and looks now and then.

    What happens before waits where it happened, and nobody has a part of it.
    """
    trail.undeclare(post.broker_url, topology.NOTICES)
    outbox_url = f"sqlite:///{tmp_path}/recovery.db"
    migrate(outbox_url, "tests.trail.migrations")
    db = Database(outbox_url, source="recovery")
    await db.record(*(TrustReplayed(user_id=post.user_id, browser_id=f"b{n}") for n in range(3)))
    relay = Relay(db, post.broker_url, EventSigner(SIGNERS["recovery"].key))
    with processes.running("session", **post.environment) as worker:
        relaying = asyncio.create_task(relay.run())
        await eventually(post.is_ready)
        await asyncio.sleep(1)
        assert (await Outbox(db).backlog()).count == 3
        assert trail.take(post.broker_url, topology.STORE) == []
        assert run("bus", "declare", BROKER_URL=post.broker_url).exit_code == 0
        await eventually(post.has(3))
        assert processes.terminate(worker) == 0
    relaying.cancel()
    await asyncio.wait([relaying])
    await db.close()

    assert len(await post.owed()) == 3
    stored = [message.headers["id"] for message in trail.take(post.broker_url, topology.STORE)]
    assert len(stored) == len(set(stored)) >= 3  # session's own are among them
    captured = capfd.readouterr()
    logged = captured.out + captured.err
    assert "Connection to broker lost" not in logged
    assert f"There is no queue {topology.NOTICES}" in logged
    if topology.speaks_amqp(post.broker_url):
        assert 0 < logged.count("queue_not_declared") < 5


async def test_what_is_no_report_goes_to_the_dead_letters(post: Post) -> None:
    """Section 3, bus: unsigned, foreign or unheard of, it tells nobody, and holds nobody up."""
    forged = post.outgoing(2)
    foreign = post.outgoing(6, by="webauthn", source="webauthn", type="mfa.webauthn.trust_replayed")
    bad = [
        replace(forged, body=forged.body.replace(post.user_id.encode(), b"eve")),
        post.outgoing(3, by="totp"),  # whose key is not known
        post.outgoing(4, by="webauthn"),  # which does not speak for recovery
        post.outgoing(5, subject=None),
        replace(foreign, type=THEFT),  # as what it was sent, and it is another thing
    ]
    with Publisher(post.broker_url) as publisher:
        publisher.publish([post.outgoing(1), *bad, post.outgoing(8)])
    seen: list[Any] = []

    async def all_dead() -> bool:
        seen.extend(trail.take(post.broker_url, topology.DEAD))
        return len(seen) >= len(bad)

    with processes.running("session", **post.environment):
        await eventually(post.has(2))
        await eventually(all_dead)

    assert sorted(message.headers["id"] for message in seen) == [f"event-{n}" for n in range(2, 7)]
    assert len(await post.owed()) == 2


async def test_of_other_events_the_queue_gets_none(post: Post) -> None:
    """It holds what people are told of, and nothing else: no alarm is raised for it.

    Others may call their events alike, signed by keys that session does not know. A factor of
    someone else's tells of a copy by its answer.
    """
    names = ["mfa.recovery.trust_used", "mfa.webauthn.accepted", "mfa.webauthn.trust_replayed"]
    names += ["mfa.totp.clone_suspected", "mfa.yubikey.clone_suspected"]
    others = [
        post.outgoing(number, by=by, source=by, type=name)
        for number, name in enumerate(names, start=2)
        if (by := name.split(".")[1])
    ]
    clone = post.outgoing(8, by="webauthn", source="webauthn", type=CLONE)
    with Publisher(post.broker_url) as publisher:
        publisher.publish([post.outgoing(1), *others, clone])

    waiting = trail.take(post.broker_url, topology.NOTICES)
    assert [message.headers["id"] for message in waiting] == ["event-1", "event-8"]
    assert len(trail.take(post.broker_url, topology.STORE)) == len(others) + 2


async def test_a_worker_that_knows_no_keys_does_not_start(post: Post) -> None:
    """And says which setting is missing; the API needs none."""
    told = {name: value for name, value in post.environment.items() if name != "EVENT_KEYS"}

    ended = run("worker", "session", **told)

    assert ended.exit_code == EX_CONFIG
    assert "EVENT_KEYS is not set; the worker needs it." in ended.stderr
    with patch.dict(os.environ, told, clear=True):
        settings = load(Settings)
    assert settings.event_keys is None
    with pytest.raises(ConfigurationError, match="EVENT_KEYS"):
        register(create_celery(post.broker_url, "session"), settings)
