"""Events as logins state them, of many people."""

from collections.abc import Sequence

from shared.context import Context
from tests.trail import Happened, signed

PEOPLE = 500

CONTEXT = Context(
    request_id="0af7651916cd43dd8448eb211c80319c",
    address="192.0.2.17",
    user_agent="Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    session="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    client="browser",
    amr="pwd otp",
)


def fact(number: int) -> Happened:
    """Return an event as a handler states it."""
    return Happened(user_id=person(number), number=number)


def bodies(numbers: Sequence[int]) -> list[tuple[str, bytes]]:
    """Return events as they are on the wire, each with its id."""
    context = {name: value for name, value in vars(CONTEXT).items() if value is not None}
    return [
        (
            f"raw-{number}",
            signed(number, id=f"raw-{number}", subject=person(number), context=context),
        )
        for number in numbers
    ]


def person(number: int) -> str:
    """Return whom the event of this number is about."""
    return f"person-{number % PEOPLE}"
