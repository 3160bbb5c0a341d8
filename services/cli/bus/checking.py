"""What is on the broker, against what should be: one plain sentence for each difference."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from amqp.exceptions import AccessRefused, NotFound, PreconditionFailed
from kombu import Exchange, Queue

from services.cli.bus.management import Management
from services.cli.bus.users import service_rights
from services.suite import SERVICES
from shared.bus import topology

ALL_EVENTS = "#"


def differences(url: str, notices: Iterable[str]) -> Iterator[str]:
    """Yield what can be seen by the broker's own protocol. The broker is asked, not changed."""
    queues = topology.every_queue(url, notices)
    if not topology.speaks_amqp(url):
        yield from _of_lists(url, queues)
        return
    with topology.connection(url) as broker:
        exchanges = {
            bound.exchange.name: bound.exchange
            for queue in queues
            for bound in queue.bindings
            if bound.exchange is not None
        }
        for name, exchange in exchanges.items():
            yield from _of(broker, f"exchange {name}", _asking_exchange(exchange))
        for queue in queues:
            yield from _of(broker, f"queue {queue.name}", _asking_queue(queue))
        yield from _unrouted(broker)


def managed_differences(management: Management, notices: Iterable[str]) -> Iterator[str]:
    """Yield what RabbitMQ's management says besides: of bindings and of users."""
    there = management.bindings()
    yield from _of_bindings(expected_bindings(notices, stream=True), there)
    rights = management.rights()
    for name in SERVICES:
        if name not in rights:
            yield f"There is no user {name} with rights here; `countersign bus users` makes it."
        elif rights[name] != service_rights(name):
            yield f"The user {name} has other rights than it should; see `countersign bus users`."


def expected_bindings(notices: Iterable[str], *, stream: bool) -> set[tuple[str, str]]:
    """Return our queues, each with what it is bound to."""
    everything = (topology.STORE, topology.STREAM) if stream else (topology.STORE,)
    return {
        *((queue, ALL_EVENTS) for queue in everything),
        *((topology.NOTICES, kind) for kind in notices),
    }


def _of_bindings(wanted: set[tuple[str, str]], there: set[tuple[str, str]]) -> Iterator[str]:
    """Yield what our queues miss, and what they get beyond; those of others are theirs."""
    ours = {queue for queue, _ in wanted}
    for queue, key in sorted(wanted - there):
        yield f"The queue {queue} is not bound to {key}; `countersign bus declare` does that."
    for queue, key in sorted(bound for bound in there - wanted if bound[0] in ours):
        yield f"The queue {queue} is bound to {key} as well, which nobody expects there."


def _of_lists(url: str, queues: Iterable[Queue]) -> Iterator[str]:
    wanted = {
        (queue.name, binding.routing_key)
        for queue in queues
        if queue.name != topology.DEAD
        for binding in queue.bindings
    }
    with topology.connection(url) as broker:
        channel: Any = broker.channel()
        table = channel.get_table(topology.EVENTS)
    yield from _of_bindings(wanted, {(queue, key) for key, _, queue in table})


def _of(broker: Any, what: str, ask: Callable[[Any, bool], object]) -> Iterator[str]:
    """Yield what is wrong with one exchange or queue.

    It is asked for first, and only what is there is declared again, which RabbitMQ refuses if it
    is anything else.
    """
    for passive in (True, False):
        channel = broker.channel()  # a refusal closes it
        try:
            ask(channel, passive)
        except NotFound:
            yield f"There is no {what}; `countersign bus declare` makes it."
            return
        except PreconditionFailed as error:
            yield f"The {what} is not as it should be: {topology.reply_of(error)}."
        except AccessRefused:
            yield f"The user of BROKER_URL may not ask for the {what}."
            return
        else:
            channel.close()


def _asking_exchange(exchange: Exchange) -> Callable[[Any, bool], object]:
    return lambda channel, passive: exchange(channel).declare(passive=passive)


def _asking_queue(queue: Queue) -> Callable[[Any, bool], object]:
    return lambda channel, passive: queue(channel).queue_declare(passive=passive)


def _unrouted(broker: Any) -> Iterator[str]:
    channel = broker.channel()
    try:
        count = channel.queue_declare(topology.UNROUTED, passive=True).message_count
    except NotFound:
        return
    if count:
        yield f"The queue {topology.UNROUTED} has {count} messages: no queue was bound to them."
