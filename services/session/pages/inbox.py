"""The development inbox: what would have been mailed, for whoever sits at this machine.

Only ever added in development and without a mail server, and shown to this machine alone: whoever
reads these mails can become anyone.
"""

import asyncio
from collections.abc import Awaitable, Callable
from email.message import EmailMessage
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from services.session.domain.hosts import is_loopback
from services.session.gateway.postbox import Inbox, text_of

PATH = "/inbox"
SHOWN = 50  # messages, newest first
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}

Endpoint = Callable[[Request], Awaitable[Response]]


def add(app: FastAPI, directory: Path) -> None:
    """Serve the messages in `directory` at /inbox as a page, and at /inbox.json."""
    inbox = Inbox(directory)
    for path, endpoint in ((PATH, _page(inbox)), (f"{PATH}.json", _listing(inbox))):
        app.add_route(path, _local(endpoint), methods=["GET"], include_in_schema=False)


def _local(endpoint: Endpoint) -> Endpoint:
    """Let `endpoint` answer this machine, and be unknown to any other."""

    async def answer(request: Request) -> Response:
        # The peer of the connection: what headers say of it, anybody can write.
        if request.client is None or not is_loopback(request.client.host):
            raise HTTPException(404)
        return await endpoint(request)

    return answer


def _page(inbox: Inbox) -> Endpoint:
    page, letter = _template("inbox"), _template("letter")

    async def show(_: Request) -> Response:
        letters = [
            letter.substitute({name: escape(value) for name, value in facts.items()})
            for facts in await _newest(inbox)
        ]
        return HTMLResponse(page.substitute(letters="".join(letters)), headers=HEADERS)

    return show


def _listing(inbox: Inbox) -> Endpoint:
    async def listing(_: Request) -> Response:
        return JSONResponse({"messages": await _newest(inbox)}, headers=HEADERS)

    return listing


async def _newest(inbox: Inbox) -> list[dict[str, str]]:
    return [_facts(message) for message in await asyncio.to_thread(inbox.messages, SHOWN)]


def _facts(message: EmailMessage) -> dict[str, str]:
    return {
        "id": message["Message-ID"],
        "to": message["To"],
        "subject": message["Subject"],
        "date": message["Date"],
        "text": text_of(message),
    }


def _template(name: str) -> Template:
    return Template((files(__package__) / "templates" / f"{name}.html").read_text("utf-8"))
