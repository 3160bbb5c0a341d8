"""What session believes the keeper of trust, and what it does not."""

import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from shared.auth import Caller, PrivateKey
from shared.errors import Unavailable
from shared.http import connect
from shared.trust import (
    MAX_LABEL,
    MAX_TOKENS,
    TOKEN,
    Check,
    Checked,
    ListBrowsers,
    Revoke,
    Revoked,
    Trust,
    TrustClient,
    Trusted,
)

KEY = PrivateKey(id="session-1", issuer="session", key=Ed25519PrivateKey.generate())
ONE, OTHER = (f"{letter * 22}.{letter * 22}" for letter in "ab")
YES = {"trusted": True, "browser_id": "b1", "tokens": [OTHER]}
NEW = {"browser_id": "b1", "tokens": [ONE]}
BROWSER = {"id": "b1", "name": "Firefox", "created_at": 1.0, "expires_at": 2.0, "is_current": True}
NONSENSE: list[object] = [b"", b"true", b"[]", b"{", b"\xff", {}]
NO_TOKENS: list[object] = [
    None,
    ONE,
    [1],
    [""],
    [f"{ONE}\n"],
    [f"{ONE}~{OTHER}"],
    [ONE.replace(".", "")],
    [f"{ONE}a"],
    ["ä" * 22 + "." + "a" * 22],
]
"""What is no list of tokens, and must not end in a cookie."""


def keeper(answer: object, asked: list[httpx.Request] | None = None) -> TrustClient:
    """Return a client of a keeper that always answers so, and notes in `asked` what it was."""
    content = answer if isinstance(answer, bytes) else None

    def reply(request: httpx.Request) -> httpx.Response:
        if asked is not None:
            asked.append(request)
        return httpx.Response(200, content=content, json=None if content else answer)

    http = connect(
        "http://keeper",
        caller=Caller(KEY),
        audience="keeper",
        transport=httpx.MockTransport(reply),
        timeout=timedelta(seconds=1),
    )
    return TrustClient(http)


def check(client: TrustClient) -> Awaitable[Checked]:
    return client.check("ada", tokens=[ONE], factor_epoch=3)


def trust(client: TrustClient) -> Awaitable[Trusted]:
    return client.trust("ada", factor_epoch=3, tokens=[], user_agent="Mozilla/5.0")


async def test_good_answers_are_believed() -> None:
    checked = await check(keeper(YES))
    trusted = await trust(keeper(NEW))
    browsers = await keeper({"browsers": [BROWSER]}).browsers("ada", factor_epoch=3)
    revoked = await keeper({"browsers": ["b1"], "tokens": [OTHER]}).revoke("ada", tokens=[OTHER])

    assert (checked.trusted, checked.browser_id, checked.tokens) == (True, "b1", [OTHER])
    assert (trusted.browser_id, trusted.tokens) == ("b1", [ONE])
    assert [(browser.name, browser.last_used_at) for browser in browsers] == [("Firefox", None)]
    assert (revoked.browsers, revoked.tokens) == (["b1"], [OTHER])


async def test_members_of_a_later_version_are_ignored() -> None:
    assert (await check(keeper(YES | {"new": 1}))).trusted


@pytest.mark.parametrize(
    "answer",
    [
        *NONSENSE,
        {"trusted": True},
        *({**YES, "tokens": tokens} for tokens in NO_TOKENS),
        YES | {"trusted": 1},
        YES | {"trusted": "true"},
        YES | {"trusted": None},
        YES | {"browser_id": None},
        YES | {"browser_id": 1},
        {"trusted": True, "tokens": []},
    ],
)
async def test_an_answer_that_makes_no_sense_trusts_nobody(answer: object) -> None:
    """O4, O5, K5: no answer but a whole and fitting one is a yes."""
    with pytest.raises(Unavailable):
        await check(keeper(answer))


@pytest.mark.parametrize("browser_id", ["", "a b", "a" * 65, "../x"])
async def test_an_id_that_is_none_is_not_believed(browser_id: str) -> None:
    """O5: what names a trusted browser is an id wherever it is named."""
    with pytest.raises(Unavailable):
        await check(keeper(YES | {"browser_id": browser_id}))
    with pytest.raises(Unavailable):
        await trust(keeper(NEW | {"browser_id": browser_id}))


async def test_a_browser_is_recognised_by_a_whole_answer_or_not_at_all() -> None:
    """O4, O5."""
    for answer, browser_id in (({"browser_id": "b1"}, "b1"), ({"browser_id": None}, None)):
        recognised = await keeper(answer).recognise("ada", tokens=[ONE], factor_epoch=3)
        assert recognised.browser_id == browser_id
    for nonsense in (b"", b"[]", {"browser_id": "a b"}, {"browser_id": 1}, {"browser_id": True}):
        with pytest.raises(Unavailable):
            await keeper(nonsense).recognise("ada", tokens=[ONE], factor_epoch=3)


@pytest.mark.parametrize(
    "answer",
    [
        *NONSENSE,
        {"browser_id": "b1"},
        {"tokens": [ONE]},
        *({"browser_id": "b1", "tokens": tokens} for tokens in NO_TOKENS),
        NEW | {"browser_id": None},
        NEW | {"tokens": []},
    ],
)
async def test_trust_that_makes_no_sense_is_none(answer: object) -> None:
    """O5: a browser that is trusted now has a token to show for it."""
    with pytest.raises(Unavailable):
        await trust(keeper(answer))


@pytest.mark.parametrize(
    ("ask", "answer"),
    [(check, YES), (trust, NEW), (lambda client: client.revoke("ada"), {"browsers": ["b1"]})],
)
async def test_more_tokens_than_a_browser_keeps_are_not_believed(
    ask: Callable[[TrustClient], Awaitable[object]], answer: dict[str, Any]
) -> None:
    """D7: an answer has bounds as well: it ends in a cookie."""
    with pytest.raises(Unavailable):
        await ask(keeper(answer | {"tokens": [ONE] * (MAX_TOKENS + 1)}))


@pytest.mark.parametrize(
    "answer",
    [
        *NONSENSE,
        {"browsers": None},
        {"browsers": BROWSER},
        {"browsers": [BROWSER | {"id": "a b"}]},
        {"browsers": [BROWSER | {"created_at": "1"}]},
        {"browsers": [BROWSER | {"expires_at": None}]},
        {"browsers": [BROWSER | {"is_current": 1}]},
    ],
)
async def test_a_list_that_makes_no_sense_is_none(answer: object) -> None:
    with pytest.raises(Unavailable):
        await keeper(answer).browsers("ada", factor_epoch=3)


@pytest.mark.parametrize(
    "answer",
    [
        *NONSENSE,
        {"browsers": None},
        {"browsers": [1]},
        {"browsers": ["a b"]},
        *({"browsers": ["b1"], "tokens": tokens} for tokens in NO_TOKENS),
    ],
)
async def test_a_revocation_that_makes_no_sense_is_none(answer: object) -> None:
    with pytest.raises(Unavailable):
        await keeper(answer).revoke("ada", ["b1"])


@pytest.mark.parametrize(
    "make",
    [
        lambda: Check(tokens=[], factor_epoch=0),
        lambda: Check(tokens=[ONE] * (MAX_TOKENS + 1), factor_epoch=0),
        lambda: Check(tokens=["x"], factor_epoch=0),
        lambda: Check(tokens=[ONE], factor_epoch=-1),
        lambda: Trust(factor_epoch=0, tokens=[f"{ONE}\n"], user_agent=""),
        lambda: Trust(factor_epoch=0, tokens=[], user_agent="x" * (MAX_LABEL + 1)),
        lambda: ListBrowsers(factor_epoch=0, tokens=[ONE] * (MAX_TOKENS + 1)),
        lambda: Revoke(browsers=["b"] * 101),
        lambda: Revoke(browsers=["a b"]),
        lambda: Revoke(tokens=[ONE] * (MAX_TOKENS + 1)),
        lambda: Check.model_validate({"tokens": [ONE], "factor_epoch": 0, "new": 1}),
        lambda: Check.model_validate({"tokens": [ONE], "factor_epoch": True}),
    ],
)
def test_questions_have_bounds(make: Callable[[], object]) -> None:
    """D7: what is asked is bounded before it is sent, and again where it arrives."""
    with pytest.raises(ValidationError):
        make()


async def test_a_user_agent_is_cut_and_not_refused() -> None:
    asked: list[httpx.Request] = []

    await keeper(NEW, asked).trust("ada", factor_epoch=0, tokens=[], user_agent="x" * 10_000)

    assert json.loads(asked[0].content)["user_agent"] == "x" * MAX_LABEL


async def test_no_token_is_in_an_address() -> None:
    """D4: what proves something is in bodies alone: addresses end in logs."""
    asked: list[httpx.Request] = []
    await check(keeper(YES, asked))
    await keeper(NEW, asked).trust("ada", factor_epoch=3, tokens=[ONE], user_agent="x")
    await keeper({"browsers": []}, asked).browsers("ada", factor_epoch=3, tokens=[ONE])
    await keeper({"browsers": []}, asked).revoke("ada", tokens=[ONE])

    assert len(asked) == 4
    assert all(ONE not in str(request.url) and ONE in request.content.decode() for request in asked)


async def test_everything_and_nothing_are_told_apart() -> None:
    """K7: an empty choice revokes nothing; only None means all."""
    asked: list[httpx.Request] = []
    client = keeper({"browsers": []}, asked)

    await client.revoke("ada", [])
    await client.revoke("ada")

    assert [json.loads(request.content)["browsers"] for request in asked] == [[], None]


def test_a_token_has_256_random_bits_in_two_parts() -> None:
    """K1: 128 bits of each part, in the characters of base64 for URLs."""
    assert TOKEN.fullmatch(ONE)
    for wrong in (ONE[1:], f"{ONE}a", f" {ONE}", f"{ONE}\n", ONE.replace(".", "~"), "é" + ONE[1:]):
        assert not TOKEN.fullmatch(wrong)


def test_tokens_do_not_show() -> None:
    """T12: what is printed of a question or an answer gives no token away."""
    shown = [
        Check(tokens=[ONE], factor_epoch=0),
        Trust(factor_epoch=0, tokens=[ONE], user_agent="x"),
        ListBrowsers(factor_epoch=0, tokens=[ONE]),
        Revoke(tokens=[ONE]),
        Revoked(browsers=[], tokens=[ONE]),
        Checked.model_validate(YES | {"tokens": [ONE]}),
        Trusted.model_validate(NEW),
    ]

    assert ONE not in repr(shown)
