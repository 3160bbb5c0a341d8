"""Takes events off one queue of the bus and has them written, in batches and at least once.

How that is done depends on the broker, and is all that depends on it: `queue` consumes from
RabbitMQ through Celery's connection, `tail` reads the list that a redis transport has for a queue.
Both tell good events from others in `sorting`, and have them written by `writing`.
"""

from celery import Celery
from kombu import Queue

from shared.auth import PublicKeys
from shared.bus.topology import speaks_amqp
from shared.bus.wire import EventVerifier
from shared.errors import ConfigurationError
from shared.intake.measures import Measures
from shared.intake.queue import Intake, intake_step
from shared.intake.sorting import Sorter
from shared.intake.tail import Tail
from shared.intake.writing import Enter, Writer
from shared.worker import background

__all__ = ["Enter", "Measures", "take_in"]


def take_in(
    app: Celery,
    url: str,
    queue: Queue,
    *,
    keys: PublicKeys | None,
    enter: Enter,
    measures: Measures,
) -> None:
    """Have the worker of `app` take what comes into `queue`, which is declared, to `enter`.

    `keys` are those of EVENT_KEYS. Raises ConfigurationError if it is not set: the settings are
    those of the service's API too, which has no need of it.
    """
    if keys is None:
        raise ConfigurationError(["EVENT_KEYS is not set, and the worker believes no event then."])
    work = background(app)
    sorter, writer = Sorter(EventVerifier(keys), measures), Writer(enter, measures)
    if speaks_amqp(url):
        app.steps["consumer"].add(intake_step(Intake(queue, sorter, writer, work)))
    else:
        work.forever(Tail(url, queue.name, sorter, writer).run, measures.name)
