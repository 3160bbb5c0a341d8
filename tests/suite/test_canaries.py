"""Nothing that people prove themselves by is in an event, a queue, a table, a log or any file."""

import asyncio
import json
import re
from base64 import b32decode, b64encode, urlsafe_b64encode
from collections.abc import Awaitable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pyotp
import pytest

from services.suite import SERVICES
from tests.journeys.client import Answer, Client, Json
from tests.journeys.keys import KeyHolder
from tests.journeys.person import CODES, Person
from tests.journeys.suite import Running
from tests.servers import STEWARD, postgresql_schema
from tests.suites import RunningSuite, running_suite, until
from tests.trail import bound_queue

NEW_PASSWORD, WRONG_KEY = "canary-of-a-new-password", "canary-of-a-wrong-key"
WRONG_PASSWORD = "canary-of-a-wrong-password"
WRONG_CODE = "CANARY-9876543"
SHORT = 8  # characters, below which a canary would be found by chance
LOUD = {"LOG_LEVEL": "DEBUG", "HEADLESS_TOKEN_STRATEGY": "jwt"}
MAILED = re.compile(r"(?m)^(?:([A-Z]{4}-[A-Z]{4})|http\S+/([^\s/]{20,})/?)$")
HAPPENED = (
    "mfa.recovery.code_accepted",
    "mfa.recovery.trust_given",
    "mfa.session.second_factor_failed",
    "mfa.session.email_added",
    "mfa.session.login_code_failed",
    "mfa.session.password_reset",
    "mfa.webauthn.activated",
)
"""Events by which all is in the ledger that people did."""


class Canaries:
    """Secrets that were used, each by what it is."""

    def __init__(self) -> None:
        self.secrets: dict[str, str] = {"wrong password": WRONG_PASSWORD, "wrong code": WRONG_CODE}

    def add(self, what: str, secret: str | None) -> None:
        """Note a secret; one that is None was not what was asked for."""
        assert secret, what
        self.secrets[what] = secret

    def found_in(self, content: bytes) -> list[str]:
        """Return which of them, as they are or in another form, are in `content`."""
        return [
            what
            for what, secret in self.secrets.items()
            if any(form in content for form in forms_of(secret))
        ]


def forms_of(secret: str) -> Iterator[bytes]:
    """Yield how a secret might be written down."""
    raws = {secret.encode(), secret.replace("-", "").encode()}
    if secret.isalnum() and secret.isupper() and len(secret) % 8 == 0:
        raws.add(b32decode(secret))  # a seed, as the bytes that it is
    for raw in raws:
        if len(raw) >= SHORT:
            yield raw
            yield raw.hex().encode()
            yield b64encode(raw).rstrip(b"=")
            yield urlsafe_b64encode(raw).rstrip(b"=")


async def use_everything(suite: RunningSuite) -> tuple[Canaries, Person]:
    """Go through everything that takes or gives a secret, as an app and in a browser."""
    async with Running(base_url=suite.base_url) as running:
        return await _use_everything(suite, running)


async def _use_everything(suite: RunningSuite, running: Running) -> tuple[Canaries, Person]:
    canaries = Canaries()
    app = running.client("app")
    person = KeyHolder(suite=_Mailed(suite, running), client=app)
    await _sign_up(person)
    await _claim_address(suite, person, canaries)
    await person.reauthenticate()
    await person.turn_on_totp()
    canaries.add("password", person.password)
    canaries.add("seed", person.secret)
    canaries.add("session token", app.token)
    codes = await person.codes()
    for number, code in enumerate(codes):
        canaries.add(f"recovery code {number}", code)
    await person.client.get(CODES)
    assert (await person.add_key("Phone", passwordless=True)).status == 200
    await app.post("auth/login", {"email": person.email, "password": WRONG_PASSWORD})
    await _trust(running, person, codes[0], canaries)
    other = running.client("app")
    offer = await other.get("auth/webauthn/login")
    canaries.add("challenge", offer.body["data"]["request_options"]["publicKey"]["challenge"])
    await person.log_out()
    await person.log_in()
    await person.client.post("auth/2fa/authenticate", {"code": WRONG_CODE})
    canaries.add("pending session token", person.client.token)
    given = await person.give_code(codes[1])
    canaries.add("second session token", person.client.token)
    await _refresh(app, given.meta, canaries)
    await _log_in_by_code(suite, running, person, codes[2], canaries)
    await _reset_password(suite, running, person, canaries)
    for number, key in enumerate(mailed(suite)):
        canaries.add(f"mailed {number}", key)
    return canaries, person


def mailed(suite: RunningSuite, address: str | None = None) -> list[str]:
    """Return the codes and the keys of links that were mailed, oldest first."""
    texts = [text_of(message) for message in suite.mailbox.messages(address)]
    return [found for text in texts for line in MAILED.findall(text) for found in line if found]


def text_of(message: EmailMessage) -> str:
    """Return what a mail says, to whoever reads no HTML."""
    plain = message.get_body(("plain",))
    assert plain is not None
    text: str = plain.get_content()
    return text


async def answered(suite: RunningSuite, address: str, request: Awaitable[Answer]) -> str:
    """Have something mailed to `address`, and return the code or key that comes with it."""
    before = len(mailed(suite, address))
    assert (await request).status in {200, 401}
    new = await asyncio.to_thread(
        until, lambda: mailed(suite, address)[before:], f"a code to {address}"
    )
    return new[0]


@dataclass
class _Mailed:
    """A suite that runs, whose mails have codes or links."""

    suite: RunningSuite
    running: Running

    def client(self, kind: str) -> Client:
        """Return a new client of that kind."""
        return self.running.client(kind)

    async def mailed_code(self, address: str) -> str:
        """Wait for something to `address` to be verified by, and return it."""
        return (
            await asyncio.to_thread(
                until, lambda: mailed(self.suite, address), f"mail to {address}"
            )
        )[-1]

    async def fresh_code(self, secret: str) -> str:
        """Return a time-based code that was not used before."""
        return await self.running.fresh_code(secret)


async def _sign_up(person: Person) -> None:
    """Open an account, and log in to it if the code does not: a link may be opened anywhere."""
    assert (await person.client.post("auth/signup", person.credentials)).status == 401
    key = await person.suite.mailed_code(person.email)
    verified = await person.client.post("auth/email/verify", {"key": key})
    if verified.status != 200:
        assert (await person.log_in()).status == 200


async def _refresh(app: Client, meta: Json, canaries: Canaries) -> None:
    canaries.add("access token", meta["access_token"])
    canaries.add("refresh token", meta["refresh_token"])
    answer = await app.post("tokens/refresh", {"refresh_token": meta["refresh_token"]})
    assert answer.status == 200
    canaries.add("second access token", answer.body["data"]["access_token"])
    canaries.add("second refresh token", answer.body["data"]["refresh_token"])


async def _claim_address(suite: RunningSuite, person: Person, canaries: Canaries) -> None:
    await person.reauthenticate()
    address = f"second-{person.email}"
    claimed = person.client.post("account/email", {"email": address})
    key = await answered(suite, address, claimed)
    wrong = await person.client.post("auth/email/verify", {"key": WRONG_KEY})
    assert wrong.status == 400
    assert (await person.client.post("auth/email/verify", {"key": key})).status in {200, 401}
    canaries.add("wrong key", WRONG_KEY)


async def _log_in_by_code(
    suite: RunningSuite, running: Running, person: Person, second: str, canaries: Canaries
) -> None:
    client = running.client("app")
    asked = client.post("auth/code/request", {"email": person.email})
    code = await answered(suite, person.email, asked)
    assert (await client.post("auth/code/confirm", {"code": WRONG_CODE})).status == 400
    confirmed = await client.post("auth/code/confirm", {"code": code})
    assert confirmed.pending == ["mfa_authenticate"]
    assert (await client.post("auth/2fa/authenticate", {"code": second})).status == 200
    canaries.add("session token of a login by code", client.token)


async def _reset_password(
    suite: RunningSuite, running: Running, person: Person, canaries: Canaries
) -> None:
    client = running.client("app")
    asked = client.post("auth/password/request", {"email": person.email})
    key = await answered(suite, person.email, asked)
    body = {"key": key, "password": NEW_PASSWORD}
    assert (await client.post("auth/password/reset", body)).status in {200, 401}
    canaries.add("new password", NEW_PASSWORD)


async def _trust(running: Running, person: Person, code: str, canaries: Canaries) -> None:
    browser: Client = running.client("browser")
    inside = Person(suite=running, client=browser, email=person.email, password=person.password)
    await browser.get("config")
    await inside.log_in()
    answer = await inside.give_code(code, trusts=True)
    assert answer.status == 200
    cookies = {cookie.name: cookie.value for cookie in browser.http.cookies.jar}
    assert len(cookies) >= 3, cookies.keys()  # session, CSRF, trust
    for name, value in cookies.items():
        canaries.add(f"cookie {name}", value)


@pytest.mark.long
def test_no_secret_is_left_anywhere(tmp_path: Path) -> None:
    """D3, D4: searched are the ledger, the broker's file, every table, the logs, and what is kept.

    But for the development inbox, which is there to show codes that are mailed.
    """
    with running_suite(tmp_path / "var", env=LOUD) as suite, suite.follow() as events:
        canaries, person = asyncio.run(use_everything(suite))
        for kind in HAPPENED:
            events.wait_for(kind)
        user_id = json.loads(suite.run("user", "show", person.email, "--json").stdout)["id"]
        told, log = events.text, suite.output.text
        files = kept_in(suite.var_dir)
    assert user_id in told
    assert any("broker" in path.parts for path in files)
    assert sum(path.suffix == ".db" for path in files) == 5

    for path, content in files.items():
        assert not canaries.found_in(content), path
    assert not canaries.found_in(told.encode())
    assert not canaries.found_in(log.encode())


@pytest.mark.long
def test_no_secret_is_left_on_postgresql_and_rabbitmq(
    tmp_path: Path, postgresql_database: str, rabbitmq_url: str
) -> None:
    """D3, D4: the same for queues, the stream and tables there, and for links in place of codes."""
    schemas = {name: postgresql_schema(postgresql_database) for name in SERVICES}
    env = {
        **LOUD,
        "BROKER_URL": rabbitmq_url,
        **{f"{name.upper()}_DATABASE_URL": url for name, url in schemas.items()},
        "ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED": "false",
        "ACCOUNT_PASSWORD_RESET_BY_CODE_ENABLED": "false",
        "MFA_PASSKEY_SIGNUP_ENABLED": "false",  # which takes a code
    }
    with (
        running_suite(tmp_path / "var", env=env) as suite,
        bound_queue(rabbitmq_url, "listener") as published,
        suite.follow() as events,
    ):
        canaries, _ = asyncio.run(use_everything(suite))
        for kind in HAPPENED:
            events.wait_for(kind)
        tables = {
            f"{name}.{table}": rows
            for name, url in schemas.items()
            for table, rows in rows_of(url).items()
        }
        told, log = events.text, suite.output.text
        messages = [bytes_of(message) for message in published()]
        files = kept_in(suite.var_dir)
    assert {f"{name}.outbox" for name in SERVICES} < tables.keys()
    assert tables["audit.entries"]
    assert tables["session.users"]
    assert len(messages) > len(HAPPENED)

    for name, content in tables.items():
        assert not canaries.found_in(content), name
    for content in (*messages, told.encode(), log.encode(), *files.values()):
        assert not canaries.found_in(content)


def rows_of(url: str) -> dict[str, bytes]:
    """Return every row of every table in a schema, as PostgreSQL writes them: bytes as hex."""

    async def read(connection: Any) -> dict[str, bytes]:
        names = await connection.fetch(
            "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        )
        return {
            name: "\n".join(
                row["text"]
                for row in await connection.fetch(f'SELECT t::text AS text FROM "{name}" t')
            ).encode()
            for (name,) in names
        }

    return STEWARD.run(url, read)


def bytes_of(message: Any) -> bytes:
    """Return a message as it was sent: its headers, and its body."""
    body = message.body
    head = json.dumps(message.headers, default=str).encode()
    return head + (body.encode() if isinstance(body, str) else bytes(body))


def kept_in(folder: Path) -> dict[Path, bytes]:
    """Return every file that a suite keeps, but for its inbox."""
    kept = {}
    for path in folder.rglob("*"):
        name = path.relative_to(folder)
        if path.is_file() and "inbox" not in name.parts:
            with suppress(FileNotFoundError):  # what has gone meanwhile is kept no more
                kept[name] = path.read_bytes()
    return kept


def test_a_secret_would_be_found() -> None:
    """In whatever form it is written down."""
    canaries, seed = Canaries(), pyotp.random_base32()
    canaries.add("seed", seed)
    canaries.add("token", "a-token-of-somebody")

    for content in (seed.encode(), b32decode(seed), b32decode(seed).hex().encode()):
        assert canaries.found_in(b"... " + content) == ["seed"]
    assert canaries.found_in(b64encode(b"a-token-of-somebody")) == ["token"]
    assert canaries.found_in(b"nothing") == []
