"""On a real RabbitMQ: what the users of `countersign bus users` may do, and what they may not."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from amqp.exceptions import AccessRefused

from services.cli.bus.users import definitions, vhost_of
from services.suite import ALL, SERVICES
from shared.bus import topology
from shared.bus.publisher import BrokerAway, Outgoing, Publisher
from shared.database import Database
from shared.migrations import migrate
from tests import servers, trail
from tests.packages.test_examples import EXAMPLES_RUN as EXAMPLES
from tests.packages.test_examples import await_bound, running
from tests.suites import until
from tests.trail import eventually, processes

PASSWORD = "a-password-of-tests"
PUBLISHERS = [service.name for service in ALL if "event" in service.keys]


class Users:
    """The users of one virtual host."""

    def __init__(self, hosts: servers.VirtualHosts) -> None:
        self.url = hosts.next()
        trail.declare(self.url)
        vhost = vhost_of(self.url)
        made = definitions(vhost, dict.fromkeys(SERVICES, PASSWORD))
        other = definitions(vhost, {"siem": PASSWORD}, consumers=True)
        self._names = hosts.add_users(made, other)

    def url_of(self, user: str) -> str:
        """Return the broker's address for a user."""
        parts = urlsplit(self.url)
        where = parts.netloc.rpartition("@")[2]
        return parts._replace(netloc=f"{self._names[user]}:{PASSWORD}@{where}").geturl()

    def may(self, user: str, act: Callable[[Any], object]) -> bool:
        """Tell whether a user may do something with a channel."""
        with topology.connection(self.url_of(user)) as connection:
            try:
                act(connection.channel())
            except AccessRefused:  # 403
                return False
        return True


@pytest.fixture(scope="module")
def users(rabbitmq_hosts: servers.VirtualHosts) -> Users:
    """Users with their rights, on a bus that is declared."""
    return Users(rabbitmq_hosts)


def publish(url: str, type: str) -> None:
    """Publish an event of a type as a relay does."""
    with Publisher(url) as publisher:
        publisher.publish([Outgoing("event-1", type, trail.signed(1, type=type))])


def may_publish(users: Users, user: str, type: str) -> bool:
    """Tell whether an event of a type gets through, as a relay sends it."""
    before = trail.waiting(users.url, topology.STORE)
    try:
        publish(users.url_of(user), type)
    except BrokerAway as away:
        return not isinstance(away.cause, AccessRefused)  # 403
    until(lambda: trail.waiting(users.url, topology.STORE) == before + 1, "the event")
    return True


@pytest.mark.parametrize("service", PUBLISHERS)
def test_a_service_publishes_what_is_its_own_and_nothing_else(users: Users, service: str) -> None:
    """Section 3, bus: who has broken into one cannot speak for another, whatever keys they have."""
    other = next(name for name in PUBLISHERS if name != service)

    assert may_publish(users, service, f"mfa.{service}.failed")
    assert not may_publish(users, service, f"mfa.{other}.failed")
    assert not may_publish(users, service, f"mfa.{service}x.failed")
    assert not may_publish(users, service, f"xmfa.{service}.failed")


@pytest.mark.parametrize("user", [*sorted(set(SERVICES) - set(PUBLISHERS)), "siem"])
def test_who_has_nothing_to_say_publishes_nothing(users: Users, user: str) -> None:
    assert not may_publish(users, user, f"mfa.{user}.failed")
    assert not may_publish(users, user, "mfa.totp.failed")


def reading(queue: str) -> Callable[[Any], object]:
    """Return the act of reading a queue."""
    return lambda channel: channel.basic_get(queue=queue)


@pytest.mark.parametrize("user", [*SERVICES, "siem"])
def test_who_has_a_queue_reads_that_and_no_other(users: Users, user: str) -> None:
    own = {"audit": {topology.STORE}, "session": {topology.NOTICES}}.get(user, set())
    queues = {topology.STORE, topology.NOTICES, topology.DEAD, topology.UNROUTED}

    readable = {queue for queue in queues if users.may(user, reading(queue))}

    assert readable == own


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_makes_and_removes_nothing(users: Users, service: str) -> None:
    for act in (
        lambda c: c.queue_declare(queue="mine", durable=True),
        lambda c: c.queue_delete(queue=topology.STORE),
        lambda c: c.queue_purge(queue=topology.DEAD),
        lambda c: c.exchange_delete(exchange=topology.EVENTS),
        lambda c: c.queue_bind(topology.STORE, topology.EVENTS, routing_key="mfa.x.y"),
    ):
        assert not users.may(service, act)


def test_a_consumer_has_queues_of_its_own_bound_to_all_events(users: Users) -> None:
    def own(channel: Any) -> None:
        channel.queue_declare(queue="siem.all", durable=True, auto_delete=False)
        channel.queue_bind(queue="siem.all", exchange=topology.EVENTS, routing_key="mfa.#")

    assert users.may("siem", own)
    assert may_publish(users, "totp", "mfa.totp.failed")
    assert trail.waiting(users.url, "siem.all") == 1
    assert not users.may("siem", lambda c: c.queue_declare(queue="siemens", durable=True))
    assert not users.may("siem", lambda c: c.queue_delete(queue=topology.STORE))


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_needs_no_more_than_its_own_user_may(
    users: Users, example: str, tmp_path: Path
) -> None:
    keys = tmp_path / "events.json"
    keys.write_text(trail.PUBLIC_KEYS_TEXT)
    with running(example, users.url_of("siem"), keys) as output:
        await_bound(users.url, output)


async def test_the_ledger_is_fed_by_a_user_who_may_do_nothing_else(
    users: Users, sqlite_url: str
) -> None:
    """D5: a worker as it runs, with the rights that it has in production."""
    migrate(sqlite_url, "services.audit.migrations")
    db = Database(sqlite_url, source="audit")
    environment = {"BROKER_URL": users.url_of("audit"), "AUDIT_DATABASE_URL": sqlite_url}
    await asyncio.to_thread(may_publish, users, "totp", "mfa.totp.failed")

    async def emptied() -> bool:
        return await asyncio.to_thread(trail.waiting, users.url, topology.STORE) == 0

    with processes.running("ledger", **environment):
        await eventually(emptied)
    await db.close()
