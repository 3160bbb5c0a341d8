"""kombu's serializer `cloudevents`, with which a Celery task's argument is the event."""

from kombu.serialization import register

from countersign_events.wire import CONTENT_TYPE, Json, canonical, parse

NAME = "cloudevents"


def register_serializer() -> None:
    """Teach kombu, and so Celery, the serializer `cloudevents`; to be repeated at will.

    Celery has to be told to accept it besides: `accept_content=["cloudevents"]`. Consumers that
    read messages without Celery take the body as it is.
    """
    register(NAME, _as_text, _as_task_arguments, CONTENT_TYPE, "utf-8")


def _as_text(event: Json) -> str:
    return canonical(event).decode()


def _as_task_arguments(body: str | bytes) -> tuple[list[Json], dict[str, Json], dict[str, Json]]:
    """Return what Celery's protocol 2 has in a body: arguments, named arguments, and links.

    A body that is no JSON object raises, which kombu tells as a message that cannot be decoded.
    """
    return [parse(body.encode() if isinstance(body, str) else bytes(body))], {}, {}
