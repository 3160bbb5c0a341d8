"""Journeys one after the other, on one system that is set up for all of them.

A suite of processes takes longer to start than any journey takes: so those that go through one are
set up alike. Each begins as if there had been none before.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace

from tests.reference.emails import code_journey
from tests.reference.journey import Ask, Journey, MailedCode, Seen, StartOver, journey
from tests.reference.keys import keys_journey
from tests.reference.login_codes import login_codes_journey
from tests.reference.passkeys import passkeys_journey
from tests.reference.password_resets import resets_journey
from tests.reference.tokens import tokens_journey

PARTS: Mapping[str, Callable[[str], Journey]] = {
    "whole": lambda _: journey(),
    "keys": keys_journey,
    "passkeys": passkeys_journey,
    "emails by code": lambda _: code_journey(),
    "login codes": lambda _: login_codes_journey(),
    "resets by code": lambda _: resets_journey(MailedCode, logs_in=False),
    "tokens": lambda _: tokens_journey(),
}
"""What makes each journey, as the page of an origin."""


def together(origin: str) -> Journey:
    """Go on all of the journeys; a step's name says on which it is taken."""
    for part, make in PARTS.items():
        yield StartOver()
        yield from _named(part, make(origin))


def taken_on(part: str, seen: Iterable[Seen]) -> list[Seen]:
    """Return what was seen on one of the journeys, by the names that steps have on it."""
    own = _name(part, "")
    steps = [step for step in seen if step.name.startswith(own)]
    return [replace(step, name=step.name.removeprefix(own)) for step in steps]


def _named(part: str, steps: Journey) -> Journey:
    wish = next(steps)
    while True:
        if isinstance(wish, Ask):
            wish = replace(wish, name=_name(part, wish.name))
        try:
            wish = steps.send((yield wish))
        except StopIteration:
            return


def _name(part: str, step: str) -> str:
    return f"{part} / {step}"
