"""A factor with challenges that has one thing wrong at a time: ours, with its wire rewritten."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx

CHALLENGES, VERIFICATIONS = "/challenges", "/verifications"
A_DAY = 86400  # seconds


@dataclass
class Wire(httpx.AsyncBaseTransport):
    """Carries calls to `inner`, changed on their way."""

    inner: httpx.AsyncBaseTransport
    asked: dict[str, Mapping[str, Any]] = field(default_factory=dict)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        path, question = request.url.path, _object(await request.aread())
        sent = self.question(path, question)
        if path.endswith(CHALLENGES):
            self.asked.setdefault(path.removesuffix(CHALLENGES), question)
        if sent != question:
            content = json.dumps(sent).encode()
            headers = {
                name: value for name, value in request.headers.items() if name != "content-length"
            }
            request = httpx.Request(request.method, request.url, headers=headers, content=content)
        response = await self.inner.handle_async_request(request)
        answer = _object(await response.aread())
        told = self.answer(path, answer)
        return response if told == answer else httpx.Response(response.status_code, json=told)

    def question(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        """Return what is asked instead."""
        return question

    def answer(self, path: str, answer: dict[str, Any]) -> dict[str, Any]:
        """Return what is answered instead."""
        return answer

    def challenge_of(self, path: str) -> Mapping[str, Any]:
        """Return the first question for a challenge to whom a verification is about."""
        return self.asked.get(path.removesuffix(VERIFICATIONS), {})


class AnySession(Wire):
    """Takes an answer from wherever it comes."""

    def question(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        first = self.challenge_of(path).get("session_id")
        return question | {"session_id": first} if first else question


class AnyPurpose(Wire):
    """Takes an answer for whatever it is."""

    def question(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        if path.endswith((CHALLENGES, VERIFICATIONS)) and path.startswith("/v1/users"):
            return question | {"purpose": "authenticate"} if "purpose" in question else question
        return question


class OpenForADay(Wire):
    """Has challenges that do not end."""

    def answer(self, path: str, answer: dict[str, Any]) -> dict[str, Any]:
        is_offer = path.endswith(CHALLENGES) and "expires_at" in answer
        return answer | {"expires_at": answer["expires_at"] + A_DAY} if is_offer else answer


class ForWhoever(Wire):
    """Makes challenges to a person without being told what is registered."""

    def question(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        is_challenge = path.endswith(CHALLENGES) and path.startswith("/v1/users")
        return {"authenticators": []} | question if is_challenge else question


class NamesAnother(Wire):
    """Says that it was somebody else."""

    def answer(self, path: str, answer: dict[str, Any]) -> dict[str, Any]:
        is_login = path == f"/v1{VERIFICATIONS}" and answer.get("accepted")
        return answer | {"user_id": "somebody"} if is_login else answer


class OverlooksWhatIsNamed(Wire):
    """Takes every proof that comes without a person for a login."""

    def question(self, path: str, question: dict[str, Any]) -> dict[str, Any]:
        if path != f"/v1{VERIFICATIONS}":
            return question
        rest = {name: value for name, value in question.items() if name != "authenticators"}
        return rest | {"purpose": "login"}


REWRITTEN: Mapping[str, type[Wire]] = {
    "challenges-are-of-their-session": AnySession,
    "challenges-are-of-their-purpose": AnyPurpose,
    "challenges-end": OpenForADay,
    "challenges-are-to-what-is-named": ForWhoever,
    "who-proves-themselves-is-named": NamesAnother,
    "where-nobody-is-known-nothing-else-passes": OverlooksWhatIsNamed,
}
"""By the rule that has to notice."""


def _object(raw: bytes) -> dict[str, Any]:
    try:
        document = json.loads(raw)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
