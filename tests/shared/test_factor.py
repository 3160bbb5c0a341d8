"""What session believes a factor, and what it does not."""

import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.auth import Caller, PrivateKey
from shared.errors import Unavailable
from shared.factor import (
    Attempt,
    Authenticator,
    BeginChallenge,
    BeginEnrolment,
    CompleteEnrolment,
    Enrolled,
    EnrolmentOffer,
    EnrolmentResult,
    FactorClient,
    Purpose,
    Rename,
    Revealed,
)
from shared.http import connect

KEY = PrivateKey(id="session-1", issuer="session", key=Ed25519PrivateKey.generate())
AUTHENTICATOR = {"id": "a1", "type": "some", "created_at": 1.0}
YES = {"accepted": True, "user_id": "ada", "authenticator_id": "a1", "amr": ["otp"], "facts": {}}


def factor(answer: object, heard: list[httpx.Request] | None = None) -> FactorClient:
    """Return a client of a factor that always answers so, and notes in `heard` what it hears."""
    content = answer if isinstance(answer, bytes) else None

    def reply(request: httpx.Request) -> httpx.Response:
        if heard is not None:
            heard.append(request)
        return httpx.Response(200, content=content, json=None if content else answer)

    http = connect(
        "http://factor",
        caller=Caller(KEY),
        audience="factor",
        transport=httpx.MockTransport(reply),
        timeout=timedelta(seconds=1),
    )
    return FactorClient(http)


async def verify(client: FactorClient) -> Any:
    return await client.verify(
        "ada",
        authenticators=["a1"],
        proof={"code": "1"},
        session_id="s1",
        purpose=Purpose.AUTHENTICATE,
    )


async def verify_anybody(client: FactorClient) -> Any:
    return await client.verify_anybody(
        proof={"assertion": "1"}, session_id="s1", purpose=Purpose.LOGIN
    )


async def test_a_good_answer_is_believed() -> None:
    verification = await verify(factor(YES))

    assert (verification.accepted, verification.authenticator_id) == (True, "a1")


async def test_members_of_a_later_version_are_ignored() -> None:
    assert (await verify(factor(YES | {"new": 1}))).accepted


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"true",
        b"[]",
        b"{",
        b"\xff",
        {},
        {"accepted": "true"},
        {"accepted": 1},
        {"accepted": None},
        {"accepted": True},
        YES | {"user_id": "eve"},
        YES | {"user_id": None},
        YES | {"authenticator_id": "a2"},
        YES | {"authenticator_id": None},
        YES | {"amr": "otp"},
        YES | {"amr": [1]},
        YES | {"changed": None},
        YES | {"changed": ["unused"]},
    ],
)
async def test_an_answer_that_makes_no_sense_accepts_nothing(answer: object) -> None:
    """O4, O5: no answer but a whole and fitting one is a yes."""
    with pytest.raises(Unavailable):
        await verify(factor(answer))


@pytest.mark.parametrize(
    "answer",
    [
        {"accepted": True},
        {"accepted": False, "authenticator": {"id": "a", "type": "totp", "created_at": 1.0}},
        {"accepted": True, "authenticator": {"id": "a b", "type": "totp", "created_at": 1.0}},
        {"accepted": True, "authenticator": {"id": "a", "type": "totp"}},
    ],
)
async def test_an_enrolment_that_makes_no_sense_makes_nothing(answer: object) -> None:
    """O5: an authenticator comes with a yes, and a yes with an authenticator."""
    with pytest.raises(Unavailable):
        await factor(answer).complete("ada", "a", session_id="s1", proof={})


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        {"accepted": True},
        YES | {"user_id": None},
        YES | {"user_id": ""},
        YES | {"authenticator_id": None},
        YES | {"accepted": "true"},
    ],
)
async def test_an_answer_that_does_not_say_who_it_is_accepts_nobody(answer: object) -> None:
    """O4, O5: where the proof tells who the person is, a yes without them is none."""
    with pytest.raises(Unavailable):
        await verify_anybody(factor(answer))


async def test_what_a_proof_tells_is_believed() -> None:
    told = await verify_anybody(factor(YES | {"user_id": "eve", "authenticator_id": "a2"}))

    assert (told.user_id, told.authenticator_id) == ("eve", "a2")


async def test_what_a_use_has_changed_is_told() -> None:
    verification = await verify(factor(YES | {"changed": {"unused": 9, "low": False}}))

    assert verification.changed == {"unused": 9, "low": False}


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        {},
        {"display": {}},
        {"authenticator": {}},
        {"authenticator": None},
        {"authenticator": AUTHENTICATOR, "display": None},
        {"authenticator": AUTHENTICATOR, "display": ["x"]},
    ],
)
async def test_what_is_revealed_makes_sense_or_is_nothing(answer: object) -> None:
    with pytest.raises(Unavailable):
        await factor(answer).reveal("ada", "a1")


async def test_perhaps_nothing_is_left_to_be_revealed() -> None:
    revealed = await factor({"authenticator": AUTHENTICATOR}).reveal("ada", "a1")

    assert (revealed.authenticator.id, revealed.display) == ("a1", {})


@pytest.mark.parametrize("answer", [b"", {}, AUTHENTICATOR | {"id": "a b"}])
async def test_a_name_is_given_or_not(answer: object) -> None:
    with pytest.raises(Unavailable):
        await factor(answer).rename("ada", "a1", "phone")


@pytest.mark.parametrize("answer", [b"", {}, {"kind": "x", "display": {}, "expires_at": "1"}])
async def test_a_challenge_that_makes_no_sense_is_none(answer: object) -> None:
    client = factor(answer)

    with pytest.raises(Unavailable):
        await client.challenge(
            "ada", authenticators=["a1"], session_id="s1", purpose=Purpose.AUTHENTICATE
        )
    with pytest.raises(Unavailable):
        await client.challenge_anybody(session_id="s1", purpose=Purpose.LOGIN)


QUESTIONS: list[tuple[Callable[[FactorClient], Awaitable[object]], str, object]] = [
    (
        lambda client: client.rename("ada", "a1", "phone"),
        "PATCH /v1/users/ada/authenticators/a1",
        {"name": "phone"},
    ),
    (
        lambda client: client.reveal("ada", "a1"),
        "POST /v1/users/ada/authenticators/a1/reveal",
        None,
    ),
    (
        lambda client: client.challenge(
            "ada", authenticators=["a1"], session_id="s1", purpose=Purpose.REAUTHENTICATE
        ),
        "POST /v1/users/ada/challenges",
        {"session_id": "s1", "purpose": "reauthenticate", "authenticators": ["a1"], "options": {}},
    ),
    (
        lambda client: client.challenge_anybody(session_id="s1", purpose=Purpose.LOGIN),
        "POST /v1/challenges",
        {"session_id": "s1", "purpose": "login", "authenticators": None, "options": {}},
    ),
    (
        verify,
        "POST /v1/users/ada/verifications",
        {
            "session_id": "s1",
            "purpose": "authenticate",
            "authenticators": ["a1"],
            "proof": {"code": "1"},
        },
    ),
    (
        verify_anybody,
        "POST /v1/verifications",
        {
            "session_id": "s1",
            "purpose": "login",
            "authenticators": None,
            "proof": {"assertion": "1"},
        },
    ),
]


@pytest.mark.parametrize(("ask", "place", "asked"), QUESTIONS)
async def test_questions_go_where_the_protocol_says(
    ask: Callable[[FactorClient], Awaitable[object]], place: str, asked: object
) -> None:
    heard: list[httpx.Request] = []
    with pytest.raises(Unavailable):  # the answer makes no sense
        await ask(factor({}, heard))

    (request,) = heard
    assert f"{request.method} {request.url.path}" == place
    assert (json.loads(request.content) if request.content else None) == asked


def authenticate(**told: Any) -> Attempt:
    return Attempt(purpose=Purpose.AUTHENTICATE, **told)


@pytest.mark.parametrize(
    "make",
    [
        lambda: authenticate(session_id="s1", authenticators=["a"] * 101, proof={}),
        lambda: authenticate(session_id="s1\n", authenticators=[], proof={}),
        lambda: authenticate(session_id="", authenticators=["../x"], proof={}),
        lambda: Attempt.model_validate({"session_id": "s1", "authenticators": [], "proof": {}}),
        lambda: Attempt.model_validate({"session_id": "s1", "purpose": "x", "proof": {}}),
        lambda: BeginChallenge(session_id="s1", purpose=Purpose.LOGIN, authenticators=["a"] * 101),
        lambda: Rename(name=""),
        lambda: Rename(name="x" * 101),
        lambda: BeginEnrolment(session_id="s1", account_name=""),
        lambda: BeginEnrolment(session_id="s1", account_name="x" * 321),
        lambda: CompleteEnrolment(session_id="s1", proof={}, name="x" * 101),
        lambda: BeginEnrolment.model_validate({"session_id": "s1", "account_name": "a", "b": 1}),
    ],
)
def test_questions_have_bounds(make: Callable[[], object]) -> None:
    with pytest.raises(ValidationError):
        make()


def test_proofs_and_secrets_do_not_show() -> None:
    """T12: what is printed of a question gives no code away."""
    display: dict[str, Any] = {"codes": ["271828"]}
    shown = [
        authenticate(session_id="s", authenticators=[], proof={"code": "271828"}),
        CompleteEnrolment(session_id="s", proof={"code": "271828"}),
        EnrolmentOffer(id="a1", kind="codes", display=display, expires_at=1.0),
        EnrolmentResult.model_validate(
            {"accepted": True, "authenticator": AUTHENTICATOR, "display": display}
        ),
        Revealed.model_validate({"authenticator": AUTHENTICATOR, "display": display}),
    ]

    assert "271828" not in repr(shown)


@given(st.lists(st.text("abc123", min_size=1, max_size=60), unique=True))
def test_the_revision_names_the_set(ids: list[str]) -> None:
    assert revision_of(ids) == revision_of(reversed(ids))
    assert revision_of(ids) != revision_of([*ids, "another"])


def revision_of(ids: Iterable[str]) -> str:
    """Return the revision of a list of authenticators with these ids."""
    return Enrolled.of(Authenticator(id=each, type="totp", created_at=0) for each in ids).revision
