"""Mail that is due goes out at least once, recognisable as the same, and is never forgotten."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path

import pytest
import pytest_asyncio
from prometheus_client import REGISTRY

from services.session.domain.mails import Mail, MailKind
from services.session.flows import PasswordHasher, build_mails, build_operating
from services.session.flows.delivery import KEEP_TRYING, LEASE, Delivery, pause_after
from services.session.gateway.postbox import Inbox, Postbox, Undeliverable
from services.session.gateway.templates import Templates
from services.session.store import MailStore
from services.session.worker import register
from shared.cipher import KeyRing
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.errors import Unavailable
from shared.migrations import migrate
from shared.outbox import Outbox
from shared.worker import background, create_celery
from tests.journeys.person import Person
from tests.journeys.suite import InProcess, in_process
from tests.session.house import counted
from tests.suites import PATIENCE, until

RING = KeyRing(primary="k", keys={"k": bytes(32)})
NOON = datetime(2026, 3, 14, 12, tzinfo=UTC)
CODE = "BCDF-GHJK"
AT_ONCE = 15.0  # seconds in which a busy machine answers, and no mail server is given up


class Hands:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> datetime:
        return self.now


class Died(BaseException):
    """The process ended, as far as the mail can tell."""


class Carrier:
    """A postbox that keeps what it takes, after failing as often as it is told."""

    def __init__(self, *failures: BaseException) -> None:
        self.failures = list(failures)
        self.taken: list[EmailMessage] = []
        self.tried: list[str] = []

    async def deliver(self, message: EmailMessage) -> None:
        self.tried.append(message["Message-ID"])
        if self.failures:
            raise self.failures.pop(0)
        self.taken.append(message)


@pytest_asyncio.fixture
async def db(database_url: str) -> AsyncIterator[Database]:
    migrate(database_url, "services.session.migrations")
    database = Database(database_url, source="session")
    await database.connect()
    yield database
    await database.close()


@pytest.fixture
def mails(db: Database) -> MailStore:
    return build_mails(db, RING)


@pytest.fixture
def clock() -> Hands:
    return Hands()


def delivery(mails: MailStore, postbox: Postbox, clock: Hands) -> Delivery:
    return Delivery(
        mails=mails,
        postbox=postbox,
        templates=Templates(),
        clock=clock,
        sender="no-reply@login.example.org",
        public_url="https://login.example.org",
    )


async def owe(db: Database, mails: MailStore, *, id: str = "m1", at: datetime = NOON) -> None:
    mail = Mail(
        id=id,
        kind=MailKind.VERIFICATION_CODE,
        to=f"{id}@example.org",
        facts={"code": CODE},
    )
    await db.apply(mails.due(mail, at))


async def test_what_is_due_goes_out_once(db: Database, mails: MailStore, clock: Hands) -> None:
    carrier = Carrier()
    for number in range(9):
        await owe(db, mails, id=f"m{number}")

    for _ in range(2):
        await delivery(mails, carrier, clock).deliver_due()
        clock.now += 2 * LEASE

    assert sorted(message["To"] for message in carrier.taken) == [
        f"m{number}@example.org" for number in range(9)
    ]


async def test_what_is_not_due_waits(db: Database, mails: MailStore, clock: Hands) -> None:
    carrier = Carrier()
    await owe(db, mails, at=NOON + timedelta(seconds=1))

    await delivery(mails, carrier, clock).deliver_due()

    assert carrier.taken == []


async def owe_later(db: Database, mails: MailStore, *, id: str, topic: str, at: datetime) -> None:
    facts = {"time": "2026-05-04 12:00:00 UTC"}
    mail = Mail(id=id, kind=MailKind.SECOND_FACTOR_MISSING, to=f"{id}@example.org", facts=facts)
    await db.apply(mails.due(mail, NOON, at=at, topic=topic))


async def test_a_mail_for_later_goes_out_then_and_once_for_each_topic(
    db: Database, mails: MailStore, clock: Hands
) -> None:
    carrier, hour = Carrier(), timedelta(hours=1)
    await owe_later(db, mails, id="first", topic="a", at=NOON + hour)
    await owe_later(db, mails, id="second", topic="a", at=NOON)
    await owe_later(db, mails, id="other", topic="b", at=NOON + hour)

    clock.now = NOON + hour - timedelta(seconds=1)
    await delivery(mails, carrier, clock).deliver_due()
    assert carrier.taken == []

    clock.now = NOON + hour
    await delivery(mails, carrier, clock).deliver_due()
    assert sorted(message["To"] for message in carrier.taken) == [
        "first@example.org",
        "other@example.org",
    ]


async def test_a_mail_that_was_withdrawn_never_goes_out(
    db: Database, mails: MailStore, clock: Hands
) -> None:
    carrier = Carrier()
    await owe_later(db, mails, id="gone", topic="a", at=NOON)
    await owe_later(db, mails, id="other", topic="b", at=NOON)
    await db.apply(mails.withdraw("a"))

    await delivery(mails, carrier, clock).deliver_due()

    assert [message["To"] for message in carrier.taken] == ["other@example.org"]


async def test_a_mail_that_fails_goes_out_later_as_the_same_mail(
    db: Database, mails: MailStore, clock: Hands
) -> None:
    carrier = Carrier(Unavailable("away"), ValueError("a fault of ours"))
    await owe(db, mails)
    sending = delivery(mails, carrier, clock)

    await sending.deliver_due()
    await sending.deliver_due()
    tried_at_once = len(carrier.tried)
    for attempts in (1, 2):
        clock.now += pause_after(attempts)
        await sending.deliver_due()

    assert tried_at_once == 1
    assert len(carrier.taken) == 1
    assert len(carrier.tried) == 3
    assert len(set(carrier.tried)) == 1


async def test_a_mail_whose_sender_died_goes_out_again_as_the_same_mail(
    db: Database, mails: MailStore, clock: Hands
) -> None:
    """At least once: nobody knows whether it had left, so it leaves again, with its Message-ID."""
    carrier = Carrier(Died())
    await owe(db, mails)
    with pytest.raises(BaseExceptionGroup):
        await delivery(mails, carrier, clock).deliver_due()

    await delivery(mails, carrier, clock).deliver_due()
    before = len(carrier.taken)
    clock.now += LEASE
    await delivery(mails, carrier, clock).deliver_due()

    assert (before, len(carrier.taken)) == (0, 1)
    assert carrier.tried[0] == carrier.tried[1]


async def test_two_workers_do_not_send_the_same_mail(
    db: Database, mails: MailStore, clock: Hands
) -> None:
    carriers = [Carrier(), Carrier()]
    for number in range(20):
        await owe(db, mails, id=f"m{number}")

    await asyncio.gather(*(delivery(mails, carrier, clock).deliver_due() for carrier in carriers))

    sent = [message["To"] for carrier in carriers for message in carrier.taken]
    assert len(sent) == len(set(sent)) == 20


async def test_what_nobody_can_deliver_is_given_up_and_put_on_record(
    db: Database, mails: MailStore, clock: Hands
) -> None:
    """D3: a mail that never leaves is an event, which does not say to whom."""
    carrier = Carrier(Undeliverable("no such person"))
    await owe(db, mails)

    await delivery(mails, carrier, clock).deliver_due()

    outbox = Outbox(db)
    await outbox.number_batch(10)
    (event,) = await outbox.pending(10)
    assert event.type == "mfa.session.mail_given_up"
    assert "example.org" not in event.data
    clock.now += timedelta(days=1)
    await delivery(mails, carrier, clock).deliver_due()
    assert len(carrier.tried) == 1


async def test_a_mail_that_does_not_open_is_given_up_and_holds_up_no_other(
    db: Database, mails: MailStore, clock: Hands
) -> None:
    """D3: its sealing key was dropped; the others are delivered to their end all the same."""
    before = build_mails(db, KeyRing(primary="dropped", keys={"dropped": bytes([1] * 32)}))
    for number in range(3):
        await owe(db, before, id=f"lost{number}")
        await owe(db, mails, id=f"good{number}")
    carrier = Carrier()

    await delivery(mails, carrier, clock).deliver_due()

    outbox = Outbox(db)
    await outbox.number_batch(10)
    assert sorted(message["To"] for message in carrier.taken) == [
        f"good{number}@example.org" for number in range(3)
    ]
    assert [event.type for event in await outbox.pending(10)] == ["mfa.session.mail_given_up"] * 3
    clock.now += LEASE
    assert await mails.take(clock.now, LEASE) is None


async def test_to_look_for_mail_is_one_statement_while_there_is_none(
    db: Database, mails: MailStore, clock: Hands
) -> None:
    sending = delivery(mails, Carrier(), clock)
    before = counted()

    await sending.deliver_due()

    made = {name: count - before[name] for name, count in counted().items()}
    assert made["read"] + made["write"] == 1


async def test_after_a_day_a_mail_is_given_up(db: Database, mails: MailStore, clock: Hands) -> None:
    carrier = Carrier(*[Unavailable("away")] * 1000)
    await owe(db, mails)

    while clock.now < NOON + KEEP_TRYING + timedelta(hours=1):
        await delivery(mails, carrier, clock).deliver_due()
        clock.now += timedelta(minutes=15)

    assert await mails.take(clock.now, LEASE) is None
    assert 90 <= len(carrier.tried) <= 110


def test_pauses_grow_and_stay_bounded() -> None:
    pauses = [pause_after(attempts) for attempts in range(1, 200)]

    assert pauses[0] == timedelta(seconds=5)
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(minutes=15)


async def test_one_slow_recipient_does_not_hold_up_the_others(
    db: Database, mails: MailStore, clock: Hands
) -> None:
    arrived = asyncio.Event()

    class Slow(Carrier):
        async def deliver(self, message: EmailMessage) -> None:
            if message["To"] == "m0@example.org":
                await arrived.wait()
            await super().deliver(message)
            if len(self.taken) == 4:
                arrived.set()

    for number in range(5):
        await owe(db, mails, id=f"m{number}")
    carrier = Slow()

    await delivery(mails, carrier, clock).deliver_due()

    assert carrier.taken[-1]["To"] == "m0@example.org"


async def test_mails_wait_sealed(db: Database, mails: MailStore) -> None:
    """D1: neither code nor address of a mail that waits can be read in the database."""
    await owe(db, mails)

    due = await mails.take(NOON, LEASE)

    assert due is not None
    assert CODE not in repr(due)
    assert CODE.encode() not in due.sealed


async def test_the_worker_sends_mail_and_throws_away_what_is_over(tmp_path: Path) -> None:
    async with in_process(tmp_path) as suite:
        person = Person(suite=suite, client=suite.client("app"))
        await person.client.post("auth/signup", person.credentials)
        assert (await person.client.get("auth/session")).status == 401

        # By the clock of the worker all of this is long over.
        await asyncio.to_thread(_work_until_it_is_done, suite)

        assert [message["To"] for message in Inbox(suite.settings.inbox).messages(10)] == [
            person.email
        ]
        assert (await person.client.get("auth/session")).status == 410


def _work_until_it_is_done(suite: InProcess) -> None:
    with working(suite):
        until(lambda: Inbox(suite.settings.inbox).messages(1), "the mail")
        until(lambda: _read(suite, "SELECT count(*) FROM sessions") == 0, "the session's end")


@contextmanager
def working(suite: InProcess, clock: Clock = utc_now) -> Iterator[None]:
    """Have session's worker run beside the suite."""
    app = create_celery("redis://127.0.0.1:1/0", "test")
    register(app, suite.settings, clock)
    work = background(app)
    work.start()
    try:
        yield
    finally:
        work.stop()


def _read(suite: InProcess, question: str) -> int:
    path = suite.settings.session_database_url.get_secret_value().removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as database:
        (answer,) = database.execute(question).fetchone()
    return int(answer)


def _shown(metric: str) -> float | None:
    return REGISTRY.get_sample_value(f"countersign_{metric}", {"source": "session"})


class Silent:
    """A mail server that takes connections and says nothing, for as long as anybody waits."""

    def __init__(self) -> None:
        self.reached = asyncio.Event()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen, and name the address."""
        writers = []

        def keep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writers.append(writer)
            self.reached.set()

        server = await asyncio.start_server(keep, "127.0.0.1")
        try:
            yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for writer in writers:
                writer.close()


async def _create(suite: InProcess, person: Person) -> None:
    """Make the account of `person` as an operator does, and a mail that tells them."""
    db = Database(suite.settings.session_database_url.get_secret_value(), source="session")
    hasher = PasswordHasher(queue=1, threads=1)
    try:
        await build_operating(
            db,
            ring=suite.settings.session_sealing_keys,
            clock=suite.clock,
            policy=suite.settings.policy,
            hasher=hasher,
        ).create(person.email, person.password, verified=True)
    finally:
        hasher.close()
        await db.close()


@pytest.mark.parametrize("worker", ["away", "stuck"])
async def test_neither_signup_nor_login_waits_for_mail(tmp_path: Path, worker: str) -> None:
    """D3: not for a worker that is away, nor for a mail server that never answers one."""
    silent = Silent()
    async with (
        silent.listening() as smtp_url,
        in_process(tmp_path, smtp_url=smtp_url) as suite,
        AsyncExitStack() as stack,
    ):
        ada = Person(suite=suite, client=suite.client("app"))
        await _create(suite, ada)
        if worker == "stuck":
            stack.enter_context(working(suite, suite.clock))
            await asyncio.wait_for(silent.reached.wait(), PATIENCE)

        bob = Person(suite=suite, client=suite.client("app"))
        await bob.client.get("config")  # at the first answer the contract is read, which takes long
        async with asyncio.timeout(AT_ONCE):
            signed_up = await bob.client.post("auth/signup", bob.credentials)
            logged_in = await ada.log_in()

        assert (signed_up.pending, logged_in.status) == (["verify_email"], 200)
        assert silent.reached.is_set() == (worker == "stuck")
        # That of the operator, and the code: none has left.
        assert _read(suite, "SELECT count(*) FROM mails") >= 2


async def test_the_worker_shows_what_is_late(tmp_path: Path) -> None:
    async with in_process(tmp_path, smtp_url="smtp://127.0.0.1:1") as suite:
        await _create(suite, Person(suite=suite, client=suite.client("app")))
        with working(suite, suite.clock):
            await asyncio.to_thread(
                until, lambda: _shown("mails_waiting") == 1, "the mail among what is late"
            )
            assert _shown("erasures_waiting") == 0

        assert _shown("mails_waiting") is None
