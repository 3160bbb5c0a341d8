"""What session believes a factor, and what it does not."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from shared.auth import Caller, PrivateKey
from shared.errors import Unavailable
from shared.factor import Attempt, BeginEnrolment, CompleteEnrolment, FactorClient
from shared.http import connect

KEY = PrivateKey(id="session-1", issuer="session", key=Ed25519PrivateKey.generate())
YES = {"accepted": True, "user_id": "ada", "authenticator_id": "a1", "amr": ["otp"], "facts": {}}


def factor(answer: object) -> FactorClient:
    """Return a client of a factor that always answers so."""
    content = answer if isinstance(answer, bytes) else None
    http = connect(
        "http://factor",
        caller=Caller(KEY),
        audience="factor",
        transport=httpx.MockTransport(
            lambda _: httpx.Response(200, content=content, json=None if content else answer)
        ),
        timeout=timedelta(seconds=1),
    )
    return FactorClient(http)


async def verify(client: FactorClient) -> Any:
    return await client.verify("ada", authenticators=["a1"], proof={"code": "1"}, session_id="s1")


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
    "make",
    [
        lambda: Attempt(session_id="s1", authenticators=["a"] * 101, proof={}),
        lambda: Attempt(session_id="s1\n", authenticators=[], proof={}),
        lambda: Attempt(session_id="", authenticators=["../x"], proof={}),
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
    assert "271828" not in repr(
        Attempt(session_id="s", authenticators=[], proof={"code": "271828"})
    )
    assert "271828" not in repr(CompleteEnrolment(session_id="s", proof={"code": "271828"}))
