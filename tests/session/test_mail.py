"""Mail leaves as written, to the right server or the development inbox, and to nobody else."""

import asyncio
import json
import re
import ssl
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from fastapi import FastAPI
from hypothesis import example, given
from hypothesis import strategies as st

from services.session.api.browser import Cookie
from services.session.domain.mails import Mail, MailKind
from services.session.gateway.letters import compose
from services.session.gateway.postbox import Inbox, Smtp, Undeliverable, postbox_for, text_of
from services.session.gateway.templates import Templates
from services.session.pages import inbox as inbox_page
from services.session.pages.press import Press
from services.session.pages.site import Site
from shared.clock import utc_now
from shared.errors import ConfigurationError, Unavailable

WRITTEN_AT = datetime(2026, 5, 4, 3, 2, 1, tzinfo=UTC)
CODE = "BCDF-GHJK"
NOTICED = {"time": "2026-05-04 03:02:01 UTC", "factor": "totp"}


def letter(
    kind: MailKind = MailKind.VERIFICATION_CODE,
    *,
    to: str = "ada@example.org",
    message_id: str = "m1",
) -> EmailMessage:
    facts = {"code": CODE} if kind is MailKind.VERIFICATION_CODE else NOTICED
    return compose(
        Mail(id="1", kind=kind, to=to, facts=facts),
        sender="Countersign <no-reply@login.example.org>",
        public_url="https://login.example.org",
        message_id=message_id,
        written_at=WRITTEN_AT,
        templates=Templates(),
    )


class Server:
    """Keeps what it is sent, and refuses what it is told to."""

    def __init__(self) -> None:
        self.received: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.refuse_recipient = ""
        self.refuse_data = ""
        self.encrypted: list[bool] = []
        self.users: list[str] = []

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: object
    ) -> str:
        if self.refuse_recipient:
            return self.refuse_recipient
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, _server: SMTP, session: Session, envelope: Envelope
    ) -> str:
        if self.refuse_data:
            return self.refuse_data
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        self.received.append(message)
        self.recipients += envelope.rcpt_tos
        self.encrypted.append(session.ssl is not None)
        return "250 OK"

    def authenticate(
        self, _server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: object
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        good = (data.login, data.password) == (b"count:er", b"s/gn")
        if good:
            self.users.append(data.login.decode())
        return AuthResult(success=good)


@pytest.fixture
def server() -> Server:
    return Server()


@asynccontextmanager
async def listening(
    server: Server, ssl_context: ssl.SSLContext | None = None, **options: Any
) -> AsyncIterator[int]:
    """Serve SMTP on a free port of this machine, and name the port."""
    loop = asyncio.get_running_loop()
    listener = await loop.create_server(
        lambda: SMTP(server, hostname="localhost", loop=loop, **options),
        "127.0.0.1",
        ssl=ssl_context,
    )
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        listener.close()
        await listener.wait_closed()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with the key and certificate of "localhost", which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.now(UTC) - timedelta(hours=1))
        .not_valid_after(datetime.now(UTC) + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "localhost.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + signed.public_bytes(serialization.Encoding.PEM)
    )
    return file


@pytest.fixture
def server_tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture
def trusted(certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))


def test_the_code_is_alone_on_a_line_of_the_text() -> None:
    text = text_of(letter())

    assert re.findall(r"(?m)^[A-Z]{4}-[A-Z]{4}$", text) == [CODE]


def test_a_letter_to_a_known_address_has_no_code() -> None:
    message = letter(MailKind.ACCOUNT_EXISTS)

    assert not re.search(r"[A-Z]{4}-[A-Z]{4}", message.as_string())
    assert message["Subject"] == "You already have an account at login.example.org"


def test_every_kind_of_mail_has_a_text() -> None:
    assert all(text_of(letter(kind)).strip() for kind in MailKind)


def test_a_letter_composed_again_is_the_same_letter() -> None:
    assert letter().as_bytes() == letter().as_bytes()
    assert letter()["Message-ID"] == "<m1@login.example.org>"


def test_links_name_the_configured_url() -> None:
    """N11: links come from configuration alone; nothing of a request reaches a letter."""
    urls = re.findall(r"https?://[^\s,]+", text_of(letter()))

    assert set(urls) == {"https://login.example.org"}


@example("É,É É:É")  # which Python folds into a header of its own
@example("\r\nBcc: eve")
@given(st.text(st.characters(codec="utf-8"), min_size=1))
def test_a_recipient_cannot_add_headers(text: str) -> None:
    try:
        message = letter(to=f"a{text}@example.org")
    except Undeliverable:
        return

    assert message_from_bytes(message.as_bytes(), policy=default).keys() == letter().keys()


async def test_a_mail_server_gets_the_message(server: Server) -> None:
    async with listening(server) as port:
        await postbox_for(f"smtp://localhost:{port}", Path()).deliver(letter())

    assert server.recipients == ["ada@example.org"]
    assert server.received[0]["Message-ID"] == "<m1@login.example.org>"
    assert CODE in text_of(server.received[0])


@pytest.mark.usefixtures("trusted")
async def test_starttls_encrypts_before_user_and_password_are_sent(
    server: Server, server_tls: ssl.SSLContext
) -> None:
    options: dict[str, Any] = {
        "tls_context": server_tls,
        "require_starttls": True,
        "authenticator": server.authenticate,
        "auth_required": True,
    }
    async with listening(server, **options) as port:
        url = f"smtp+starttls://count%3Aer:s%2Fgn@localhost:{port}"
        await postbox_for(url, Path()).deliver(letter())

    assert (server.encrypted, server.users) == ([True], ["count:er"])


@pytest.mark.usefixtures("trusted")
async def test_smtps_is_encrypted_from_the_start(
    server: Server, server_tls: ssl.SSLContext
) -> None:
    async with listening(server, ssl_context=server_tls) as port:
        await postbox_for(f"smtps://localhost:{port}", Path()).deliver(letter())

    assert len(server.received) == 1


async def test_an_untrusted_certificate_stops_the_mail(
    server: Server, server_tls: ssl.SSLContext
) -> None:
    async with listening(server, tls_context=server_tls) as port:
        postbox = postbox_for(f"smtp+starttls://localhost:{port}", Path())
        with pytest.raises(Unavailable):
            await postbox.deliver(letter())

    assert server.received == []


async def test_without_starttls_nothing_is_sent_where_it_is_asked_for(server: Server) -> None:
    async with listening(server) as port:
        postbox = postbox_for(f"smtp+starttls://localhost:{port}", Path())
        with pytest.raises(Unavailable):
            await postbox.deliver(letter())

    assert server.received == []


@pytest.mark.parametrize(
    ("recipient", "data", "outcome"),
    [
        ("550 no such person", "", Undeliverable),
        ("450 come back later", "", Unavailable),
        ("", "554 spam", Undeliverable),
        ("", "452 disk full", Unavailable),
    ],
)
async def test_a_final_refusal_is_told_from_a_passing_one(
    server: Server, recipient: str, data: str, outcome: type[Exception]
) -> None:
    server.refuse_recipient, server.refuse_data = recipient, data

    async with listening(server) as port:
        with pytest.raises(outcome):
            await postbox_for(f"smtp://localhost:{port}", Path()).deliver(letter())


async def test_a_server_that_is_away_is_for_now(server: Server) -> None:
    async with listening(server) as port:
        pass

    with pytest.raises(Unavailable):
        await postbox_for(f"smtp://127.0.0.1:{port}", Path()).deliver(letter())


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://mail", Smtp(host="mail", port=25)),
        ("smtp+starttls://mail", Smtp(host="mail", port=587, starttls=True)),
        ("smtps://mail:4650/", Smtp(host="mail", port=4650, tls=True)),
        ("smtp://a:b@[::1]", Smtp(host="::1", port=25, user="a", password="b")),
    ],
)
def test_a_url_says_how_to_reach_the_server(url: str, expected: Smtp) -> None:
    assert postbox_for(url, Path()) == expected


@pytest.mark.parametrize(
    "url",
    [
        "http://mail",
        "smtp://",
        "smtp://mail:x",
        "smtp://mail/path",
        "smtp://mail?x=y",
        "smtp://ada:s3cret@mail",
    ],
)
def test_a_url_that_cannot_work_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        postbox_for(url, Path())

    assert "SMTP_URL" in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_a_password_is_not_shown() -> None:
    assert "s3cret" not in repr(postbox_for("smtps://ada:s3cret@mail", Path()))


async def test_the_inbox_is_for_its_owner_only(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path / "inbox")

    await inbox.deliver(letter())

    (file,) = inbox.directory.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(inbox.directory.stat().st_mode) == 0o700
    assert file.suffix == ".eml"


async def test_a_message_that_comes_twice_is_in_the_inbox_once(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)

    await inbox.deliver(letter())
    await inbox.deliver(letter())

    assert len(inbox.messages(10)) == 1


async def test_the_inbox_shows_the_newest_first(tmp_path: Path) -> None:
    inbox = Inbox(tmp_path)
    for number in range(3):
        await inbox.deliver(letter(to=f"{number}@example.org", message_id=f"m{number}"))

    newest = [message["To"] for message in inbox.messages(2)]

    assert newest == ["2@example.org", "1@example.org"]


async def test_an_inbox_that_cannot_be_written_is_for_now(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(Unavailable):
        await Inbox(tmp_path / "file").deliver(letter())


@pytest_asyncio.fixture
async def page(tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    app = FastAPI()
    cookie = Cookie(name="csrftoken", age=None, secure=False, httponly=False)
    press = Press(Site(cookie=cookie), cookie, utc_now)
    inbox_page.add(app, tmp_path, press, pages=False)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
        yield client


async def test_the_page_lists_the_letters_as_json(page: httpx.AsyncClient, tmp_path: Path) -> None:
    await Inbox(tmp_path).deliver(letter())

    answer = await page.get("/inbox.json")

    (message,) = answer.json()["messages"]
    assert (message["to"], CODE in message["text"]) == ("ada@example.org", True)
    assert answer.headers["Cache-Control"] == "no-store"


async def test_the_page_escapes_what_it_shows(page: httpx.AsyncClient, tmp_path: Path) -> None:
    hostile = letter()
    hostile.clear_content()
    hostile.set_content("<script>alert(1)</script>")
    await Inbox(tmp_path).deliver(hostile)

    answer = await page.get("/inbox")

    assert "<script>" not in answer.text
    assert "&lt;script&gt;" in answer.text
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_an_empty_inbox_is_no_error(page: httpx.AsyncClient) -> None:
    assert json.loads((await page.get("/inbox.json")).text) == {"messages": []}
    assert (await page.get("/inbox")).status_code == 200
