"""The development inbox: what would have been mailed, for whoever sits at this machine.

Only ever added in development and without a mail server, and shown to this machine alone: whoever
reads these mails can become anyone.
"""

import asyncio
import re
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from pathlib import Path

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from services.session.domain.hosts import is_loopback
from services.session.gateway.postbox import Inbox, text_of
from services.session.pages.answers import Show
from services.session.pages.press import Press
from shared.http.plain import Endpoint, serve

PATH = "/inbox"
SHOWN = 50  # messages, newest first
ALONE = re.compile(r"(?m)^[0-9A-Z][0-9A-Z-]{3,}$")  # as mails write codes
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def add(app: FastAPI, directory: Path, press: Press, *, pages: bool) -> None:
    """Serve the messages in `directory` at /inbox as a page, and at /inbox.json.

    It leads back to the `pages`, if there are any.
    """
    inbox = Inbox(directory)
    page = _page(inbox, press, leads_back=pages)
    for path, endpoint in ((PATH, page), (f"{PATH}.json", _listing(inbox))):
        serve(app, path, _local(endpoint))


def _local(endpoint: Endpoint) -> Endpoint:
    """Let `endpoint` answer this machine, and be unknown to any other."""

    async def answer(request: Request) -> Response:
        # The peer of the connection: what headers say of it, anybody can write.
        if request.client is None or not is_loopback(request.client.host):
            raise HTTPException(404)
        return await endpoint(request)

    return answer


def _page(inbox: Inbox, press: Press, *, leads_back: bool) -> Endpoint:
    async def show(request: Request) -> Response:
        letters = [
            {
                **letter,
                "at": parsedate_to_datetime(letter["date"]),
                "code": _code(letter["text"]),
            }
            for letter in await _newest(inbox)
        ]
        facts = {"letters": letters, "leads_back": leads_back}
        return press.notify(request, Show(template="inbox.html", facts=facts))

    return show


def _listing(inbox: Inbox) -> Endpoint:
    async def listing(_: Request) -> Response:
        return JSONResponse({"messages": await _newest(inbox)}, headers=HEADERS)

    return listing


async def _newest(inbox: Inbox) -> list[dict[str, str]]:
    return [_facts(message) for message in await asyncio.to_thread(inbox.messages, SHOWN)]


def _code(text: str) -> str | None:
    """Return what stands alone on a line, and so is there to be typed or pasted."""
    found = ALONE.search(text)
    return None if found is None else found[0]


def _facts(message: EmailMessage) -> dict[str, str]:
    return {
        "id": message["Message-ID"],
        "to": message["To"],
        "subject": message["Subject"],
        "date": message["Date"],
        "text": text_of(message),
    }
