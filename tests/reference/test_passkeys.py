"""Keys prove people at logins, again and alone as in django-allauth."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio

from tests.journeys.client import ORIGIN
from tests.journeys.suite import InProcess, in_process
from tests.reference.conftest import Peer
from tests.reference.differences import DIFFERENCES, Difference, steps, with_a_new_token
from tests.reference.journey import Seen
from tests.reference.passkeys import passkeys_journey
from tests.reference.test_keys import TYPES, with_more_of_keys, with_our_options
from tests.reference.test_reference import Ours, assert_alike, assert_shows

pytestmark = pytest.mark.long

ALWAYS = tuple(difference for difference in DIFFERENCES if not difference.steps)
ALONE = ("give a passkey", "give a passkey halfway")


def with_our_request(seen: Seen) -> Seen:
    """Ask for another site's keys, and say how long, and how they were reached before."""
    data = (seen.body or {}).get("data")
    if not isinstance(data, dict) or "request_options" not in data:
        return seen
    asked = data["request_options"]["publicKey"]
    allowed = [{**one, "transports": ["internal"]} for one in asked["allowCredentials"]]
    ours = {"rpId": "localhost", "timeout": 300000, "allowCredentials": allowed}
    changed = {"request_options": {"publicKey": {**asked, **ours}}}
    return replace(seen, body={**(seen.body or {}), "data": changed})


def with_signal(seen: Seen) -> Seen:
    """Tell the page what to tell its browser, when it has logged somebody in."""
    body = seen.body or {}
    return replace(seen, body={**body, "meta": {**body["meta"], "signal": "<signal>"}})


def misfit(seen: Seen) -> Seen:
    """Say that it does not fit."""
    return replace(seen, status=409, body={"status": 409}, token=False)


def only_the_passkey(seen: Seen) -> Seen:
    """Drop the proof of the login that was replaced."""
    body = seen.body or {}
    methods = [method for method in body["data"]["methods"] if method["method"] == "mfa"]
    return replace(seen, body={**body, "data": {**body["data"], "methods": methods}})


ONLY_HERE = (
    Difference("The options say more, and are for our site and algorithms.", with_our_options),
    Difference("What is known of a key is our extension.", with_more_of_keys),
    Difference("What is asked for says more, and is for our site.", with_our_request),
    Difference("`meta.signal` is our extension.", with_signal, steps("add", *ALONE)),
    Difference(
        "A pending login that is replaced drops what it had proved.",
        only_the_passkey,
        steps("give a passkey halfway", "logged in from halfway"),
    ),
    Difference(
        "Whenever a proof begins another login, the session gets a new token.",
        with_a_new_token,
        steps("log in by password then"),
    ),
    Difference(
        "Nobody logs in who is logged in, as with a password.",
        misfit,
        steps("log in while logged in"),
    ),
)


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with in_process(
        tmp_path,
        mfa_supported_types=TYPES,
        mfa_passkey_login_enabled=True,
        mfa_passkey_signup_enabled=True,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def theirs(peer: Peer) -> dict[str, list[Seen]]:
    """What django-allauth answers to each kind of client."""
    return peer("passkeys")


@pytest.mark.parametrize("kind", ["app", "browser"])
async def test_keys_prove_as_with_the_peer(
    suite: InProcess, kind: str, theirs: dict[str, list[Seen]]
) -> None:
    """W7.2: who is asked and answered what, in which order, and what is skipped."""
    ours = await Ours(suite, kind).drive(passkeys_journey(ORIGIN))

    told = [with_signal_hidden(seen) for seen in ours]
    assert_alike(theirs[kind], told, (*ALWAYS, *ONLY_HERE))


@pytest.mark.parametrize("difference", ONLY_HERE, ids=lambda difference: difference.why)
def test_every_difference_shows(difference: Difference, theirs: dict[str, list[Seen]]) -> None:
    assert_shows(difference, theirs)


def with_signal_hidden(seen: Seen) -> Seen:
    """Show that something is told, and not what."""
    body = seen.body or {}
    meta = body.get("meta", {})
    if "signal" not in meta:
        return seen
    return replace(seen, body={**body, "meta": {**meta, "signal": "<signal>"}})
