"""The contract about browsers that people trust: what goes over the wire, and the client.

A browser keeps one token for each of its people. A token is `<series>.<secret>`: the series stays,
the secret is replaced whenever it is used. Only hashes of both are kept.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

import httpx
from pydantic import Field, StringConstraints, ValidationError

from shared.errors import Unavailable
from shared.factor import Answer, Id, Question

TOKEN = re.compile(r"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{22}", re.ASCII)  # 128 random bits each
MAX_TOKENS = 10  # in one browser
MAX_LABEL = 256  # characters of a user agent

Token = Annotated[str, StringConstraints(pattern=rf"^{TOKEN.pattern}$")]

A = TypeVar("A", bound="Answer")


class Check(Question):
    """Is this browser trusted by the person? `factor_epoch` has to be that of the trust."""

    tokens: list[Token] = Field(min_length=1, max_length=MAX_TOKENS, repr=False)
    factor_epoch: int = Field(ge=0)


class Checked(Answer):
    """Whether it is, and what the browser is to keep from now on: all its tokens, in order.

    Of a token that is in two hands the keeper tells by its event alone: an answer may be lost.
    """

    trusted: bool
    browser_id: Id | None = None
    tokens: list[Token] = Field(max_length=MAX_TOKENS, repr=False)


class Recognise(Question):
    """Which of the browsers that the person trusts is this? `factor_epoch` as in `Check`."""

    tokens: list[Token] = Field(min_length=1, max_length=MAX_TOKENS, repr=False)
    factor_epoch: int = Field(ge=0)


class Recognised(Answer):
    """The browser, or None if it is not trusted. Its tokens stay as they are."""

    browser_id: Id | None = None


class Trust(Question):
    """Let a browser be trusted that holds `tokens`. What it held for this person is replaced."""

    factor_epoch: int = Field(ge=0)
    tokens: list[Token] = Field(max_length=MAX_TOKENS, repr=False)
    user_agent: str = Field(max_length=MAX_LABEL)


class Trusted(Answer):
    """What the browser is to keep from now on."""

    browser_id: Id
    tokens: list[Token] = Field(min_length=1, max_length=MAX_TOKENS, repr=False)


class ListBrowsers(Question):
    """Which browsers does the person trust? `tokens` are those of the one that asks."""

    factor_epoch: int = Field(ge=0)
    tokens: list[Token] = Field(default=[], max_length=MAX_TOKENS, repr=False)


class Browser(Answer):
    """A browser that is trusted. Times are seconds since 1970; `name` is made for people."""

    id: Id
    name: str
    created_at: float
    last_used_at: float | None = None
    expires_at: float
    is_current: bool = False


class Browsers(Answer):
    """All of them, newest first."""

    browsers: list[Browser]


class Revoke(Question):
    """Trust these no more, or none at all (None). `tokens` are those of the one that asks."""

    browsers: list[Id] | None = Field(default=None, max_length=100)
    tokens: list[Token] = Field(default=[], max_length=MAX_TOKENS, repr=False)


class Revoked(Answer):
    """Which were trusted until now, and which of its tokens the browser that asked is to keep."""

    browsers: list[Id]
    tokens: list[Token] = Field(default=[], max_length=MAX_TOKENS, repr=False)


class TrustClient:
    """Calls the keeper of trust. Everything raises Unavailable if it is away or answers nonsense.

    `http` comes from `shared.http.connect`, which turns refusals into `shared.errors`.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def check(self, user_id: str, *, tokens: Sequence[str], factor_epoch: int) -> Checked:
        """Tell whether the browser that holds `tokens` is trusted, and replace the token used.

        Repeatable: a token stays good until its successor is used.
        """
        question = Check(tokens=list(tokens), factor_epoch=factor_epoch)
        checked = await self._ask(Checked, f"/v1/users/{user_id}/browsers/check", question)
        if checked.trusted and not (checked.browser_id and checked.tokens):
            raise _nonsense()
        return checked

    async def recognise(
        self, user_id: str, *, tokens: Sequence[str], factor_epoch: int
    ) -> Recognised:
        """Tell which trusted browser holds `tokens`. Uses none, and is the same work for nobody."""
        question = Recognise(tokens=list(tokens), factor_epoch=factor_epoch)
        return await self._ask(Recognised, f"/v1/users/{user_id}/browsers/recognise", question)

    async def trust(
        self, user_id: str, *, factor_epoch: int, tokens: Sequence[str], user_agent: str
    ) -> Trusted:
        """Trust a browser. The oldest goes where there are too many."""
        question = Trust(
            factor_epoch=factor_epoch, tokens=list(tokens), user_agent=user_agent[:MAX_LABEL]
        )
        return await self._ask(Trusted, f"/v1/users/{user_id}/browsers", question)

    async def browsers(
        self, user_id: str, *, factor_epoch: int, tokens: Sequence[str] = ()
    ) -> list[Browser]:
        """Return the browsers that the person trusts."""
        question = ListBrowsers(factor_epoch=factor_epoch, tokens=list(tokens))
        answer = await self._ask(Browsers, f"/v1/users/{user_id}/browsers/list", question)
        return answer.browsers

    async def revoke(
        self, user_id: str, browsers: Sequence[str] | None = None, *, tokens: Sequence[str] = ()
    ) -> Revoked:
        """Trust `browsers` no more, or none at all. Repeatable."""
        question = Revoke(
            browsers=None if browsers is None else list(browsers), tokens=list(tokens)
        )
        return await self._ask(Revoked, f"/v1/users/{user_id}/browsers/revoke", question)

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(self, kind: type[A], path: str, question: Question) -> A:
        content: Any = question.model_dump_json()
        response = await self._http.post(
            path, content=content, headers={"content-type": "application/json"}
        )
        try:
            return kind.model_validate_json(response.content)
        except ValidationError:
            raise _nonsense() from None


def _nonsense() -> Unavailable:
    return Unavailable("The keeper of trust gave an answer that makes no sense.")
