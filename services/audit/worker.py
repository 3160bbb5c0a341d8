"""The ledger's background work: it takes events in, signs where it stands, drops what is due."""

from collections.abc import Sequence
from datetime import timedelta

from celery import Celery
from prometheus_client import Gauge

from services.audit.domain.checkpoint import Verifier
from services.audit.domain.facts import Fact
from services.audit.flows.carrying import Carrying
from services.audit.flows.checkpointing import Checkpointing, Rhythm
from services.audit.flows.entering import Ledger
from services.audit.flows.retaining import Retaining
from services.audit.gateway.places import FilePlace, HttpPlace, Place
from services.audit.settings import Settings
from services.audit.store.checkpoints import CheckpointStore
from services.audit.store.ledger import LedgerStore
from services.audit.store.people import PURPOSE, PeopleStore
from shared.auth import PrivateKey, PublicKeys
from shared.bus.reach import reachable
from shared.bus.topology import store_queue
from shared.bus.wire import EventSigner, Received
from shared.cipher import Cipher
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.errors import ConfigurationError
from shared.http import Check
from shared.intake import Enter, Measures, take_in
from shared.relay import Relay
from shared.worker import Job, background

CARRY = timedelta(minutes=1)
COUNT = timedelta(seconds=5)
DROP = timedelta(hours=1)

MEASURES = Measures("ledger")
MISSING = Gauge(
    "countersign_ledger_missing", "Events of a source whose numbers have not come.", ["source"]
)
REPEATED = Gauge(
    "countersign_ledger_numbered_twice",
    "Events of a source with a number that another had before.",
    ["source"],
)


def register(app: Celery, settings: Settings, clock: Clock = utc_now) -> None:
    """Add the ledger's consumer, relay, checkpoints and sweeps to the worker of `app`."""
    url = settings.broker_url.get_secret_value()
    db = Database(
        settings.audit_database_url.get_secret_value(),
        source="audit",
        clock=clock,
        connections=settings.database_connections,
    )
    store = LedgerStore(db)
    people = PeopleStore(db, Cipher(settings.audit_sealing_keys, PURPOSE))
    ledger = Ledger(store, people, clock)
    carrying = Carrying(store, ledger)
    work = background(app)
    work.holds(db)
    work.needs(Check("audit database", db.ping), Check("broker", reachable(url)))
    take_in(
        app,
        url,
        store_queue(url),
        keys=settings.event_keys,
        enter=entering(ledger, carrying),
        measures=MEASURES,
    )
    signer = EventSigner(_needed(settings.audit_event_key, "AUDIT_EVENT_KEY"))
    work.forever(Relay(db, url, signer, clock).run, "audit relay")
    work.every(CARRY, carrying.finish, "audit carrying")
    work.forever(create_checkpointing(settings, db, clock).run, "audit checkpoints")
    work.every(DROP, Retaining(store, clock, settings.audit_retention).sweep, "audit retention")
    work.every(COUNT, counting(store), "audit gaps")


def entering(ledger: Ledger, carrying: Carrying) -> Enter:
    """Return what enters events off the bus into `ledger`, behind all that it had before."""

    async def enter(events: Sequence[Received]) -> int:
        await carrying.finish()
        return await ledger.enter([_fact(event) for event in events])

    return enter


def create_checkpointing(settings: Settings, db: Database, clock: Clock) -> Checkpointing:
    """Return what signs where the ledger in `db` stands."""
    origin = settings.audit_checkpoint_origin
    listed = settings.audit_checkpoint_keys or PublicKeys()
    return Checkpointing(
        LedgerStore(db),
        CheckpointStore(db),
        clock,
        origin=origin,
        key=_needed(settings.audit_checkpoint_key, "AUDIT_CHECKPOINT_KEY").key,
        rhythm=Rhythm(settings.audit_checkpoint_events, settings.audit_checkpoint_interval),
        verifiers=[Verifier(origin, public.key) for public in listed.values()],
        places=places(settings),
    )


def places(settings: Settings) -> list[Place]:
    """Return where checkpoints are written to, besides the ledger's own tables."""
    found: list[Place] = []
    if settings.audit_checkpoint_path is not None:
        found.append(FilePlace(settings.audit_checkpoint_path))
    if settings.audit_checkpoint_url is not None:
        found.append(HttpPlace(settings.audit_checkpoint_url.get_secret_value()))
    return found


def counting(store: LedgerStore) -> Job:
    """Return what shows how complete the events of each source are."""

    async def count() -> None:
        for coverage in await store.coverage():
            MISSING.labels(coverage.source).set(coverage.missing)
            REPEATED.labels(coverage.source).set(coverage.repeated)

    return count


def _needed(key: PrivateKey | None, name: str) -> PrivateKey:
    """Return a key of the worker's. The settings are those of the API too, which has none."""
    if key is None:
        raise ConfigurationError([f"{name} is not set, and the worker needs it."])
    return key


def _fact(event: Received) -> Fact:
    return Fact(
        id=event.id,
        type=event.type,
        source=event.source,
        number=event.number,
        occurred_at=event.occurred_at,
        subject=event.subject,
        text=event.text,
    )
