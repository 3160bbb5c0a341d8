"""What operators do to accounts from the command line."""

import asyncio
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from pwd import getpwuid
from unittest.mock import patch

import pytest
from click.testing import CliRunner, Result
from sqlalchemy import select

from services.cli import countersign
from services.cli.environment import KEY_FILES
from services.cli.failing import EX_CONFIG
from services.cli.keys import make
from services.embedded import create_apps, living, load_settings, transports_to
from services.session.domain.mails import MailKind
from services.session.flows import build_mails
from services.session.settings import Settings
from services.session.store.tables import outbox
from shared.auth import Caller
from shared.cipher import KeyRing
from shared.clock import utc_now
from shared.database import Database, Row, Statement
from shared.http import connect
from shared.settings import load
from shared.trust import TrustClient
from tests.cli.running import run
from tests.journeys.suite import in_process
from tests.suites import PATIENCE, ROOT
from tests.tables import create_tables

ADA = "ada@example.org"
PASSWORD = "correct-horse-9"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"

_EVENTS = Statement(select(outbox.c.type, outbox.c.context).order_by(outbox.c.seq))
_LEASE = timedelta(minutes=1)
EX_USAGE = 2  # click's


@dataclass(frozen=True)
class Desk:
    """Where an operator sits: a database with its keys, and the command."""

    variables: dict[str, str]
    url: str
    sealing_keys: Path

    def user(self, *arguments: str, typed: str | None = None) -> Result:
        """Run `countersign user …`, with `typed` on standard input."""
        with patch.dict(os.environ, self.variables, clear=True):
            return CliRunner().invoke(countersign, ["user", *arguments], input=typed)

    def show(self, person: str) -> dict[str, object]:
        """Return what the command shows of somebody."""
        ended = self.user("show", person, "--json")
        assert ended.exit_code == 0, ended.output
        facts: dict[str, object] = json.loads(ended.stdout)
        return facts

    def events(self) -> list[str]:
        """Return the types of all events so far."""
        return asyncio.run(self._events())

    def told(self) -> list[MailKind]:
        """Take every mail that is due; return what kinds they are."""
        return asyncio.run(self._told())

    def context(self) -> dict[str, object]:
        """Return on whose behalf the last event happened."""
        context: dict[str, object] = json.loads(asyncio.run(self._rows())[-1].context)
        return context

    async def _events(self) -> list[str]:
        return [row.type.removeprefix("mfa.session.") for row in await self._rows()]

    async def _rows(self) -> list[Row]:
        db = Database(self.url, source="session")
        try:
            return await db.all(_EVENTS)
        finally:
            await db.close()

    async def _told(self) -> list[MailKind]:
        db = Database(self.url, source="session")
        mails = build_mails(db, KeyRing.parse(self.sealing_keys.read_text()))
        kinds = []
        try:
            while due := await mails.take(utc_now(), _LEASE):
                kinds.append(mails.open(due).kind)
                await mails.sent(due.id)
        finally:
            await db.close()
        return kinds


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A desk with a database that has its tables, and nobody in it."""
    make(tmp_path / "keys")
    url = f"sqlite:///{tmp_path / 'session.db'}"
    recovery_url = f"sqlite:///{tmp_path / 'recovery.db'}"
    create_tables(url, "services.session.migrations")
    create_tables(recovery_url, "services.recovery.migrations")
    return Desk(
        variables={
            "VAR_DIR": str(tmp_path),
            "SESSION_DATABASE_URL": url,
            "RECOVERY_DATABASE_URL": recovery_url,
            "BROKER_URL": "redis://127.0.0.1:1/0",
            "SMTP_URL": "smtp://127.0.0.1:1",
            **{f"{name}_FILE": str(tmp_path / "keys" / path) for name, path in KEY_FILES.items()},
        },
        url=url,
        sealing_keys=tmp_path / "keys" / KEY_FILES["SESSION_SEALING_KEYS"],
    )


def create(desk: Desk, *options: str) -> str:
    """Make an account, and return its id."""
    ended = desk.user("create", ADA, "--verified", *options)
    assert ended.exit_code == 0, ended.output
    return ended.stdout.strip()


def test_an_account_is_made_and_shown(desk: Desk) -> None:
    ended = desk.user("create", " ADA@example.org", "--password-stdin", typed=f"{PASSWORD}\n")
    facts = desk.show(ADA)

    assert ended.exit_code == 0
    assert facts["id"] == ended.stdout.strip()
    assert (facts["email"], facts["has_password"], facts["verified_at"]) == (ADA, True, None)
    assert facts["addresses"] == [{"email": ADA, "primary": True, "verified": False}]
    assert (facts["authenticators"], facts["live_sessions"]) == ([], 0)
    assert (facts["second_factor_failures"], facts["limited_until"]) == (0, None)
    assert desk.events() == ["user_created"]
    assert desk.told() == [MailKind.ACCOUNT_CREATED]


def test_an_account_may_have_no_password(desk: Desk) -> None:
    create(desk)

    assert desk.show(ADA)["has_password"] is False


def test_a_password_is_asked_for_twice_and_not_shown(desk: Desk) -> None:
    ended = desk.user("create", ADA, "--password", typed=f"{PASSWORD}\n{PASSWORD}\n")

    assert ended.exit_code == 0
    assert PASSWORD not in ended.output
    assert desk.show(ADA)["has_password"] is True


@pytest.mark.parametrize(
    ("arguments", "typed", "reason"),
    [
        ((ADA, "--password-stdin"), "1234567\n", "too short"),
        ((ADA, "--password-stdin"), "", "no password on standard input"),
        (("nobody",), None, "is no e-mail address"),
    ],
)
def test_what_cannot_be_made_is_refused_in_plain_words(
    desk: Desk, arguments: Sequence[str], typed: str | None, reason: str
) -> None:
    ended = desk.user("create", *arguments, typed=typed)

    assert ended.exit_code == 1
    assert reason in ended.output
    assert "1234567" not in ended.output
    assert desk.events() == []


def test_a_taken_address_is_refused(desk: Desk) -> None:
    create(desk)

    ended = desk.user("create", "Ada@Example.org")

    assert ended.exit_code == 1
    assert "There is an account called ada@example.org." in ended.output


def test_an_account_is_made_and_looked_after_by_its_username(desk: Desk) -> None:
    named = {"ACCOUNT_SIGNUP_FIELDS": "email*,username,password1*"}
    desk = replace(desk, variables={**desk.variables, **named})
    made = create(desk, "--username", "Ada")

    facts = desk.show("aDA")
    assert (facts["id"], facts["username"], facts["email"]) == (made, "Ada", ADA)
    taken = desk.user("create", "bob@example.org", "--username", "ADA")
    assert (taken.exit_code, "called bob@example.org or ADA" in taken.output) == (1, True)
    assert desk.user("disable", "ada").exit_code == 0
    assert desk.user("delete", "ada", "--yes").exit_code == 0
    assert desk.show(made)["username"] is None


@pytest.mark.parametrize("arguments", [(), ("--username", "Ada", "--verified")])
def test_an_account_is_called_something(desk: Desk, arguments: Sequence[str]) -> None:
    assert desk.user("create", *arguments).exit_code == EX_USAGE


@pytest.mark.parametrize(
    "command",
    [
        ("show",),
        ("disable",),
        ("enable",),
        ("unlock",),
        ("sessions",),
        ("sessions", "--end-all"),
        ("reset-mfa", "--yes"),
        ("delete", "--yes"),
        ("delete",),
    ],
)
def test_nobody_is_told_to_be_nobody(desk: Desk, command: Sequence[str]) -> None:
    ended = desk.user(command[0], "bob@example.org", *command[1:])

    assert ended.exit_code == 1
    assert "There is nobody called" in ended.output
    assert "Traceback" not in ended.output


def test_an_account_is_disabled_and_enabled(desk: Desk) -> None:
    user_id = create(desk)

    assert desk.user("disable", user_id).exit_code == 0
    assert desk.show(user_id)["disabled_at"] is not None
    again = desk.user("disable", ADA)
    assert (again.exit_code, "is disabled already" in again.output) == (1, True)
    assert desk.user("enable", ADA).exit_code == 0
    assert desk.show(user_id)["disabled_at"] is None
    assert desk.events() == ["user_created", "user_disabled", "user_enabled"]
    assert desk.told()[1:] == [MailKind.ACCOUNT_DISABLED, MailKind.ACCOUNT_ENABLED]


def test_an_account_is_unlocked_and_reset(desk: Desk) -> None:
    create(desk)

    assert desk.user("unlock", ADA).exit_code == 0
    assert desk.user("reset-mfa", ADA, "--yes").exit_code == 0

    assert desk.events()[1:] == ["user_unlocked", "second_factor_reset"]
    assert desk.told()[1:] == [MailKind.ACCOUNT_UNLOCKED, MailKind.SECOND_FACTOR_RESET]


def test_a_reset_says_of_who_has_no_password_that_there_is_no_way_in(desk: Desk) -> None:
    """Before it asks, and once it is done."""
    create(desk)

    declined = desk.user("reset-mfa", ADA, typed="n\n")
    assert "without authenticators nobody can log in" in declined.output
    assert desk.events() == ["user_created"]
    done = desk.user("reset-mfa", ADA, "--yes")
    assert (done.exit_code, "nobody can log in to the account now" in done.output) == (0, True)
    assert "without authenticators" not in done.output
    for said in (declined.output, done.output):
        assert "Whoever signs up with its address and gives the code" in said
        assert "has the same account, and all open sessions end" in said


def test_a_reset_says_no_such_thing_of_who_has_a_password(desk: Desk) -> None:
    assert desk.user("create", ADA, "--password-stdin", typed=f"{PASSWORD}\n").exit_code == 0

    for done in (desk.user("reset-mfa", ADA, typed="y\n"), desk.user("reset-mfa", ADA, "--yes")):
        assert done.exit_code == 0
        assert "There is no password" not in done.output


@pytest.mark.parametrize("command", ["reset-mfa", "delete"])
def test_what_cannot_be_undone_is_asked_about_first(desk: Desk, command: str) -> None:
    create(desk)

    declined = desk.user(command, ADA, typed="n\n")
    events = desk.events()
    confirmed = desk.user(command, ADA, typed="y\n")

    assert declined.exit_code == 1
    assert ADA in declined.output
    assert events == ["user_created"]
    assert confirmed.exit_code == 0
    assert len(desk.events()) == 2


def test_who_is_deleted_is_a_tombstone_and_the_address_is_free(desk: Desk) -> None:
    user_id = create(desk)

    assert desk.user("delete", ADA, "--yes").exit_code == 0

    facts = desk.show(user_id)
    assert (facts["email"], facts["has_password"]) == (None, False)
    assert facts["deleted_at"] is not None
    assert desk.user("show", ADA).exit_code == 1
    for command in (["enable"], ["unlock"], ["reset-mfa", "--yes"], ["delete", "--yes"]):
        ended = desk.user(command[0], user_id, *command[1:])
        assert (ended.exit_code, "is deleted" in ended.output) == (1, True)
    assert create(desk) != user_id
    assert desk.told()[1] == MailKind.ACCOUNT_DELETED


def test_a_factor_that_is_no_more_is_shown_and_waived(desk: Desk) -> None:
    user_id = create(desk)
    assert desk.show(user_id)["to_be_forgotten"] is None
    with closing(sqlite3.connect(desk.url.removeprefix("sqlite:///"))) as database:
        for factor in ("smoke_signals", "totp"):
            database.execute("INSERT INTO keepers VALUES (?, ?)", (user_id, factor))
        database.commit()
    waive = ("delete", user_id, "--without", "smoke_signals")
    too_early = desk.user(*waive, "--yes")
    assert (too_early.exit_code, "is not deleted" in too_early.output) == (1, True)
    assert desk.user("delete", ADA, "--yes").exit_code == 0

    waiting = desk.show(user_id)["to_be_forgotten"]
    declined = desk.user(*waive, typed="n\n")
    confirmed = desk.user(*waive, typed="y\n")

    assert isinstance(waiting, dict)
    assert (waiting["by"], waiting["not_configured"]) == (
        ["smoke_signals", "totp"],
        ["smoke_signals"],
    )
    assert (declined.exit_code, confirmed.exit_code) == (1, 0)
    assert user_id in declined.output
    assert desk.events()[-1] == "user_erasure_waived"
    left = desk.show(user_id)["to_be_forgotten"]
    assert isinstance(left, dict)
    assert (left["by"], left["not_configured"]) == (["totp"], [])
    assert desk.user(*waive, "--yes").exit_code == 1


def test_what_is_shown_is_for_people(desk: Desk) -> None:
    create(desk)

    shown = desk.user("show", ADA).stdout

    assert "has password                no" in shown
    assert "authenticators              none" in shown
    assert f"email {ADA}, primary yes, verified yes" in shown
    assert desk.user("sessions", ADA).stdout == "There is no session.\n"


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_an_id_that_looks_like_an_option_is_none(desk: Desk, options: list[str]) -> None:
    user_id = "-hJryYDUK5r969FTwwW7Sn"
    with patch("services.session.flows.operate.new_token", lambda _: user_id):
        create(desk)

    for arguments in (["show", user_id, *options], ["show", *options, "--", user_id]):
        ended = desk.user(*arguments)
        assert ended.exit_code == 0, ended.output
        assert ADA in ended.output
    assert desk.user("sessions", ADA, "--end", user_id).exit_code == 1
    assert desk.user("delete", "--yes", user_id).exit_code == 0


def test_sessions_are_ended_one_or_all(desk: Desk) -> None:
    create(desk)

    assert desk.user("sessions", ADA, "--end", "nonsense").exit_code == 1
    assert desk.user("sessions", ADA, "--end", "x", "--end-all").exit_code == 2
    assert desk.user("sessions", ADA, "--end-all").exit_code == 0
    assert json.loads(desk.user("sessions", ADA, "--json").stdout) == []
    assert desk.told()[1:] == [MailKind.SESSIONS_ENDED]


@pytest.mark.long
async def test_a_session_of_the_suite_is_listed_and_ended(tmp_path: Path) -> None:
    """A process of its own, beside a suite that goes on: a user agent cannot steer the terminal."""
    async with in_process(tmp_path) as suite:
        client = suite.client("app")
        credentials = {"email": ADA, "password": PASSWORD}
        suite.clock.now = utc_now()
        await client.post("auth/signup", credentials)
        key = await suite.mailed_code(ADA)
        headers = {"User-Agent": "a\x1b[2Jb"}
        await client.call("POST", "auth/email/verify", {"key": key}, headers=headers)
        variables = {
            "VAR_DIR": str(tmp_path),
            "SESSION_DATABASE_URL": suite.settings.session_database_url.get_secret_value(),
            "BROKER_URL": "redis://127.0.0.1:1/0",
            "SMTP_URL": "smtp://127.0.0.1:1",
            **{f"{name}_FILE": str(tmp_path / "keys" / path) for name, path in KEY_FILES.items()},
        }

        listed = await asyncio.to_thread(_apart, variables, "sessions", ADA)
        ended = await asyncio.to_thread(_apart, variables, "sessions", ADA, "--end-all")

        assert listed.returncode == 0, listed.stderr
        heading, line = listed.stdout.splitlines()
        assert heading.index("USER AGENT") == line.index('"a\\u001b[2Jb"')
        assert "\x1b" not in listed.stdout
        assert ended.returncode == 0, ended.stderr
        assert (await client.get("auth/session")).status == 410


def test_without_settings_it_says_what_is_missing(tmp_path: Path) -> None:
    ended = run("user", "show", ADA, VAR_DIR=str(tmp_path))

    assert ended.exit_code == EX_CONFIG
    assert "SESSION_DATABASE_URL is not set" in ended.output


def test_without_tables_it_says_so(desk: Desk, tmp_path: Path) -> None:
    desk.variables["SESSION_DATABASE_URL"] = f"sqlite:///{tmp_path / 'empty.db'}"

    ended = desk.user("show", ADA)

    assert ended.exit_code == 1
    assert "Traceback" not in ended.output


def _apart(variables: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "services.cli", "user", *arguments],
        env={"PATH": os.environ["PATH"], **variables},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


# Trust in browsers


def test_the_browsers_that_somebody_trusts_are_listed_and_revoked(desk: Desk) -> None:
    """K7: in this process, where recovery's settings are."""
    user_id = create(desk)
    older, newer = (asyncio.run(trust_a_browser(desk, user_id)) for _ in range(2))

    listed = json.loads(desk.user("trust", ADA, "--json").stdout)
    assert sorted(browser["id"] for browser in listed) == sorted([older, newer])
    assert {browser["name"] for browser in listed} == {"Firefox on Linux"}
    assert listed[0].keys() == {"id", "name", "created_at", "last_used_at", "expires_at"}
    one = desk.user("trust", user_id, "--revoke", older)
    assert (one.exit_code, one.stdout) == (0, "The browser is trusted no more.\n")
    heading, line = desk.user("trust", ADA).stdout.splitlines()
    assert heading.split() == ["ID", "NAME", "CREATED", "AT", "LAST", "USED", "AT", "EXPIRES", "AT"]
    assert line.startswith(f"{newer}  Firefox on Linux  ")
    assert heading.index("NAME") == line.index("Firefox")
    rest = desk.user("trust", ADA, "--revoke-all")
    assert (rest.exit_code, rest.stdout) == (0, "No browser is trusted now.\n")
    none = desk.user("trust", ADA, "--revoke-all")
    assert (none.exit_code, none.stdout) == (0, "There is no trusted browser.\n")
    assert desk.user("trust", ADA).stdout == "There is no trusted browser.\n"

    assert desk.events() == ["user_created", "user_trust_revoked", "user_trust_revoked"]
    assert desk.told()[1:] == [MailKind.TRUST_REVOKED, MailKind.TRUST_REVOKED]


def test_only_browsers_of_that_person_are_revoked(desk: Desk) -> None:
    """K7."""
    user_id = create(desk)
    asyncio.run(trust_a_browser(desk, "somebody"))
    own = asyncio.run(trust_a_browser(desk, user_id))

    for wrong in ("b" * 22, "not an id", "somebody"):
        ended = desk.user("trust", ADA, "--revoke", wrong)
        assert ended.exit_code == 1
        assert f"trusts no browser {wrong}" in ended.output
    assert desk.user("trust", ADA, "--revoke", own, "--revoke-all").exit_code == 2
    assert desk.user("trust", "nobody@example.org").exit_code == 1
    assert len(json.loads(desk.user("trust", ADA, "--json").stdout)) == 1


def test_without_recovery_here_it_is_called(desk: Desk) -> None:
    create(desk)
    del desk.variables["RECOVERY_DATABASE_URL"]
    ended = desk.user("trust", ADA)

    assert ended.exit_code == 1
    assert "recovery" in ended.output
    assert desk.told()[1:] == []


async def trust_a_browser(desk: Desk, user_id: str) -> str:
    """Have a browser trusted, as session does, and return its id."""
    with patch.dict(os.environ, desk.variables, clear=True):
        apps = create_apps(load_settings(["recovery"]))
        key = load(Settings).session_caller_key
    async with living(list(apps.values())):
        keeper = TrustClient(
            connect(
                "http://recovery",
                caller=Caller(key, utc_now),
                audience="recovery",
                transport=transports_to(apps)["recovery"],
            )
        )
        trusted = await keeper.trust(user_id, factor_epoch=0, tokens=[], user_agent=FIREFOX)
        await keeper.close()
    return trusted.browser_id


def test_an_act_says_which_operator_did_it(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """D3: as the machine knows them, behind `sudo` who called that."""
    monkeypatch.setattr("services.cli.operator.gethostname", lambda: "desk-1")
    assert desk.user("create", ADA).exit_code == 0

    context = desk.context()
    assert context["operator"] == f"{getpwuid(os.getuid()).pw_name}@desk-1"
    assert context["request_id"]

    by_sudo = replace(desk, variables=desk.variables | {"SUDO_USER": "grace"})
    assert by_sudo.user("disable", ADA).exit_code == 0
    assert desk.context()["operator"] == "grace@desk-1"
