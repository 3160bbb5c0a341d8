"""The browser client's cookies, and proof that its own pages made a request (CSRF)."""

import secrets
import string
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hmac import compare_digest
from typing import Literal
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from shared.trust import MAX_TOKENS, TOKEN

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})  # RFC 9110 section 9.2.1
CSRF_ALPHABET = string.ascii_letters + string.digits
CSRF_LENGTH = 32  # characters, 190 bits
DEFAULT_PORTS = {"http": 80, "https": 443}

SEPARATOR = "~"  # of the tokens in the cookie of trust

SameSite = Literal["lax", "strict", "none"]


@dataclass(frozen=True, kw_only=True)
class Cookie:
    """How one cookie is set; the fields are those of Django's settings.

    Without an `age` it ends with the browser.
    """

    name: str
    age: timedelta | None
    domain: str | None = None
    path: str = "/"
    secure: bool
    httponly: bool
    samesite: SameSite = "lax"

    def set(self, response: Response, value: str) -> None:
        """Have the browser keep `value`."""
        response.set_cookie(
            self.name,
            value,
            max_age=None if self.age is None else int(self.age.total_seconds()),
            path=self.path,
            domain=self.domain,
            secure=self.secure,
            httponly=self.httponly,
            samesite=self.samesite,
        )

    def delete(self, response: Response) -> None:
        """Have the browser forget the cookie."""
        response.delete_cookie(
            self.name,
            path=self.path,
            domain=self.domain,
            secure=self.secure,
            httponly=self.httponly,
            samesite=self.samesite,
        )


def origin_of(url: str) -> str | None:
    """Return the origin (RFC 6454) of a URL as browsers write it, or None if it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    suffix = "" if port in (None, DEFAULT_PORTS[parts.scheme]) else f":{port}"
    return f"{parts.scheme}://{host}{suffix}"


def is_own_request(
    request: Request, *, cookie: str, header: str, origins: Collection[str], secure: bool
) -> bool:
    """Tell whether a request was made by a page of one of `origins`.

    A safe method needs no proof. Any other needs the token from the cookie repeated in `header`,
    which foreign pages can neither read nor send, and an Origin on the list. A browser may leave
    Origin out; over HTTPS the Referer then has to be there and fit. `secure` says that the service
    is reached by HTTPS.
    """
    sent = request.headers.get(header, "")
    return is_own_form(request, sent, cookie=cookie, origins=origins, secure=secure)


def is_own_form(
    request: Request, sent: str, *, cookie: str, origins: Collection[str], secure: bool
) -> bool:
    """Tell the same where the token was `sent` otherwise, as in a form."""
    if request.method in SAFE_METHODS:
        return True
    return _is_own_origin(request.headers, origins, secure) and _token_fits(
        request.cookies.get(cookie, ""), sent
    )


def is_foreign_request(request: Request, readers: Collection[str]) -> bool:
    """Tell whether the browser says that another site had the request made (Fetch Metadata).

    By a link, say, with which cookies that are SameSite are left out: the person may have a session
    that is not seen. Pages of `readers`, an exact list of origins, may ask from other sites, by
    fetch, which names them in Origin. Of a browser that says nothing it cannot be told.
    """
    if request.headers.get("sec-fetch-site") != "cross-site":
        return False
    return request.headers.get("origin") not in readers


def trust_tokens_of(value: str) -> tuple[str, ...]:
    """Return the tokens in the cookie of trust, the last of each once; all else is left out."""
    tokens = (token for token in value.split(SEPARATOR) if TOKEN.fullmatch(token))
    return tuple(dict.fromkeys(tokens))[-MAX_TOKENS:]


def new_csrf_token() -> str:
    """Return a fresh random token in Django's alphabet and length."""
    return "".join(secrets.choice(CSRF_ALPHABET) for _ in range(CSRF_LENGTH))


def is_csrf_token(value: str) -> bool:
    """Tell whether `value` may be one of our tokens; a client cannot make us repeat other text."""
    return len(value) == CSRF_LENGTH and all(character in CSRF_ALPHABET for character in value)


def _is_own_origin(headers: Mapping[str, str], origins: Collection[str], secure: bool) -> bool:
    origin = headers.get("origin")
    if origin is not None:
        return origin in origins
    referer = headers.get("referer")
    if referer is None:
        return not secure
    return origin_of(referer) in origins


def _token_fits(kept: str, sent: str) -> bool:
    return is_csrf_token(kept) and compare_digest(kept.encode(), sent.encode())
