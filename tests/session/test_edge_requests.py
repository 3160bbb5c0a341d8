"""The edge in front of the real flows: what passes it, what does not, and in which shape."""

import json
import logging
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import structlog
from fastapi import FastAPI
from pydantic import SecretStr
from starlette.types import Receive, Scope, Send
from structlog.testing import capture_logs

from services.session.api import edge, envelope
from services.session.domain.access import Access
from services.session.flows import PasswordHasher, Policy, build_flows
from services.session.flows.outcomes import Outcome, Throttled
from services.session.main import create_app, edge_settings
from shared.cipher import CannotOpen
from shared.database import Database
from shared.errors import CountersignError, Unavailable
from shared.http import create_service
from tests.journeys.client import Client
from tests.journeys.person import TOTP, Person, enrolled, pending
from tests.journeys.suite import InProcess, in_process

EVERYWHERE = ("config", "auth/session", "account/authenticators", TOTP)
WRITES = (
    "auth/signup",
    "auth/login",
    "auth/email/verify",
    "auth/2fa/authenticate",
    "auth/reauthenticate",
    "auth/2fa/reauthenticate",
    TOTP,
)
CANARY = "canary-7f3a"
MAIL_SERVER = "smtp://localhost:2525"


@pytest_asyncio.fixture
async def suite(tmp_path: Path) -> AsyncIterator[InProcess]:
    async with in_process(tmp_path) as running:
        yield running


@pytest.fixture(params=["app", "browser"])
def client(suite: InProcess, request: pytest.FixtureRequest) -> Client:
    return suite.client(request.param)


@pytest.fixture
def app(suite: InProcess) -> Client:
    return suite.client("app")


@pytest.fixture
def browser(suite: InProcess) -> Client:
    return suite.client("browser")


# Cookies and tokens


async def test_the_session_cookie_is_kept_from_scripts_and_other_sites(
    suite: InProcess, browser: Client
) -> None:
    """N8: HttpOnly, SameSite, for this host alone; as long as the session lives."""
    answer = await _signing_up(suite, browser)

    cookies = _set_cookies(answer)
    assert cookies["sessionid"] >= {"httponly", "samesite=lax", "path=/", "max-age=1209600"}
    assert "httponly" not in cookies["csrftoken"]
    assert not any(part.startswith("domain") for part in cookies["sessionid"])


async def test_cookies_are_secure_where_people_come_by_https(tmp_path: Path) -> None:
    """N8: Secure, and the name that browsers tie to the host, over HTTPS."""
    https = "https://login.example.org"
    changes = {
        "public_url": https,
        "session_cookie_name": "__Host-sessionid",
        "smtp_url": SecretStr(MAIL_SERVER),
    }
    async with in_process(tmp_path, countersign_development=False, **changes) as suite:
        client = Client("browser", httpx.ASGITransport(suite.apps["session"]), https)
        answer = await _signing_up(suite, client)
        await client.close()

    cookies = _set_cookies(answer)
    assert "secure" in cookies["__Host-sessionid"]
    assert "secure" in cookies["csrftoken"]


async def test_a_token_of_an_app_is_nothing_in_a_cookie(
    suite: InProcess, app: Client, browser: Client
) -> None:
    """N8: the two kinds of session do not stand in for each other."""
    await Person(suite=suite, client=app).sign_up()
    browser.http.cookies.set("sessionid", app.token or "")

    answer = await browser.get("auth/session")

    assert (answer.status, answer.meta["is_authenticated"]) == (401, False)


async def test_a_cookie_of_a_browser_is_no_token(
    suite: InProcess, app: Client, browser: Client
) -> None:
    """N8: the two kinds of session do not stand in for each other."""
    await Person(suite=suite, client=browser).sign_up()
    app.token = browser.http.cookies["sessionid"]

    assert (await app.get("auth/session")).status == 410


async def test_neither_client_heeds_the_others_credential(
    suite: InProcess, app: Client, browser: Client
) -> None:
    """N9: app endpoints ignore cookies, and browsers' ignore tokens."""
    await Person(suite=suite, client=browser).sign_up()
    await Person(suite=suite, client=app).sign_up()
    cookies = "; ".join(f"{c.name}={c.value}" for c in browser.http.cookies.jar)

    with_cookies = await suite.client("app").call(
        "GET", "auth/session", headers={"Cookie": cookies}
    )
    with_token = await suite.client("browser").call(
        "GET", "auth/session", headers={"X-Session-Token": app.token or ""}
    )

    assert (with_cookies.status, with_token.status) == (401, 401)
    assert "set-cookie" not in with_cookies.headers


async def test_apps_get_no_cookies(suite: InProcess, app: Client) -> None:
    answer = await Person(suite=suite, client=app).sign_up()

    assert "set-cookie" not in answer.headers


async def test_a_gone_token_is_gone_everywhere(app: Client) -> None:
    app.token = "bogus"

    for path in EVERYWHERE:
        answer = await app.get(path)
        assert (answer.status, answer.meta) == (410, {"is_authenticated": None})


@pytest.mark.parametrize("token", ["x" * 5000, "\xff", "a b", "' OR 1=1 --"])
async def test_odd_tokens_are_gone_and_nothing_worse(app: Client, token: str) -> None:
    response = await app.http.get(
        "/_allauth/app/v1/auth/session", headers={b"X-Session-Token": token.encode("latin-1")}
    )

    assert response.status_code == 410


async def test_a_browser_whose_session_is_gone_loses_the_cookie(browser: Client) -> None:
    browser.http.cookies.set("sessionid", "bogus", domain="localhost.local", path="/")

    answer = await browser.get("auth/session")

    assert "max-age=0" in _set_cookies(answer)["sessionid"]


# Cross-site requests


@pytest.mark.parametrize(
    "headers",
    [
        {"X-CSRFToken": ""},
        {"X-CSRFToken": "a" * 32},
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "", "Referer": "https://evil.example/"},
    ],
    ids=["no token", "wrong token", "foreign origin", "no origin", "foreign referer"],
)
async def test_a_browser_writes_only_from_our_pages(
    browser: Client, headers: dict[str, str]
) -> None:
    """N9: token and Origin on every write, before anything else is looked at."""
    await browser.get("config")

    for path in WRITES:
        answer = await browser.call("POST", path, {}, headers=headers)
        assert answer.body == {"status": 403}


async def test_a_foreign_page_cannot_turn_totp_off(suite: InProcess, browser: Client) -> None:
    """N9: what would weaken an account is refused, and nothing changed."""
    await enrolled(suite, browser)

    forged = await browser.call("DELETE", TOTP, headers={"Origin": "https://evil.example"})

    assert forged.status == 403
    listed = (await browser.get("account/authenticators")).body["data"]
    assert [entry["type"] for entry in listed] == ["totp", "recovery_codes"]


async def test_a_login_changes_the_csrf_token(suite: InProcess, browser: Client) -> None:
    """N9: a token that was planted before the login is worth nothing after it."""
    await browser.get("config")
    planted = browser.http.cookies["csrftoken"]

    await Person(suite=suite, client=browser).sign_up()

    answer = await browser.call("DELETE", "auth/session", headers={"X-CSRFToken": planted})
    assert answer.status == 403


async def test_any_reading_sets_the_csrf_cookie_and_keeps_it(browser: Client) -> None:
    for path in EVERYWHERE:
        assert "csrftoken" in _set_cookies(await browser.get(path))
    first = browser.http.cookies["csrftoken"]
    await browser.get("config")

    assert browser.http.cookies["csrftoken"] == first


async def test_a_made_up_csrf_cookie_is_not_repeated(browser: Client) -> None:
    answer = await browser.call("GET", "config", headers={"Cookie": 'csrftoken="<script>"'})

    assert "script" not in answer.headers["set-cookie"]


# Hosts


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "evil@localhost"])
async def test_only_our_own_hosts_are_served(app: Client, host: str) -> None:
    """N11: a Host that is not on the list gets 400, whatever the path."""
    for path in ("/_allauth/app/v1/config", "/inbox.json", "/nothing"):
        response = await app.http.get(path, headers={"Host": host})
        errors = response.json()["errors"]
        assert (response.status_code, errors[0]["code"]) == (400, "invalid_host")
        assert response.headers["cache-control"] == "no-store"


async def test_no_answer_and_no_mail_repeats_a_host(suite: InProcess, client: Client) -> None:
    """N11: X-Forwarded-Host and its like reach nothing."""
    person = Person(suite=suite, client=client)
    await client.get("config")
    forged = {"X-Forwarded-Host": CANARY, "Forwarded": f"host={CANARY}", "X-Original-URL": CANARY}
    answer = await client.call("POST", "auth/signup", person.credentials, headers=forged)
    await suite.deliver()
    letters = (await client.http.get("/inbox.json")).text

    assert person.email in letters
    assert CANARY not in letters + json.dumps(answer.body) + str(answer.headers)


# Shapes


async def test_nothing_is_ever_to_be_stored(suite: InProcess, client: Client) -> None:
    """N10: every answer says no-store; the client asserts it of each. Also where nothing is."""
    person = await enrolled(suite, client)
    await client.get("nothing")
    await client.call("PATCH", "auth/session")
    await client.call("POST", "auth/login", raw=b"{")
    await person.log_out()
    for path in ("/", "/docs", "/inbox.json", "/_allauth/"):
        assert (await client.http.get(path)).headers["cache-control"] == "no-store"


async def test_unknown_paths_and_wrong_methods_have_the_shape_of_all_else(client: Client) -> None:
    await client.get("config")
    unknown = await client.get("auth/nothing")
    wrong = await client.call("PUT", "auth/login", {})
    slash = await client.get("config/")

    assert (unknown.body, wrong.body, slash.body) == (
        {"status": 404},
        {"status": 405},
        {"status": 404},
    )
    assert wrong.headers["allow"] == "POST"


async def test_the_methods_of_a_path_are_all_named(client: Client) -> None:
    answer = await client.call("PATCH", TOTP)

    assert sorted(answer.headers["allow"].split(", ")) == ["DELETE", "GET", "POST"]


@pytest.mark.parametrize(
    "path", ["/docs", "/redoc", "/openapi.json", "/metrics", "/healthz", "/readyz", "/v1/events"]
)
async def test_the_public_port_has_the_public_api_and_nothing_else(app: Client, path: str) -> None:
    """D6: documentation, metrics and health are not public."""
    response = await app.http.get(path)

    assert (response.status_code, response.json()) == (404, {"status": 404})


async def test_the_inbox_is_for_development_without_a_mail_server(tmp_path: Path) -> None:
    """D6: codes are on no public page where mail is sent, nor outside development."""
    for name, change in (
        ("sent", {"smtp_url": MAIL_SERVER}),
        ("public", {"smtp_url": MAIL_SERVER, "countersign_development": False}),
    ):
        async with in_process(tmp_path / name, **change) as suite:
            for path in ("/inbox", "/inbox.json"):
                assert (await suite.client("app").http.get(path)).status_code == 404


@pytest.mark.parametrize("peer", ["192.0.2.1", "2001:db8::1", "::ffff:192.0.2.1", "", None])
async def test_the_inbox_is_for_this_machine_alone(suite: InProcess, peer: str | None) -> None:
    """D6: to any other there is no such page, whatever headers say."""
    app = suite.apps["session"]
    forged = {"x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1"}
    for path in ("/inbox", "/inbox.json"):
        assert await _status_for(app, path, peer, forged) == 404
        assert await _status_for(app, path, "127.0.0.1", {}) == 200
        assert await _status_for(app, path, "::1", {}) == 200
        assert await _status_for(app, path, "::ffff:127.0.0.1", {}) == 200


async def _status_for(app: FastAPI, path: str, peer: str | None, headers: dict[str, str]) -> int:
    """Return what a peer is answered, or one that has no address."""

    async def from_peer(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "client": None if peer is None else (peer, 1)}, receive, send)

    transport = httpx.ASGITransport(from_peer)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost:8000") as http:
        return (await http.get(path, headers=headers)).status_code


# Trouble


async def test_what_nobody_foresaw_is_told_by_its_status_alone(suite: InProcess) -> None:
    """D6: a last resort, without stack trace, in the shape of everything else."""

    async def break_down(_call: edge.Call) -> Outcome:
        """Fail in a way that nobody foresaw."""
        raise RuntimeError(CANARY)

    async with _serving(suite, break_down) as http:
        response = await http.post("/_allauth/app/v1/try", json={})

    assert (response.status_code, response.text) == (500, '{"status":500}')


async def test_a_part_that_is_away_is_503_with_a_time_to_come_back(suite: InProcess) -> None:
    async def be_away(_call: edge.Call) -> Outcome:
        """Need something that is not there."""
        raise Unavailable(CANARY, retry_after=timedelta(milliseconds=2500))

    async with _serving(suite, be_away) as http:
        response = await http.post("/_allauth/app/v1/try", json={})

    assert (response.status_code, response.text) == (503, '{"status":503}')
    assert response.headers["retry-after"] == "3"


@pytest.mark.parametrize("kind", ["app", "browser"])
@pytest.mark.parametrize(
    ("error", "event", "traced"),
    [
        (Unavailable("The database is away."), "unavailable", False),
        (CannotOpen("A sealed value is damaged."), "request_failed", True),
    ],
)
async def test_what_breaks_down_is_logged_once(
    suite: InProcess, kind: str, error: CountersignError, event: str, traced: bool
) -> None:
    """D3: whoever reads the log learns of every 5xx, with a traceback only of what is a fault."""

    async def break_down(_call: edge.Call) -> Outcome:
        """Need something that is not there."""
        raise error

    structlog.reset_defaults()
    async with _serving(suite, break_down) as http:
        http.cookies.set("csrftoken", "a" * 32)
        headers = {"origin": suite.settings.public_url, "x-csrftoken": "a" * 32}
        with capture_logs() as logged:
            response = await http.post(f"/_allauth/{kind}/v1/try", json={}, headers=headers)

    told = [line for line in logged if line["log_level"] in ("warning", "error")]
    assert response.status_code == (500 if traced else 503)
    assert [line["event"] for line in told] == [event]
    assert ("exc_info" in told[0]) is traced


async def test_too_often_is_429_with_a_time_to_come_back(suite: InProcess) -> None:
    async def throttle(_call: edge.Call) -> Outcome:
        """Say that it was too often."""
        return Throttled(timedelta(seconds=30))

    async with _serving(suite, throttle) as http:
        response = await http.post("/_allauth/app/v1/try", json={})

    assert (response.status_code, response.text) == (429, '{"status":429}')
    assert response.headers["retry-after"] == "30"


async def test_without_its_factor_a_login_stays_pending(tmp_path: Path) -> None:
    """O4: a factor that is away is 503, and neither passes nor fails the login."""
    async with in_process(tmp_path) as suite:
        person = await pending(suite, suite.client("app"))
        away = httpx.MockTransport(_refuse_connections)
        lonely = create_app(suite.settings, suite.clock, {"totp": away})
        async with lonely.router.lifespan_context(lonely):
            client = Client("app", httpx.ASGITransport(lonely))
            client.token = person.client.token
            answer = await client.post("auth/2fa/authenticate", {"code": "123456"})
            still = await client.get("auth/session")
            await client.close()

    assert (answer.status, still.pending) == (503, ["mfa_authenticate"])
    assert int(answer.headers["retry-after"]) > 0


async def test_without_its_database_everything_is_503(tmp_path: Path) -> None:
    """L2: where nothing can be counted, nothing is let past."""
    async with in_process(tmp_path) as suite:
        settings = suite.settings.model_copy(
            update={"session_database_url": SecretStr(f"sqlite:///{tmp_path}/nowhere/session.db")}
        )
        lost = create_app(settings, suite.clock)
        async with lost.router.lifespan_context(lost):
            client = Client("app", httpx.ASGITransport(lost))
            client.token = "anything"
            answer = await client.get("auth/session")
            client.token = None
            login = await client.post("auth/login", {"email": "a@b.org", "password": "x"})
            await client.close()

    assert (answer.body, login.body) == ({"status": 503}, {"status": 503})
    assert "retry-after" in answer.headers


# Secrets


async def test_the_otpauth_uri_has_one_secret_and_no_stray_colon(
    suite: InProcess, client: Client
) -> None:
    """T11: label and issuer are encoded, the secret is there once, the picture is in the body."""
    person = Person(suite=suite, client=client)
    await person.sign_up()

    offer = await client.get(TOTP)

    label, _, query = offer.meta["totp_url"].removeprefix("otpauth://totp/").partition("?")
    assert label.count(":") <= 1
    assert "@" not in label
    assert query.count("secret=") == 1
    assert offer.meta["totp_svg"].startswith("<svg")
    assert not re.search(r"(?:href|src)=", offer.meta["totp_svg"])
    assert offer.headers["cache-control"] == "no-store"


async def test_no_secret_reaches_a_log_or_an_address(
    suite: InProcess,
    client: Client,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """T12, D6, N10: neither codes, right or wrong, nor passwords, secrets, tokens or addresses."""
    caplog.set_level(logging.DEBUG)
    structlog.reset_defaults()
    person = Person(suite=suite, client=client, password=f"Password-{CANARY}")
    planted = [person.password, person.email]
    with capture_logs() as logged:
        await person.sign_up()
        await person.reauthenticate()
        await person.turn_on_totp()
        planted.append(person.secret)
        await person.log_out()
        await person.log_in()
        for code in ("314159", await person.fresh_code()):
            await client.post("auth/2fa/authenticate", {"code": code})
            planted.append(code)
        await client.post("auth/login", {"email": person.email, "password": f"{CANARY}-wrong"})
        await client.call("POST", "auth/login", raw=f'{{"password": "{CANARY}"'.encode())
        planted += [CANARY, client.token or client.http.cookies["sessionid"]]

    captured = capsys.readouterr()
    everything = json.dumps(logged, default=repr) + caplog.text + captured.out + captured.err
    assert '"event": "request"' in everything
    assert [secret for secret in planted if secret in everything] == []


# Helpers


@pytest.fixture
def suite_settings(suite: InProcess) -> Any:
    def changed(**changes: object) -> Any:
        return suite.settings.model_copy(update=changes)

    return changed


async def _signing_up(suite: InProcess, client: Client) -> Any:
    await client.get("config")
    return await client.post("auth/signup", Person(suite=suite, client=client).credentials)


def _set_cookies(answer: Any) -> dict[str, set[str]]:
    """Return the attributes of each cookie that an answer sets, in lower case."""
    cookies = {}
    for header in answer.headers.get_list("set-cookie"):
        pair, *attributes = header.split(";")
        cookies[pair.partition("=")[0]] = {part.strip().lower() for part in attributes}
    return cookies


@asynccontextmanager
async def _serving(suite: InProcess, handler: edge.Handler) -> AsyncIterator[httpx.AsyncClient]:
    """Serve one handler at `try`, behind the edge."""
    routes = edge.Routes()
    routes.post("/try", access=Access.ANYONE)(handler)
    settings = suite.settings
    app = create_service("session", errors=envelope.shape)
    db = Database(settings.session_database_url.get_secret_value(), source="session")
    hasher = PasswordHasher(queue=0)
    flows = build_flows(
        db,
        ring=settings.session_sealing_keys,
        factors={},
        clock=suite.clock,
        policy=Policy(),
        hasher=hasher,
    )
    edge.mount(app, [routes], flows, edge_settings(settings))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url=settings.public_url) as http:
        yield http
    hasher.close()


def _refuse_connections(request: httpx.Request) -> httpx.Response:
    raise httpx.ConnectError("refused", request=request)
