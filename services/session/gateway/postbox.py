"""Where finished messages go: a mail server, or a folder in development."""

import asyncio
import os
import tempfile
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from ipaddress import ip_address
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiosmtplib

from shared.errors import ConfigurationError, CountersignError, Unavailable

TIMEOUT = 20.0  # seconds for each step of a delivery
PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
PERMANENT = 500  # replies from here on are final (RFC 5321 section 4.2.1)


class Undeliverable(CountersignError):
    """The server will not take this message, now or later."""

    code = "undeliverable"


class Postbox(Protocol):
    """Takes messages."""

    async def deliver(self, message: EmailMessage) -> None:
        """Hand `message` over. Raises Undeliverable for good, Unavailable for now.

        The same message may come again: delivery is at least once.
        """


@dataclass(frozen=True, kw_only=True)
class Smtp:
    """A mail server, reached anew for each message.

    With `tls` the connection is encrypted from the start, with `starttls` it has to become so
    before anything is sent; without both, it does if the server offers it.
    """

    host: str
    port: int
    tls: bool = False
    starttls: bool = False
    user: str | None = None
    password: str | None = field(default=None, repr=False)

    async def deliver(self, message: EmailMessage) -> None:
        """Send `message`. Raises as Postbox says."""
        try:
            await aiosmtplib.send(
                message,
                hostname=self.host,
                port=self.port,
                username=self.user,
                password=self.password,
                use_tls=self.tls,
                start_tls=True if self.starttls else None,
                timeout=TIMEOUT,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            if all(refusal.code >= PERMANENT for refusal in error.recipients):
                raise Undeliverable("the mail server refuses the recipient") from error
            raise Unavailable("the mail server does not take the recipient now") from error
        except aiosmtplib.SMTPDataError as error:
            if error.code >= PERMANENT:
                raise Undeliverable("the mail server refuses the message") from error
            raise Unavailable("the mail server does not take the message now") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Unavailable(f"the mail server is away: {type(error).__name__}") from error

    async def ping(self) -> None:
        """Raise Unavailable unless the server greets us, and takes our password if we have one."""
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.user,
            password=self.password,
            use_tls=self.tls,
            start_tls=True if self.starttls else None,
            timeout=TIMEOUT,
        )
        try:
            async with client:
                await client.noop()
        except (aiosmtplib.SMTPException, OSError) as error:
            raise Unavailable(f"the mail server is away: {type(error).__name__}") from error


@dataclass(frozen=True)
class Inbox:
    """A folder that stands in for all mailboxes in development: one file for each message.

    Folder and files are for their owner only, since the codes in them open accounts.
    """

    directory: Path

    async def deliver(self, message: EmailMessage) -> None:
        """Write `message`; one that comes again replaces itself. Raises Unavailable."""
        await asyncio.to_thread(self._write, message)

    def messages(self, limit: int) -> list[EmailMessage]:
        """Return the newest `limit` messages, newest first."""
        found = sorted(map(_age_and_path, self.directory.glob("*.eml")), reverse=True)
        return [message for _, file in found[:limit] if (message := _parsed(file)) is not None]

    def _write(self, message: EmailMessage) -> None:
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.directory.chmod(0o700)
            # mkstemp makes files with mode 0600, and the rename makes them appear whole.
            descriptor, name = tempfile.mkstemp(dir=self.directory, suffix=".part")
            with os.fdopen(descriptor, "wb") as file:
                file.write(message.as_bytes())
            Path(name).replace(self.directory / f"{_file_stem(message)}.eml")
        except OSError as error:
            raise Unavailable(f"the inbox cannot be written: {error.strerror}") from error


def postbox_for(smtp_url: str | None, inbox: Path) -> Postbox:
    """Return the mail server of `smtp_url`, or the folder `inbox` where there is none.

    `smtp_url` is `smtp://`, `smtp+starttls://` or `smtps://` with `[user:password@]host[:port]`;
    user and password are percent-encoded. Raises ConfigurationError, which never repeats it.
    """
    if smtp_url is None:
        return Inbox(inbox)
    if problems := smtp_problems(smtp_url):
        raise ConfigurationError([f"SMTP_URL {problem}." for problem in problems])
    parts = urlsplit(smtp_url)
    return Smtp(
        host=parts.hostname or "",
        port=parts.port or PORTS[parts.scheme],
        tls=parts.scheme == "smtps",
        starttls=parts.scheme == "smtp+starttls",
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
    )


def smtp_problems(smtp_url: str) -> list[str]:
    """Return what cannot work about a mail server's URL, as predicates, without repeating it."""
    try:
        parts = urlsplit(smtp_url)
        _ = parts.port  # read for its error alone
    except ValueError:
        return ["is not a URL"]
    found = []
    if parts.scheme not in PORTS:
        found.append("must begin with smtp://, smtp+starttls:// or smtps://")
    if not parts.hostname:
        found.append("names no host")
    elif parts.scheme == "smtp" and parts.password and not _is_loopback(parts.hostname):
        found.append("would send its password in the clear: use smtps:// or smtp+starttls://")
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        found.append("has something after its host and port")
    return found


def text_of(message: EmailMessage) -> str:
    """Return the text of a message, without its HTML."""
    body = message.get_body(("plain",))
    return "" if body is None else str(body.get_content())


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _file_stem(message: EmailMessage) -> str:
    local = message["Message-ID"].strip("<>").partition("@")[0]
    return "".join(character if character.isalnum() else "-" for character in local)


def _age_and_path(file: Path) -> tuple[int, Path]:
    try:
        return file.stat().st_mtime_ns, file
    except FileNotFoundError:  # somebody empties the folder while we look
        return 0, file


def _parsed(file: Path) -> EmailMessage | None:
    try:
        content = file.read_bytes()
    except FileNotFoundError:
        return None
    return BytesParser(EmailMessage, policy=policy.default).parsebytes(content)
