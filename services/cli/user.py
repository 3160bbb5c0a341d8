"""`countersign user`: what operators do to accounts, on session's database, at once."""

import asyncio
import json
import logging
import re
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime
from typing import TypeVar

import click
import structlog

from services.cli.environment import adopt, recall
from services.cli.failing import telling
from services.cli.operator import act
from services.embedded import create_apps, living, load_settings, transports_to
from services.session.flows import build_operating
from services.session.flows.operate import Operating
from services.session.flows.passwords import PasswordHasher
from services.session.flows.trust import KEEPER
from services.session.settings import Settings
from services.session.store.people import Erasure, LiveSession, Person
from shared.auth import Caller
from shared.clock import utc_now
from shared.database import Database
from shared.errors import ConfigurationError, Malformed
from shared.http import connect
from shared.settings import load
from shared.trust import Browser, TrustClient

MAX_PASSWORD = 4096  # characters read, of which the rules for passwords refuse most

LIKE_AN_OPTION = re.compile(r"-[A-Za-z0-9_-]{21}")  # an id: 16 random bytes in base64url
TAKES_AN_ID = ("--end", "--revoke")  # of something else than a person

BY_MAIL = (
    "but by mail: by a login code, where these are on, and by signing up anew. Whoever signs up "
    "with its address and gives the code that is mailed there has the same account, and all open "
    "sessions end, as when a password is reset by mail."
)
LAST_WAY_IN = (
    f"There is no password: without authenticators nobody can log in to the account {BY_MAIL}"
)
NO_WAY_IN = (
    f"There is no password: nobody can log in to the account now {BY_MAIL} Until then a session "
    "that is still open can set a password or add a passkey."
)

T = TypeVar("T")

person_argument = click.argument("person")
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
yes_option = click.option("--yes", is_flag=True, help="Do not ask whether it is meant.")


class AboutPerson(click.Command):
    """A command whose PERSON may be an id that begins with `-`; no option is as long as one."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Set an id apart from the options."""
        before = ["", *args]
        ids = [
            argument
            for argument, previous in zip(args, before, strict=False)
            if LIKE_AN_OPTION.fullmatch(argument)
            and previous not in TAKES_AN_ID
            and "--" not in args
        ]
        others = [argument for argument in args if argument not in ids]
        return super().parse_args(ctx, [*others, "--", *ids] if ids else args)


@click.group()
def user() -> None:
    """Look after accounts. PERSON is an e-mail address, a username or a user id."""


@user.command()
@click.argument("email", required=False)
@click.option("--username", help="What the account is called, where accounts have usernames.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--password", "ask", is_flag=True, help="Ask for the password.")
@click.option("--verified", is_flag=True, help="Take the address as verified.")
@telling
def create(
    email: str | None, *, username: str | None, password_stdin: bool, ask: bool, verified: bool
) -> None:
    """Make an account, and print its id.

    Without a password it has none: it is for whoever signs up with its address and gives the code
    that is mailed there. EMAIL can be left out where people need none to sign up.
    """
    if email is None and username is None:
        raise click.UsageError("An account is called something: EMAIL, --username or both.")
    if email is None and verified:
        raise click.UsageError("There is no address to be taken as verified.")
    if password_stdin and ask:
        raise click.UsageError("A password comes from one place.")
    password = None
    if password_stdin:
        password = _password_from_stdin()
    elif ask:
        password = click.prompt("Password", hide_input=True, confirmation_prompt=True)
    click.echo(_run(lambda do: do.create(email, password, username=username, verified=verified)))


@user.command(cls=AboutPerson)
@person_argument
@json_option
@telling
def show(person: str, *, as_json: bool) -> None:
    """Show what there is to know about an account."""
    facts = _run(lambda do: _all_facts(do, person))
    if as_json:
        click.echo(json.dumps(facts))
        return
    for name, value in facts.items():
        click.echo(f"{name.replace('_', ' '):<28}{_plain(value)}")


@user.command(cls=AboutPerson)
@person_argument
@telling
def disable(person: str) -> None:
    """Disable an account. Its sessions and logins under way end at once."""
    _run(lambda do: do.disable(person))
    click.echo("Disabled.")


@user.command(cls=AboutPerson)
@person_argument
@telling
def enable(person: str) -> None:
    """Let an account that was disabled be used again."""
    _run(lambda do: do.enable(person))
    click.echo("Enabled.")


@user.command(cls=AboutPerson)
@person_argument
@telling
def unlock(person: str) -> None:
    """Forget the failures that were counted for an account."""
    _run(lambda do: do.unlock(person))
    click.echo("Unlocked.")


@user.command(cls=AboutPerson)
@person_argument
@click.option("--end", metavar="ID", help="End this session.")
@click.option("--end-all", is_flag=True, help="End every session, and every login under way.")
@json_option
@telling
def sessions(person: str, *, end: str | None, end_all: bool, as_json: bool) -> None:
    """List the sessions in which somebody is logged in, or end them."""
    if end is not None and end_all:
        raise click.UsageError("End one session, or all.")
    if end_all:
        _run(lambda do: do.end_sessions(person))
        click.echo("All sessions have ended.")
    elif end is not None:
        session_id = end
        _run(lambda do: do.end_session(person, session_id))
        click.echo("The session has ended.")
    else:
        _list_sessions(_run(lambda do: do.sessions(person)), as_json=as_json)


@user.command(cls=AboutPerson)
@person_argument
@click.option("--revoke", metavar="ID", help="Trust this browser no more.")
@click.option("--revoke-all", is_flag=True, help="Trust none any more.")
@json_option
@telling
def trust(person: str, *, revoke: str | None, revoke_all: bool, as_json: bool) -> None:
    """List the browsers that somebody trusts, in place of a second factor, or revoke that."""
    if revoke is not None and revoke_all:
        raise click.UsageError("Revoke one browser, or all.")
    if revoke is None and not revoke_all:
        browsers = _ask_keeper(lambda do, keeper: do.trusted_browsers(person, keeper))
        _list_browsers(browsers, as_json=as_json)
        return
    if _ask_keeper(lambda do, keeper: do.revoke_trust(person, keeper, revoke)):
        click.echo("The browser is trusted no more." if revoke else "No browser is trusted now.")
    else:
        click.echo("There is no trusted browser.")


@user.command("reset-mfa", cls=AboutPerson)
@person_argument
@yes_option
@telling
def reset_mfa(person: str, *, yes: bool) -> None:
    """Take all authenticators of an account away: from then on a password will do.

    Who has none cannot log in any more, and signs up anew: then whoever gives the code that is
    mailed to the address has the account.
    """
    question = "Take all authenticators away from {}?"
    _confirm(person, question, yes=yes, without_password=LAST_WAY_IN)
    has_password = _run(lambda do: do.reset_mfa(person))
    click.echo("The second factor is reset.")
    if not has_password:
        click.echo(NO_WAY_IN)


@user.command(cls=AboutPerson)
@person_argument
@yes_option
@click.option(
    "--without",
    metavar="FACTOR",
    help="Let who is deleted already count as forgotten by this factor, which is no more.",
)
@telling
def delete(person: str, *, yes: bool, without: str | None) -> None:
    """Delete a person for good. Every service forgets them; the id is never used again."""
    if without is not None:
        question = f"Whatever the factor {without} holds of {{}} may be left there for ever. Go on?"
        _confirm(person, question, yes=yes)
        _run(lambda do: do.waive_erasure(person, without))
        click.echo(f"Nobody waits for {without} any more.")
        return
    _confirm(person, "Delete {} for good?", yes=yes)
    _run(lambda do: do.delete(person))
    click.echo("Deleted. The factors and the ledger will be asked until all have forgotten.")


def _confirm(person: str, question: str, *, yes: bool, without_password: str = "") -> None:
    """Ask whether it is meant, by the name of whom it would happen to.

    `without_password` is said first of who has none.
    """
    if yes:
        return
    found = _run(lambda do: do.find(person))
    if without_password and not found.has_password:
        click.echo(without_password)
    click.confirm(question.format(found.name), abort=True)


def _run(work: Callable[[Operating], Awaitable[T]]) -> T:
    """Do `work` on session's database, as the settings of the suite say."""
    adopt(recall())
    return asyncio.run(_on_database(load(Settings), work))


async def _on_database(settings: Settings, work: Callable[[Operating], Awaitable[T]]) -> T:
    act()
    url = settings.session_database_url.get_secret_value()
    db = Database(url, source="session", connections=1)
    hasher = PasswordHasher(
        queue=0,
        threads=1,
        memory=settings.password_hash_memory,
        passes=settings.password_hash_passes,
    )
    operating = build_operating(
        db,
        ring=settings.session_sealing_keys,
        clock=utc_now,
        policy=settings.policy,
        hasher=hasher,
    )
    await db.connect()
    try:
        await db.ping()  # or SQLite would make an empty file
        return await work(operating)
    finally:
        hasher.close()
        await db.close()


def _ask_keeper(work: Callable[[Operating, TrustClient], Awaitable[T]]) -> T:
    """Do `work` on session's database, and with whoever keeps trust."""

    async def ask(do: Operating) -> T:
        async with _keeper(load(Settings)) as keeper:
            return await work(do, keeper)

    return _run(ask)


@asynccontextmanager
async def _keeper(settings: Settings) -> AsyncIterator[TrustClient]:
    """Have the recovery service asked: in this process if it is told here where its data is.

    In one process with session it listens nowhere. Where each has a machine of its own, it is
    called, by session's right to do so.
    """
    try:
        own = load_settings([KEEPER])
    except ConfigurationError:
        apps = {}
    else:
        apps = create_apps(own)
    with _quietly():
        async with living(list(apps.values())):
            transport = transports_to(apps).get(KEEPER)
            caller = Caller(settings.session_caller_key, utc_now)
            http = connect(
                settings.recovery_url, caller=caller, audience=KEEPER, transport=transport
            )
            keeper = TrustClient(http)
            try:
                yield keeper
            finally:
                await keeper.close()


@contextmanager
def _quietly() -> Iterator[None]:
    """Log nothing but what is wrong: what a command prints is its answer."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    try:
        yield
    finally:
        structlog.configure(**before)


def _password_from_stdin() -> str:
    """Return the first line of standard input. A password is no argument: others can see those."""
    line = sys.stdin.readline(MAX_PASSWORD + 2).rstrip("\r\n")
    if not line or len(line) > MAX_PASSWORD:
        raise Malformed("There is no password on standard input.")
    return line


async def _all_facts(do: Operating, name: str) -> dict[str, object]:
    person = await do.find(name)
    return {
        **_facts(person),
        "limited_until": _time(await do.limited_until(person)),
        "to_be_forgotten": _pending(await do.erasure(person)),
    }


def _pending(erasure: Erasure | None) -> dict[str, object] | None:
    """Return how far it is with forgetting somebody; None if nobody has to, or all have."""
    if erasure is None:
        return None
    configured = load(Settings).factor_urls
    return {
        "since": _time(erasure.created_at),
        "attempts": erasure.attempts,
        "next_at": _time(erasure.due_at),
        "by": list(erasure.factors),
        "not_configured": [factor for factor in erasure.factors if factor not in configured],
    }


def _facts(person: Person) -> dict[str, object]:
    return {
        "id": person.id,
        "email": person.email,
        "username": person.username,
        "verified_at": _time(person.verified_at),
        "addresses": [
            {
                "email": address.address,
                "primary": address.primary,
                "verified": address.verified,
            }
            for address in person.addresses
        ],
        "created_at": _time(person.created_at),
        "disabled_at": _time(person.disabled_at),
        "deleted_at": _time(person.deleted_at),
        "has_password": person.has_password,
        "authenticators": [
            {
                "type": entry.type,
                "created_at": _time(entry.created_at),
                "last_used_at": _time(entry.last_used_at),
            }
            for entry in person.register.entries
        ],
        "authenticators_changing": person.register.pending is not None,
        "second_factor_failures": person.mfa_failures,
        "second_factor_rests_until": (
            _time(person.mfa_rests_until) if person.mfa_rests_until > utc_now() else None
        ),
        "live_sessions": person.live_sessions,
    }


def _list_sessions(sessions: list[LiveSession], *, as_json: bool) -> None:
    facts: list[dict[str, str | None]] = [
        {
            "id": session.id,
            "client": session.client,
            "created_at": _time(session.created_at),
            "last_seen_at": _time(session.last_seen_at),
            "address": session.address,
            "user_agent": session.user_agent,
        }
        for session in sessions
    ]
    _list(facts, "There is no session.", as_json=as_json)


def _list_browsers(browsers: list[Browser], *, as_json: bool) -> None:
    facts: list[dict[str, str | None]] = [
        {
            "id": browser.id,
            "name": browser.name,
            "created_at": _time(_moment(browser.created_at)),
            "last_used_at": _time(_moment(browser.last_used_at)),
            "expires_at": _time(_moment(browser.expires_at)),
        }
        for browser in browsers
    ]
    _list(facts, "There is no trusted browser.", as_json=as_json)


def _list(facts: list[dict[str, str | None]], none: str, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(facts))
    elif not facts:
        click.echo(none)
    else:
        _table(facts)


def _table(facts: list[dict[str, str | None]]) -> None:
    """Print one line for each of `facts`, under what their members are called."""
    heading = [name.replace("_", " ").upper() for name in facts[0]]
    rows = [heading, *([_plain(value) for value in line.values()] for line in facts)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("  ".join(cells).rstrip())


def _moment(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def _plain(value: object) -> str:
    """Return `value` as people read it, so that nothing in it can steer a terminal."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case []:
            return "none"
        case [*items]:
            return "; ".join(_plain(item) for item in items)
        case dict():
            return ", ".join(f"{name} {_plain(item)}" for name, item in value.items())
    text = str(value)
    return text if text.isprintable() else json.dumps(text)
