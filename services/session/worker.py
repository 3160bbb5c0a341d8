"""Background work of the session service: mail, events, and what is over or left half done."""

import json
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import timedelta

import httpx
from celery import Celery

from services.session.domain.reports import Report
from services.session.flows import (
    build_erasing,
    build_mails,
    build_measuring,
    build_reports,
    build_sweeps,
)
from services.session.flows.delivery import Delivery
from services.session.flows.reports import Reports
from services.session.gateway.ledger import TIMEOUT, LedgerClient
from services.session.gateway.postbox import postbox_for
from services.session.gateway.templates import Templates
from services.session.settings import Settings
from shared.auth import Caller
from shared.bus.reach import reachable
from shared.bus.topology import notices_queue
from shared.bus.wire import EventSigner, Received
from shared.clock import Clock, utc_now
from shared.database import Database
from shared.errors import Malformed
from shared.factor import FactorClient
from shared.http import Check, connect
from shared.intake import Enter, Measures, take_in
from shared.relay import Relay
from shared.worker import Background, background

LOOK_FOR_MAIL = timedelta(seconds=1)
REPAIR = timedelta(seconds=30)
COLLECT = timedelta(seconds=30)
ERASE = timedelta(seconds=5)
DELETE = timedelta(minutes=10)

MEASURES = Measures("notices")


def register(
    app: Celery,
    settings: Settings,
    clock: Clock = utc_now,
    factor_transports: Mapping[str, httpx.AsyncBaseTransport] | None = None,
) -> None:
    """Add this service's mailer, relay, sweeps and consumer to the worker of `app`.

    `factor_transports` stand in for the network, by service, where factors run in this process.
    """
    url = settings.broker_url.get_secret_value()
    db = Database(
        settings.session_database_url.get_secret_value(),
        source="session",
        clock=clock,
        connections=settings.database_connections,
    )
    relay = Relay(db, url, EventSigner(settings.session_event_key), clock)
    work = background(app)
    work.holds(db)
    work.needs(Check("session database", db.ping), Check("broker", reachable(url)))
    work.forever(relay.run, "session relay")
    work.forever(build_measuring(db, clock).run, "session gauges")
    work.every(LOOK_FOR_MAIL, create_delivery(settings, db, clock).deliver_due, "session mail")
    reports = build_reports(
        db, ring=settings.session_sealing_keys, clock=clock, policy=settings.policy
    )
    take_in(
        app,
        url,
        notices_queue(url),
        keys=settings.event_keys,
        enter=entering(reports),
        measures=MEASURES,
    )
    work.every(DELETE, reports.forget_old, "session old reports")
    factors = _factors(work, settings, clock, factor_transports or {})
    sweeps = build_sweeps(
        db,
        ring=settings.session_sealing_keys,
        factors=factors,
        clock=clock,
        policy=settings.policy,
    )
    work.every(REPAIR, _quietly(sweeps.repair_registers), "session registers")
    work.every(COLLECT, _quietly(sweeps.collect_dead), "session dead authenticators")
    work.every(DELETE, _quietly(sweeps.delete_expired), "session expired rows")
    erasing = build_erasing(
        db,
        factors=factors,
        ledger=_ledger(work, settings, clock),
        clock=clock,
        policy=settings.policy,
    )
    work.every(ERASE, _quietly(erasing.erase_due), "session erasures")


def entering(reports: Reports) -> Enter:
    """Return what has events off the bus told by `reports`."""

    async def enter(events: Sequence[Received]) -> int:
        return await reports.take_in([_report(event) for event in events])

    return enter


def _report(event: Received) -> Report:
    """Return what is to be told of an event. Raises Malformed if it is about nobody."""
    if event.subject is None:
        raise Malformed("The event is about nobody.")
    data = _members(json.loads(event.text).get("data"))
    context = _members(data.get("context"))
    return Report(
        id=event.id,
        source=event.source,
        type=event.type,
        user_id=event.subject,
        at=event.occurred_at,
        address=_text(context.get("address")),
        user_agent=_text(context.get("user_agent")),
        authenticator_id=_text(data.get("authenticator_id")),
    )


def _members(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def create_delivery(settings: Settings, db: Database, clock: Clock) -> Delivery:
    """Return what sends the mails that wait in `db`."""
    smtp_url = settings.smtp_url.get_secret_value() if settings.smtp_url else None
    return Delivery(
        mails=build_mails(db, settings.session_sealing_keys),
        postbox=postbox_for(smtp_url, settings.inbox),
        templates=Templates(settings.mail_templates_dir, settings.language_code),
        clock=clock,
        sender=settings.default_from_email,
        public_url=settings.public_url,
    )


def _factors(
    work: Background,
    settings: Settings,
    clock: Clock,
    transports: Mapping[str, httpx.AsyncBaseTransport],
) -> dict[str, FactorClient]:
    caller = Caller(settings.session_caller_key, clock)
    factors = {}
    for name, url in settings.factor_urls.items():
        transport = transports.get(name)
        factor = FactorClient(connect(url, caller=caller, audience=name, transport=transport))
        work.at_stop(factor.close)
        factors[name] = factor
    return factors


def _ledger(work: Background, settings: Settings, clock: Clock) -> LedgerClient:
    caller = Caller(settings.session_caller_key, clock)
    http = connect(settings.audit_url, caller=caller, audience="audit", timeout=TIMEOUT)
    ledger = LedgerClient(http)
    work.at_stop(ledger.close)
    return ledger


def _quietly(
    sweep: Callable[[], Coroutine[object, object, int]],
) -> Callable[[], Coroutine[object, object, None]]:
    async def run() -> None:
        await sweep()

    return run
