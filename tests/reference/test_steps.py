"""How much is compared with django-allauth: every step of every journey, by both clients."""

import re
from typing import Any

import pytest

from tests.contract.peer import document
from tests.reference.calls import CALLS, moves
from tests.reference.conftest import Peer
from tests.reference.journey import Ask
from tests.reference.peer import JOURNEYS, SETTINGS

TIMEOUT = 900  # seconds: whoever asks first has all journeys driven
ELSEWHERE = re.compile("provider|phone|tokens/")
STEPS = 250
CLIENTS = 2
FIRST_STEPS = 2342
ALL_STEPS = 11456
"""How many are compared at first, and in all, by both clients. There may be more, and not fewer."""
FIRST = ("whole", "beginnings")
"""The journeys that are not long: the rest is gone on by `make test-long`."""
CONFIGURATIONS = ("usernames", "both names", "made-up names", "emails by code", "emails by link")
"""Some that go on whatever is answered, so that their steps can be counted without a server."""


class Anything(dict[str, Any]):
    """An answer that has every member, so that a journey goes on whatever it looks for."""

    def __missing__(self, key: object) -> "Anything":
        return Anything()


def asked(name: str) -> list[str]:
    """Return the names of the steps of a journey."""
    steps, seen = JOURNEYS[name](), []
    wish = next(steps)
    while True:
        if isinstance(wish, Ask):
            seen.append(wish.name)
        try:
            wish = steps.send(Anything())
        except StopIteration:
            return seen


def test_at_least_250_steps_are_compared_by_both_clients_in_several_configurations() -> None:
    counted = {name: asked(name) for name in CONFIGURATIONS}

    assert len({repr(SETTINGS[name]) for name in CONFIGURATIONS}) >= 3
    assert all(len(steps) == len(set(steps)) for steps in counted.values())
    assert CLIENTS * sum(map(len, counted.values())) >= 3 * STEPS


@pytest.mark.timeout(TIMEOUT)
@pytest.mark.parametrize(
    ("journeys", "least"),
    [
        pytest.param(FIRST, FIRST_STEPS, id="at first"),
        pytest.param(tuple(JOURNEYS), ALL_STEPS, id="in all", marks=pytest.mark.long),
    ],
)
def test_no_fewer_steps_are_compared_than_ever(
    peer: Peer, journeys: tuple[str, ...], least: int
) -> None:
    """Each by its name, which says in which state what was asked."""
    counted = {(name, kind): seen for name in journeys for kind, seen in peer(name).items()}

    assert all(len({step.name for step in seen}) == len(seen) for seen in counted.values())
    assert sum(map(len, counted.values())) >= least
    assert {kind for _, kind in counted} == {"app", "browser"}


def test_every_operation_is_asked_for_in_every_state() -> None:
    """But for what needs others: third-party providers, telephones, and tokens by themselves."""
    known = {
        f"{method.upper()} {path.partition('/v1/')[2]}"
        for path, methods in document().root["paths"].items()
        for method in methods
        if method != "parameters"
    }
    asked = {call.operation for call in (*CALLS, *moves("new@example.org", "a", "b"))}

    assert {operation for operation in known - asked if not ELSEWHERE.search(operation)} == set()
    assert asked <= known
