"""Watches every answer of the public API that tests get by httpx, and fails those that see a fault.

Of each answer of each application, in this process or in another, is asked: does django-allauth's
document know it, or a lag that is named? And does the application's own description know it?
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from services.session.api.specification import JSON_PATH
from tests.contract import own, peer
from tests.contract.document import Answer, Document

PUBLIC = re.compile(r"/_allauth/(app|browser)/v1/")
APP = "countersign.app"
PATIENCE = 60.0  # seconds

_described: dict[object, Document | None] = {}


class Watch:
    """What was seen: the lags that were needed."""

    def __init__(self) -> None:
        self.used: set[str] = set()

    def check(self, answer: Answer, document: Document | None) -> None:
        """Fail if either document does not know the answer; without ours, only one is asked."""
        problems: list[str] = []
        if document is not None:
            problems += [f"ours: {problem}" for problem in own.problems(answer, document)]
        if document is None or document.knows(answer.method, answer.path):
            found, used = peer.judge(answer)
            problems += [f"allauth's: {problem}" for problem in found]
            self.used |= {lag.why for lag in used}
        assert not problems, f"{answer}\n" + "\n".join(problems)

    def check_at(self, origin: httpx.URL, answer: Answer) -> None:
        """The same, of an answer of the suite that runs at `origin`."""
        self.check(answer, _served(origin))

    def see(self, response: httpx.Response) -> None:
        """Check what has come back, if it is of the public API and of an application as it runs."""
        request = response.request
        if not is_public(request.url.path) or not response.is_stream_consumed:
            return
        app = request.extensions.get(APP)
        if isinstance(app, FastAPI) and not _is_described(app):
            return  # a part of it, put together by a test
        document = _of_app(app) if isinstance(app, FastAPI) else _served(request.url)
        answer = Answer(
            method=request.method,
            path=request.url.path,
            status=response.status_code,
            body=_json(response),
            headers=response.headers,
        )
        self.check(answer, document)


@contextmanager
def watching(watch: Watch) -> Iterator[None]:
    """Have `watch` see all answers."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx.ASGITransport, "handle_async_request", _naming_app())
        patch.setattr(httpx.AsyncClient, "send", _seeing_later(watch))
        patch.setattr(httpx.Client, "send", _seeing(watch))
        yield


def _naming_app() -> Any:
    """Return ASGITransport's method, with which a request remembers who has answered it."""
    original = httpx.ASGITransport.handle_async_request

    @wraps(original)
    async def handle(self: httpx.ASGITransport, request: httpx.Request) -> httpx.Response:
        request.extensions = {**request.extensions, APP: self.app}
        return await original(self, request)

    return handle


def _seeing_later(watch: Watch) -> Any:
    original = httpx.AsyncClient.send

    @wraps(original)
    async def send(self: httpx.AsyncClient, *args: Any, **options: Any) -> httpx.Response:
        response = await original(self, *args, **options)
        watch.see(response)
        return response

    return send


def _seeing(watch: Watch) -> Any:
    original = httpx.Client.send

    @wraps(original)
    def send(self: httpx.Client, *args: Any, **options: Any) -> httpx.Response:
        response = original(self, *args, **options)
        watch.see(response)
        return response

    return send


def is_public(path: str) -> bool:
    """Tell whether a path is of the public API."""
    return PUBLIC.match(path) is not None


def _is_described(app: FastAPI) -> bool:
    """Tell whether it was put together as it is run, and describes itself in full."""
    return "openapi" in vars(app)


def _of_app(app: FastAPI) -> Document:
    """Return the description of an application, made once for all that have the same routes.

    And the same answers to them: these may depend upon the settings.
    """
    key = tuple(
        (
            operation.path,
            operation.description["operation_id"],
            operation.description["response_model"],
            *(said["description"] for said in operation.description["responses"].values()),
        )
        for operation in app.state.operations
    )
    document = _described.get(key)
    if document is None:
        document = _described[key] = own.strict(app.openapi())
    return document


def _served(url: httpx.URL) -> Document | None:
    """Return the description that is served where `url` is, asked for once."""
    origin = str(url.copy_with(path="/", query=None))
    if origin in _described:
        return _described[origin]
    try:
        response = httpx.get(url.copy_with(path=JSON_PATH, query=None), timeout=PATIENCE)
    except httpx.TransportError:
        return None  # it may be back
    document = own.strict(response.json()) if response.is_success else None
    _described[origin] = document
    return document


def _json(response: httpx.Response) -> Any:
    if response.request.method == "HEAD":
        return {"status": response.status_code}
    try:
        return response.json()
    except json.JSONDecodeError:
        return response.text
