"""What browsers are told around every answer: CORS, security headers, and the cookies' terms."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from secrets import token_hex
from typing import Any

import httpx
import pytest
import pytest_asyncio
from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response

from tests.journeys.client import Client
from tests.journeys.person import TOTP, Person, enrolled
from tests.journeys.suite import InProcess, in_process

HTTPS = "https://login.example.org"
LOCAL = "https://localhost:8443"
LISTED = "https://app.example.org"
WRITER = "https://www.example.org"
FOREIGN = "https://evil.example"
CONFIG = "/_allauth/browser/v1/config"
PREFLIGHT = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "content-type, x-csrftoken, x-session-token",
}
OPEN = {
    "cors_allowed_origins": (LISTED, WRITER),
    "csrf_trusted_origins": (WRITER,),
    "csrf_cookie_domain": "example.org",
}
PRODUCTION: dict[str, Any] = {
    "public_url": HTTPS,
    "countersign_development": False,
    "smtp_url": SecretStr("smtp://localhost:2525"),
}


@asynccontextmanager
async def at_https(tmp_path: Path, **changes: Any) -> AsyncIterator[tuple[InProcess, Client]]:
    """Run the suite as in production, and give a browser at its public address."""
    async with in_process(tmp_path, **{**PRODUCTION, **changes}) as suite:
        transport = httpx.ASGITransport(suite.apps["session"], raise_app_exceptions=False)
        client = Client("browser", transport, HTTPS)
        suite.clients.append(client)
        yield suite, client


@pytest_asyncio.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Client]:
    """A browser at a suite that lets pages of two other origins read."""
    async with at_https(tmp_path, **OPEN) as (_, client):
        yield client


def cors(response: httpx.Response | Any) -> set[str]:
    """Return the names of the headers by which answers are opened to other origins."""
    return {name for name in response.headers if name.startswith("access-control-")}


def attributes(headers: httpx.Headers) -> dict[str, set[str]]:
    """Return the attributes of each cookie that is set, in lower case."""
    cookies = {}
    for header in headers.get_list("set-cookie"):
        pair, *parts = header.split(";")
        cookies[pair.partition("=")[0]] = {part.strip().lower() for part in parts}
    return cookies


# CORS


async def test_a_page_of_a_listed_origin_may_read(shared: Client) -> None:
    response = await shared.http.get(CONFIG, headers={"Origin": LISTED})

    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == LISTED
    assert response.headers["access-control-allow-credentials"] == "true"
    assert "Retry-After" in response.headers["access-control-expose-headers"]


async def test_what_depends_on_cookie_and_origin_says_both(shared: Client) -> None:
    for origin in (LISTED, FOREIGN, None):
        response = await shared.http.get(CONFIG, headers={"Origin": origin} if origin else {})
        assert set(response.headers["vary"].split(", ")) == {"Cookie", "Origin"}


@pytest.mark.parametrize(
    "origin",
    [
        FOREIGN,
        "null",
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://a.app.example.org",
        "https://app.example.org.evil.example",
        HTTPS,
    ],
)
async def test_a_page_of_any_other_origin_is_told_nothing(shared: Client, origin: str) -> None:
    """N9: an exact list, without subdomains, ports or schemes by accident."""
    read = await shared.http.get(CONFIG, headers={"Origin": origin})
    asked = await shared.http.options(CONFIG, headers={"Origin": origin, **PREFLIGHT})

    assert (read.status_code, asked.status_code) == (200, 403)
    assert asked.json() == {"status": 403}
    assert not cors(read) | cors(asked)


async def test_a_listed_origin_may_ask_with_the_headers_of_the_contract(shared: Client) -> None:
    sent = (
        "authorization,content-type,x-csrftoken,x-session-token,"
        "x-email-verification-key,x-password-reset-key"
    )
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        response = await shared.http.options(
            CONFIG,
            headers={
                "Origin": LISTED,
                "Access-Control-Request-Method": method,
                "Access-Control-Request-Headers": sent,
            },
        )
        assert response.json() == {"status": 200}
        assert method in response.headers["access-control-allow-methods"]
        assert response.headers["access-control-allow-origin"] == LISTED
        assert response.headers["access-control-allow-credentials"] == "true"
        assert response.headers["cache-control"] == "no-store"


async def test_the_csrf_header_is_allowed_by_the_name_that_it_has(tmp_path: Path) -> None:
    async with at_https(tmp_path, **OPEN, csrf_header_name="HTTP_X_OWN") as (_, client):
        asked = {"Origin": LISTED, "Access-Control-Request-Method": "POST"}
        own, other = [
            await client.http.options(
                CONFIG, headers={**asked, "Access-Control-Request-Headers": name}
            )
            for name in ("x-own", "x-csrftoken")
        ]

    assert (own.status_code, other.status_code) == (200, 403)


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", CONFIG, {"Host": "evil.example"}, 400),
        ("GET", "/_allauth/browser/v1/nothing", {}, 404),
        ("PUT", CONFIG, {}, 405),
        ("POST", "/_allauth/browser/v1/auth/login", {}, 403),
        ("POST", "/_allauth/app/v1/auth/login", {}, 400),
        ("GET", "/_allauth/app/v1/config", {"X-Session-Token": "bogus"}, 410),
    ],
)
async def test_errors_can_be_read_as_well(
    shared: Client, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    listed = await shared.http.request(method, path, headers={**headers, "Origin": LISTED})
    foreign = await shared.http.request(method, path, headers={**headers, "Origin": FOREIGN})

    assert (listed.status_code, foreign.status_code) == (status, status)
    assert listed.headers["access-control-allow-origin"] == LISTED
    assert not cors(foreign)


async def test_breakdowns_can_be_read_as_well(tmp_path: Path) -> None:
    async with in_process(tmp_path, cors_allowed_origins=(LISTED,)) as suite:
        session = suite.apps["session"]
        session.add_route("/_allauth/broken", _fail)
        transport = httpx.ASGITransport(session, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=LOCAL) as http:
            response = await http.get("/_allauth/broken", headers={"Origin": LISTED})

    assert response.status_code == 500
    assert response.headers["access-control-allow-origin"] == LISTED
    assert response.headers["x-frame-options"] == "DENY"


async def test_to_read_is_not_to_write(shared: Client) -> None:
    """N9: a browser client writes from trusted origins alone, whatever CORS lets read."""
    await shared.get("config")
    reader = await shared.call("POST", "auth/login", {}, headers={"Origin": LISTED})
    writer = await shared.call("POST", "auth/login", {}, headers={"Origin": WRITER})

    assert (reader.status, writer.status) == (403, 400)
    assert writer.headers["access-control-allow-origin"] == WRITER


async def test_without_a_list_no_other_origin_reads(suite: InProcess) -> None:
    client = suite.client("browser")
    read = await client.http.get(CONFIG, headers={"Origin": LISTED})
    asked = await client.http.options(CONFIG, headers={"Origin": LISTED, **PREFLIGHT})

    assert not cors(read) | cors(asked)
    assert asked.status_code == 405
    assert read.headers["vary"] == "Cookie"


async def test_the_inbox_is_open_to_no_other_origin(tmp_path: Path) -> None:
    """D6: whoever reads the mails can become anyone, so only the API is ever opened."""
    async with in_process(tmp_path, cors_allowed_origins=(LISTED,)) as suite:
        for path in ("/inbox", "/inbox.json"):
            response = await suite.client("app").http.get(path, headers={"Origin": LISTED})
            assert response.status_code == 200
            assert not cors(response)


# Addresses


@pytest.mark.parametrize(
    ("proxies", "forwarded", "another"),
    [
        (0, "198.51.100.{}", None),
        (1, "198.51.100.{}, 203.0.113.9", "203.0.113.10"),
        (1, "2001:db8:1:2::{}", "2001:db8:1:3::1"),
        (1, "198.51.100.{}, nonsense", "203.0.113.10"),
        (1, "nonsense{}", "203.0.113.10"),
        (2, "198.51.100.{}", "203.0.113.10, 203.0.113.9"),
    ],
)
async def test_a_forged_address_dodges_no_limit(
    tmp_path: Path, proxies: int, forwarded: str, another: str | None
) -> None:
    """L7: the peer counts for what proxies did not say, and a /64 is one; others are not hit."""
    async with in_process(tmp_path, allauth_trusted_proxy_count=proxies) as suite:
        codes = [await _guess(suite, forwarded.format(number)) for number in range(1, 12)]
        other = another and await _guess(suite, another)

    assert set(codes[:10]) == {"email_password_mismatch"}
    assert codes[10] == "too_many_login_attempts"
    assert other in (None, "email_password_mismatch")


# Security headers


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path) as running:
        yield running


def requests() -> Iterator[tuple[str, str, dict[str, str], int]]:
    """Yield a request for each layer that may answer, and the status that it has."""
    for kind in ("app", "browser"):
        root = f"/_allauth/{kind}/v1"
        yield "GET", f"{root}/config", {}, 200
        yield "GET", f"{root}/auth/session", {}, 401
        yield "GET", f"{root}/nothing", {}, 404
        yield "PUT", f"{root}/config", {}, 405
        yield "GET", f"{root}/config", {"Host": "evil.example"}, 400
        yield "POST", f"{root}/auth/login", {"Content-Length": "70000"}, 400
    yield "POST", "/_allauth/browser/v1/auth/login", {}, 403
    yield "GET", "/_allauth/app/v1/config", {"X-Session-Token": "bogus"}, 410
    yield "GET", "/nothing", {}, 404
    yield "GET", "/inbox.json", {}, 200


@pytest.mark.parametrize(("method", "path", "headers", "status"), list(requests()))
async def test_every_answer_is_fenced(
    suite: InProcess, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """N10: not stored, sniffed, framed or referred to, whoever answers; each said once."""
    content = b"x" * 70000 if "Content-Length" in headers else None
    response = await suite.client("app").http.request(
        method, path, headers=headers, content=content
    )

    assert response.status_code == status
    for name, value in {
        "cache-control": "no-store",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
        "cross-origin-opener-policy": "same-origin",
        "cross-origin-resource-policy": "same-origin",
        "referrer-policy": "same-origin",
        "x-content-type-options": "nosniff",
        "x-frame-options": "DENY",
    }.items():
        assert response.headers.get_list(name) == [value]
    assert "strict-transport-security" not in response.headers


async def test_a_page_keeps_a_policy_of_its_own(suite: InProcess) -> None:
    suite.apps["session"].add_route("/page", _page)
    response = await suite.client("app").http.get("/page")

    assert response.headers.get_list("content-security-policy") == ["default-src 'self'"]
    assert response.headers["x-frame-options"] == "DENY"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({}, None),
        ({"secure_hsts_include_subdomains": True, "secure_hsts_preload": True}, None),
        ({"secure_hsts_seconds": 3600}, "max-age=3600"),
        (
            {"secure_hsts_seconds": 60, "secure_hsts_include_subdomains": True},
            "max-age=60; includeSubDomains",
        ),
        (
            {
                "secure_hsts_seconds": 31536000,
                "secure_hsts_include_subdomains": True,
                "secure_hsts_preload": True,
            },
            "max-age=31536000; includeSubDomains; preload",
        ),
    ],
)
async def test_browsers_come_back_by_https_if_it_is_so_set(
    tmp_path: Path, changes: dict[str, Any], said: str | None
) -> None:
    async with at_https(tmp_path, **changes) as (_, client):
        for path in (CONFIG, "/nothing"):
            response = await client.http.get(path)
            assert response.headers.get("strict-transport-security") == said


async def test_hsts_is_not_said_where_people_come_by_http(tmp_path: Path) -> None:
    async with in_process(tmp_path, secure_hsts_seconds=3600) as suite:
        response = await suite.client("app").http.get(CONFIG)

    assert "strict-transport-security" not in response.headers


# Cookies


class HostBound(Client):
    """A browser at a suite whose CSRF cookie is tied to the host."""

    def credentials(self) -> dict[str, str]:
        """Return what pages send along."""
        token = self.http.cookies.get("__Host-csrftoken") or ""
        return {"X-CSRFToken": token, "Origin": self.origin, "Referer": f"{self.origin}/"}


@pytest.mark.parametrize("samesite", ["lax", "strict", "none"])
async def test_everything_works_with_cookies_that_are_tied_to_the_host(
    tmp_path: Path, samesite: str
) -> None:
    """N8: `__Host-` for both, Secure and SameSite as set, from sign-up to a logout."""
    terms = {
        "session_cookie_name": "__Host-sessionid",
        "csrf_cookie_name": "__Host-csrftoken",
        "session_cookie_samesite": samesite,
        "csrf_cookie_samesite": samesite,
    }
    async with in_process(tmp_path, public_url=LOCAL, **terms) as suite:
        browser = HostBound("browser", httpx.ASGITransport(suite.apps["session"]), LOCAL)
        suite.clients.append(browser)
        person = await enrolled(suite, browser)
        await person.log_out()
        await person.log_in()
        code = await person.fresh_code()
        answer = await browser.post("auth/2fa/authenticate", {"code": code})
        forged = await browser.call("DELETE", TOTP, headers={"X-CSRFToken": "a" * 32})
        cookies = attributes(answer.headers)
        ended = attributes((await person.log_out()).headers)

    assert (answer.status, forged.status) == (200, 403)
    assert cookies.keys() == {"__Host-sessionid", "__Host-csrftoken"}
    for cookie in (*cookies.values(), ended["__Host-sessionid"]):
        assert {"secure", "path=/", f"samesite={samesite}"} <= cookie
        assert not any(part.startswith("domain") for part in cookie)
    assert "httponly" in cookies["__Host-sessionid"]
    assert "max-age=0" in ended["__Host-sessionid"]


@pytest.mark.parametrize(("remember", "kept"), [(None, True), (True, True), (False, False)])
async def test_a_session_outlives_the_browser_as_it_is_set(
    tmp_path: Path, remember: bool | None, kept: bool
) -> None:
    async with in_process(tmp_path, account_session_remember=remember) as suite:
        browser = suite.client("browser")
        answer = await Person(suite=suite, client=browser).sign_up()
        cookies = attributes(answer.headers)
        still = await browser.get("auth/session")

    lasts = {part.partition("=")[0] for part in cookies["sessionid"]} & {"max-age", "expires"}
    assert lasts == ({"max-age"} if kept else set())
    assert "max-age=31449600" in cookies["csrftoken"]
    assert still.status == 200


async def _guess(suite: InProcess, forwarded: str) -> str:
    """Return what is answered to a wrong password for an address of its own, so forwarded."""
    body = {"email": f"p{token_hex(6)}@example.org", "password": "wrong"}
    headers = {"X-Forwarded-For": forwarded}
    answer = await suite.client("app").call("POST", "auth/login", body, headers=headers)
    return answer.codes[0]


async def _page(_: Request) -> Response:
    return Response(headers={"Content-Security-Policy": "default-src 'self'"})


async def _fail(_: Request) -> Response:
    raise ZeroDivisionError
