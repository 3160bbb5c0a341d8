"""Keys are added, named and removed as in django-allauth, and people sign up by passkey."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.journeys.client import ORIGIN
from tests.journeys.suite import InProcess, in_process
from tests.reference.conftest import Peer
from tests.reference.differences import (
    DIFFERENCES,
    Difference,
    reauthentication_first,
    steps,
    with_a_new_token,
)
from tests.reference.journey import Json, Seen
from tests.reference.keys import keys_journey
from tests.reference.test_reference import (
    Ours,
    assert_alike,
    assert_shows,
)

pytestmark = pytest.mark.long

TYPES = ("recovery_codes", "totp", "webauthn")
NAMES = {"Backup key": "Passkey", "Key nr. 3": "Security key"}
OURS = {
    "rp": {"name": "Countersign", "id": "<id>"},
    "pubKeyCredParams": [{"type": "public-key", "alg": alg} for alg in (-7, -8, -257)],
    "timeout": 300000,
    "attestation": "none",
}


def with_our_options(seen: Seen) -> Seen:
    """Show another site, the algorithms that are taken, and what is only implied by the peer."""
    data = (seen.body or {}).get("data")
    if not isinstance(data, dict) or "creation_options" not in data:
        return seen
    asked = data["creation_options"]["publicKey"]
    user = {**asked["user"], "displayName": asked["user"]["name"]}
    known = [{**one, "transports": ["internal"]} for one in asked["excludeCredentials"]]
    changed = {**asked, **OURS, "user": user, "excludeCredentials": known}
    return _with(seen, data={"creation_options": {"publicKey": changed}})


def with_more_of_keys(seen: Seen) -> Seen:
    """Tell of every key what is known of it."""
    return _with_keys(
        seen,
        lambda key: {
            **key,
            "transports": ["internal"],
            "backup_eligible": False,
            "backed_up": False,
            "serves_alone": key.get("is_passwordless", False),
        },
    )


def with_our_names(seen: Seen) -> Seen:
    """Call what has no name by what it is."""
    return _with_keys(seen, lambda key: {**key, "name": NAMES.get(key["name"], key["name"])})


def with_signal(seen: Seen) -> Seen:
    """Tell the page what to tell its browser, wherever there are keys."""
    body = seen.body or {}
    data = body.get("data")
    listed = data if isinstance(data, list) else [data]
    removed = seen.name in ("remove one", "remove several")
    if not removed and not any(_is_key(entry) for entry in listed):
        return seen
    return _with(seen, meta={**body.get("meta", {}), "signal": "<signal>"})


def proved_by_the_passkey(seen: Seen) -> Seen:
    """Tell of the passkey among what the person has proved themselves by."""
    data = (seen.body or {})["data"]
    passkey = {"method": "mfa", "at": 0.0, "id": "<id>", "type": "webauthn", "passwordless": True}
    return _with(seen, data={**data, "methods": [*data["methods"], passkey]})


def with_nothing_set(seen: Seen) -> Seen:
    """Ask for a proof first: the session keeps its token."""
    return replace(reauthentication_first(seen), token=False)


def _with_keys(seen: Seen, change: Any) -> Seen:
    data = (seen.body or {}).get("data")
    if isinstance(data, list):
        return _with(seen, data=[change(e) if _is_key(e) else e for e in data])
    return _with(seen, data=change(data)) if _is_key(data) else seen


def _with(seen: Seen, **members: Any) -> Seen:
    return replace(seen, body={**(seen.body or {}), **members})


def _is_key(entry: Any) -> bool:
    return isinstance(entry, dict) and entry.get("type") == "webauthn"


ALWAYS = tuple(difference for difference in DIFFERENCES if not difference.steps)
ONLY_HERE = (
    Difference("The options say more, and are for our site and algorithms.", with_our_options),
    Difference("What is known of a key is our extension.", with_more_of_keys),
    Difference("A key without a name is called by what it is, or by its make.", with_our_names),
    Difference("`meta.signal` is our extension.", with_signal),
    Difference(
        "A session gets a new token whenever its login moves on.",
        with_a_new_token,
        steps("verify the new one"),
    ),
    Difference(
        "The passkey of a sign-up is the proof of its session, as when it logs in.",
        proved_by_the_passkey,
        steps("keep the passkey", "logged in"),
    ),
    Difference(
        "A first password takes a fresh proof of the passkey that is there.",
        with_nothing_set,
        steps("set a password"),
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
    return peer("keys")


@pytest.mark.parametrize("kind", ["app", "browser"])
async def test_keys_are_as_with_the_peer(
    suite: InProcess, kind: str, theirs: dict[str, list[Seen]]
) -> None:
    ours = await Ours(suite, kind).drive(keys_journey(ORIGIN))

    told = [_with_signal_hidden(seen) for seen in ours]
    assert_alike(theirs[kind], told, (*ALWAYS, *ONLY_HERE))


@pytest.mark.parametrize("difference", ONLY_HERE, ids=lambda difference: difference.why)
def test_every_difference_shows(difference: Difference, theirs: dict[str, list[Seen]]) -> None:
    assert_shows(difference, theirs)


def _with_signal_hidden(seen: Seen) -> Seen:
    meta: Json = (seen.body or {}).get("meta", {})
    return _with(seen, meta={**meta, "signal": "<signal>"}) if "signal" in meta else seen
