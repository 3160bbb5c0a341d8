"""In every state of a session every call is answered as by django-allauth."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.journeys.client import ORIGIN
from tests.journeys.suite import InProcess
from tests.reference.conftest import Peer
from tests.reference.differences import (
    DIFFERENCES,
    Change,
    Difference,
    current_first,
    in_shape,
    reauthentication_first,
    steps,
    with_a_new_token,
    with_codes_generated,
)
from tests.reference.journey import Journey, Seen
from tests.reference.stages import beginnings, links, required_codes, second_steps
from tests.reference.test_keys import (
    TYPES,
    proved_by_the_passkey,
    with_more_of_keys,
    with_our_options,
)
from tests.reference.test_passkeys import misfit, with_our_request, with_signal, with_signal_hidden
from tests.reference.test_reference import Ours, assert_alike, assert_shows

TIMEOUT = 900  # seconds: a test asks for a thousand answers, beside whatever else is running
UNLIMITED: dict[str, Any] = {
    "account_rate_limits": False,
    "mfa_rate_limits": '{"webauthn_login": null, "webauthn_options": null}',
}
EVERYTHING: dict[str, Any] = {
    **UNLIMITED,
    "mfa_supported_types": TYPES,
    "mfa_passkey_login_enabled": True,
    "mfa_passkey_signup_enabled": True,
    "mfa_trust_enabled": True,
    "account_login_by_code_enabled": True,
    "account_login_by_code_supports_resend": True,
    "account_password_reset_by_code_enabled": True,
    "account_email_verification_supports_resend": True,
    "account_email_verification_supports_change": True,
}
PAGES = (
    '{"account_confirm_email": "https://testserver/{key}",'
    ' "account_reset_password_from_key": "https://testserver/{key}"}'
)
BY_LINK: dict[str, Any] = {
    **UNLIMITED,
    "account_email_verification_by_code_enabled": False,
    "account_reauthentication_required": True,
    "headless_frontend_urls": PAGES,
}


ALWAYS = tuple(difference for difference in DIFFERENCES if not difference.steps)


def where(change: Change, *endings: str, status: int) -> Change:
    """Make a change where an answer has that status, and the name of its step ends like that."""

    def changed(seen: Seen) -> Seen:
        fits = seen.status == status and seen.name.endswith(endings)
        return change(seen) if fits else seen

    return changed


def without_a_passkey_to_keep(seen: Seen) -> Seen:
    """Say that it does not fit, whatever is wrong with what was given."""
    if not seen.name.endswith(PUTS) or seen.status not in (400, 500):
        return seen
    return replace(misfit(seen), no_store=True)


def without_another_login(seen: Seen) -> Seen:
    """Say that it does not fit, to who is logged in: an app is not asked about trust."""
    state, _, operation = seen.name.partition(": ")
    logged_in = state.startswith("logged in") or (state.startswith("asked") and not seen.holds)
    return misfit(seen) if logged_in and operation == "POST auth/login" else seen


def with_signal_in_list(seen: Seen) -> Seen:
    """Tell the page what to tell its browser, where a list of authenticators has none."""
    return replace(seen, body={**(seen.body or {}), "meta": {"signal": "<signal>"}})


PUTS = ("PUT auth/webauthn/signup", "PUT auth/webauthn/signup, with nothing")
OPTIONS = Difference("The options say more, and are for our site and algorithms.", with_our_options)
KNOWN = Difference("What is known of a key is our extension.", with_more_of_keys)
ASKED = Difference("What is asked for says more, and is for our site.", with_our_request)
ADDED = Difference("`meta.signal` is our extension.", with_signal, steps("add Kim's"))
ACTIVATED = Difference(
    "That recovery codes were made is told as the document has it, with TOTP too.",
    with_codes_generated,
    steps("activate Ada's"),
)
NEW_TOKEN = Difference(
    "Every step of a login has a new token, and so has whatever begins another.",
    where(
        with_a_new_token,
        "POST auth/signup, as somebody new",
        "POST auth/webauthn/signup, as somebody new",
        "POST auth/code/request, as somebody else",
        "POST auth/login, as somebody else",
        ": verify",
        ": confirm",
        status=401,
    ),
)
NOT_OWED = Difference(
    "Nothing is judged that was made as the passkey of a sign-up where none is owed.",
    without_a_passkey_to_keep,
)
NO_LOGIN = Difference(
    "No password is judged of who is logged in: it does not fit, whether it is right or wrong.",
    without_another_login,
)
PROVED_FIRST = Difference(
    "No code is judged before the person has proved themselves again: guesses need that too.",
    where(reauthentication_first, ": POST account/authenticators/totp", status=400),
)
CURRENT_FIRST = Difference(
    "The session that asks is listed first, then the others, the newest first.",
    where(current_first, "GET auth/sessions", status=200),
)
NOT_THERE = Difference("What is not there is told in the shape of everything else.", in_shape())
IN_EVERY_LOGIN = (
    ACTIVATED,
    NEW_TOKEN,
    NOT_OWED,
    NO_LOGIN,
    CURRENT_FIRST,
    NOT_THERE,
    PROVED_FIRST,
)
"""How answers differ wherever people log in by what is typed."""


@dataclass(frozen=True)
class Way:
    """A journey, what is set on it, and how its answers differ."""

    name: str
    steps: Callable[[str], Journey]
    settings: dict[str, Any]
    differences: tuple[Difference, ...] = ()

    def journey(self) -> Journey:
        """Return the journey from its beginning."""
        return self.steps(ORIGIN)


WAYS = [
    Way(
        "beginnings",
        beginnings,
        EVERYTHING,
        (OPTIONS, KNOWN, ASKED, ADDED, ACTIVATED, NEW_TOKEN, NOT_OWED, NOT_THERE),
    ),
    Way(
        "second steps",
        second_steps,
        EVERYTHING,
        (
            OPTIONS,
            KNOWN,
            ASKED,
            ADDED,
            Difference(
                "`meta.signal` is told whenever a passkey has logged somebody in.",
                where(with_signal, ": passkey", status=200),
            ),
            Difference(
                "`meta.signal` is told wherever there are keys.",
                where(
                    with_signal_in_list,
                    "by a key: GET account/authenticators",
                    "alone: GET account/authenticators",
                    status=200,
                ),
            ),
            Difference(
                "The passkey of a sign-up is the proof of its session, as when it logs in.",
                proved_by_the_passkey,
                steps("keep Eve's"),
            ),
            *IN_EVERY_LOGIN,
        ),
    ),
    Way(
        "stages with required codes",
        required_codes,
        {
            **EVERYTHING,
            "account_login_by_code_required": True,
            "account_login_by_code_trust_enabled": True,
        },
        (
            OPTIONS,
            KNOWN,
            ASKED,
            ADDED,
            *IN_EVERY_LOGIN,
        ),
    ),
    Way(
        "stages with links",
        links,
        BY_LINK,
        (ACTIVATED, NEW_TOKEN, NO_LOGIN, CURRENT_FIRST, NOT_THERE, PROVED_FIRST),
    ),
]


@pytest.fixture(
    params=[WAYS[0], *(pytest.param(way, marks=pytest.mark.long) for way in WAYS[1:])],
    ids=lambda way: way.name,
)
def way(request: pytest.FixtureRequest) -> Way:
    """One of the journeys."""
    found: Way = request.param
    return found


@pytest.mark.timeout(TIMEOUT)
@pytest.mark.parametrize("kind", ["app", "browser"])
async def test_every_call_is_answered_in_every_state_as_by_the_peer(
    suite: InProcess, kind: str, way: Way, peer: Peer
) -> None:
    """O2: what belongs to another stage, or to who is logged in, is refused by both."""
    ours = await Ours(suite, kind).drive(way.journey())

    told = [with_signal_hidden(seen) for seen in ours]
    assert_alike(peer(way.name)[kind], told, (*ALWAYS, *way.differences))


@pytest.mark.timeout(TIMEOUT)
def test_every_difference_shows(way: Way, peer: Peer) -> None:
    for difference in way.differences:
        assert_shows(difference, peer(way.name))
