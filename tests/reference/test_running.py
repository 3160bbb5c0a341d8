"""What people run answers as django-allauth does: embedded and split, over HTTP, step by step."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from services.suite import SERVICES
from tests import servers
from tests.reference import (
    test_emails,
    test_keys,
    test_login_codes,
    test_passkeys,
    test_password_resets,
    test_tokens,
)
from tests.reference.conftest import KINDS, Peer
from tests.reference.differences import DIFFERENCES, Difference, steps
from tests.reference.journey import Seen
from tests.reference.running import TurnedSuite, reached, turned_suite
from tests.reference.test_passkeys import with_signal_hidden
from tests.reference.test_reference import Ours, assert_alike, assert_shows
from tests.reference.together import PARTS, taken_on
from tests.suite.processes import processes

pytestmark = pytest.mark.long

TIMEOUT = 900  # seconds: a journey waits for dozens of mails, beside whatever else is running
STEPS = 812
"""By one client, in one suite. There may be more, and not fewer."""
ALWAYS = tuple(difference for difference in DIFFERENCES if not difference.steps)
ENV = {
    "HEADLESS_TOKEN_STRATEGY": "jwt",
    "MFA_TRUST_ENABLED": "false",
    "ACCOUNT_EMAIL_VERIFICATION_BY_CODE_MAX_ATTEMPTS": "5",
    "ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_RESEND": "true",
    "ACCOUNT_EMAIL_VERIFICATION_SUPPORTS_CHANGE": "true",
    "ACCOUNT_MAX_EMAIL_ADDRESSES": "3",
}
"""What is set beyond deploy/development.env, which offers whatever journeys go through."""


def with_new_tokens(seen: Seen) -> Seen:
    """Tell new tokens with a new session token."""
    body = seen.body or {}
    if "session_token" not in body.get("meta", {}):
        return seen
    given = dict.fromkeys(("access_token", "refresh_token"), "given")
    return replace(seen, body={**body, "meta": {**body["meta"], **given}})


CHANGED = Difference(
    "A change of the password gives the session that it is made in new tokens.",
    with_new_tokens,
    steps(
        *(
            f"change the password{how} {when} TOTP"
            for how in (" to the same", "", " back")
            for when in ("without", "with")
        ),
    ),
)
OTHERWISE: dict[str, Sequence[Difference]] = {
    "whole": (*DIFFERENCES, CHANGED),
    "keys": test_keys.ONLY_HERE,
    "passkeys": test_passkeys.ONLY_HERE,
    "emails by code": test_emails.WAYS[0].differences,
    "login codes": test_login_codes.BY_CODES,
    "resets by code": test_password_resets.COMMON,
    "tokens": test_tokens.ONLY_HERE,
}
"""How answers differ on each journey: as they do in one process; there, people have no tokens."""
EMBEDDED = {"serve " + " ".join(SERVICES), "worker " + " ".join(SERVICES), "broker"}
SPLIT = {f"{what} {name}" for what in ("serve", "worker") for name in SERVICES} | {"broker"}


@pytest.fixture(scope="module", params=[False, True], ids=["embedded", "split"])
def suite(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[TurnedSuite]:
    """A suite as people run it: split it is on PostgreSQL, where that answers."""
    split: bool = request.param
    env = ENV | (_on_postgresql(request) if split else {})
    directory = tmp_path_factory.mktemp("split" if split else "embedded")
    with turned_suite(directory, split=split, env=env) as running:
        assert set(processes(running.processes)) == (SPLIT if split else EMBEDDED)
        yield running


@pytest.mark.timeout(TIMEOUT)
@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("kind", KINDS)
async def test_every_answer_of_a_running_suite_is_that_of_the_peer(
    suite: TurnedSuite, kind: str, part: str, peer: Peer
) -> None:
    async with reached(suite) as ours:
        seen = await Ours(ours, kind).drive(PARTS[part](suite.processes.base_url))

    told = [with_signal_hidden(step) for step in seen]
    theirs = taken_on(part, peer("together")[kind])
    assert_alike(theirs, told, (*ALWAYS, *OTHERWISE[part]))


@pytest.mark.parametrize("kind", KINDS)
def test_no_fewer_steps_are_compared_with_each_running_suite_than_ever(
    kind: str, peer: Peer
) -> None:
    """Each step of these is compared with each suite, or the test above fails."""
    seen = peer("together")[kind]
    counted = {part: len(taken_on(part, seen)) for part in PARTS}

    assert sum(counted.values()) == len(seen) == len({step.name for step in seen})
    assert len(seen) >= STEPS


def test_tokens_after_a_change_of_the_password_are_a_difference_that_shows(peer: Peer) -> None:
    told = {kind: taken_on("whole", seen) for kind, seen in peer("together").items()}

    assert_shows(CHANGED, told)


def _on_postgresql(request: pytest.FixtureRequest) -> dict[str, str]:
    if not servers.answers("PostgreSQL"):
        return {}
    database: str = request.getfixturevalue("postgresql_database")
    schemas = {name: servers.postgresql_schema(database) for name in SERVICES}
    return {f"{name.upper()}_DATABASE_URL": url for name, url in schemas.items()}
