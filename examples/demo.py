"""Walks two people through everything Countersign does, over HTTP as any client would.

One uses an application (a session token in a header), the other a browser (cookies); each has a
phone in software, for a passkey (`phone.py`). Every answer is checked; the first surprise ends the
walk with exit status 1.

BASE_URL names the suite (default http://localhost:8000), MAILBOX the development inbox as JSON
(default BASE_URL/inbox.json). Only the audit trail is not for clients: it is followed as operators
do, with `countersign events`, which finds the suite by VAR_DIR (default `var`); so the walk is for
a suite on this machine. A time-based code is good once, so the walk waits for new ones: with the
usual 30 seconds it takes about a minute and a half.
"""

import json
import os
import re
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, cast

import httpx
import pyotp

from phone import Phone

BASE_URL = os.environ.get("BASE_URL", "http://localhost:8000").rstrip("/")
MAILBOX = os.environ.get("MAILBOX", f"{BASE_URL}/inbox.json")
VAR_DIR = Path(os.environ.get("VAR_DIR", "var")).absolute()
EVENTS_COMMAND = (str(Path(sys.executable).with_name("countersign")), "events")
PATIENCE = 60.0  # seconds for mail and events to arrive
WRONG_CODES = 5  # after these the second factor rests
EVENTS = {
    "mfa.session.signed_up",
    "mfa.session.email_verified",
    "mfa.session.logged_in",
    "mfa.session.logged_out",
    "mfa.session.login_failed",
    "mfa.session.login_started",
    "mfa.session.reauthenticated",
    "mfa.session.password_change_failed",
    "mfa.session.password_changed",
    "mfa.session.session_ended",
    "mfa.session.second_factor_failed",
    "mfa.session.second_factor_limited",
    "mfa.session.authenticator_added",
    "mfa.session.authenticator_replaced",
    "mfa.session.authenticator_removed",
    "mfa.totp.activated",
    "mfa.totp.accepted",
    "mfa.totp.replayed",
    "mfa.totp.removed",
    "mfa.recovery.codes_generated",
    "mfa.recovery.codes_viewed",
    "mfa.recovery.code_accepted",
    "mfa.recovery.code_replayed",
    "mfa.webauthn.activated",
    "mfa.webauthn.accepted",
    "mfa.webauthn.failed",
    "mfa.webauthn.renamed",
    "mfa.webauthn.removed",
}
"""What each walk leaves in the audit trail, and more of it."""

TRUST_EVENTS = {
    "mfa.recovery.trust_given",
    "mfa.recovery.trust_used",
    "mfa.recovery.trust_revoked",
}
"""What the walk of a browser leaves besides."""

Json = dict[str, Any]


class Surprise(Exception):
    """Something else came than was expected."""


class Client:
    """Calls the API as one kind of client does."""

    kind = ""
    over = 0
    """The status by which a client learns that its session has ended."""

    def __init__(self) -> None:
        self.http = httpx.Client(base_url=f"{BASE_URL}/_allauth/{self.kind}/v1/", timeout=30)

    def headers(self) -> Mapping[str, str]:
        """Return what proves the session, beside cookies."""
        raise NotImplementedError

    def call(
        self, expected: int | tuple[int, ...], method: str, path: str, body: Json | None = None
    ) -> Json:
        """Make a request, and return the answer if it has the expected status."""
        response = self.http.request(method, path, json=body, headers=self.headers())
        answer: Json = response.json()
        wanted = (expected,) if isinstance(expected, int) else expected
        if response.status_code not in wanted or answer["status"] != response.status_code:
            raise Surprise(f"{method} {path}: expected {expected}, got {response.text}")
        self.heed(answer)
        return answer

    def heed(self, answer: Json) -> None:
        """Keep what the answer says about the session."""

    def check_ended(self) -> None:
        """Raise Surprise unless the session has ended."""
        self.call(self.over, "GET", "auth/session")

    def error(self, method: str, path: str, body: Json, code: str) -> None:
        """Make a request that is refused with the error `code`."""
        answer = self.call(400, method, path, body)
        check(code in [error["code"] for error in answer["errors"]], f"{path} said {answer}")


class App(Client):
    """Keeps the session's token itself."""

    kind = "app"
    over = 410

    def __init__(self) -> None:
        super().__init__()
        self.token = ""

    def headers(self) -> Mapping[str, str]:
        """Return the session token."""
        return {"X-Session-Token": self.token} if self.token else {}

    def heed(self, answer: Json) -> None:
        """Keep a new token."""
        self.token = answer.get("meta", {}).get("session_token", self.token)

    def forget(self) -> None:
        """Drop the token of a session that has ended."""
        self.token = ""


class Browser(Client):
    """Has the session in a cookie, and repeats the CSRF cookie in a header."""

    kind = "browser"
    over = 401

    def headers(self) -> Mapping[str, str]:
        """Return what pages send along."""
        token = self.http.cookies.get("csrftoken") or ""
        return {"X-CSRFToken": token, "Origin": BASE_URL, "Referer": f"{BASE_URL}/"}

    def forget(self) -> None:
        """Do nothing: the server has had the cookie deleted."""


class Authenticator:
    """Shows time-based codes, each for one use."""

    def __init__(self, uri: str) -> None:
        totp = pyotp.parse_uri(uri)
        check(isinstance(totp, pyotp.TOTP), f"no time-based codes: {uri}")
        self.totp = cast("pyotp.TOTP", totp)
        self.used = 0

    def code(self) -> str:
        """Return a code that has not been shown, waiting for it if need be."""
        period = self.totp.interval
        while self.used == self._step() or time.time() % period > period * 0.9:
            time.sleep(0.05)
        self.used = self._step()
        return self.totp.now()

    def _step(self) -> int:
        return int(time.time()) // self.totp.interval


class Person:
    """Somebody with an address, a password, a client, a phone, and soon an authenticator."""

    authenticator: Authenticator
    codes: list[str]

    def __init__(self, client: App | Browser) -> None:
        self.client = client
        self.id = ""
        self.email = f"{client.kind}-{secrets.token_hex(6)}@example.org"
        self.password = secrets.token_urlsafe(16)
        self.phone = Phone(BASE_URL)

    def say(self, text: str) -> None:
        """Tell whoever watches what has just worked."""
        print(f"  {self.client.kind:8}{text}", flush=True)

    @property
    def traces(self) -> set[str]:
        """What the walk leaves in the audit trail, and more of it."""
        return EVENTS | TRUST_EVENTS if self.client.kind == "browser" else EVENTS

    def read_configuration(self) -> None:
        """Look at what the suite offers."""
        config = self.client.call(200, "GET", "config")["data"]
        kinds = {"totp", "recovery_codes", "webauthn"}
        check(kinds <= set(config["mfa"]["supported_types"]), f"not all kinds here: {config}")
        check(config["mfa"]["passkey_login_enabled"], f"no login by passkey here: {config}")
        self.say("reads the configuration: log in by e-mail or passkey, TOTP and recovery codes")

    def sign_up(self) -> None:
        """Open an account, and verify the address with the code from the mail."""
        anonymous = self.client.call(401, "GET", "auth/session")
        check(flow(anonymous, "signup") is not None, "sign-up is closed")
        self.client.error(
            "POST", "auth/signup", {"email": self.email, "password": "12"}, "password_too_short"
        )
        pending = self.client.call(401, "POST", "auth/signup", self.credentials())
        check(is_pending(pending, "verify_email"), f"no verification pending: {pending}")
        self.say(f"signs up as {self.email}; a code is on its way by mail")
        code = wait_for(self.mailed_code, "the mail with the code")
        self.client.error("POST", "auth/email/verify", {"key": "BBBB-BBBB"}, "incorrect_code")
        session = self.client.call(200, "POST", "auth/email/verify", {"key": code.lower()})
        check(session["data"]["user"]["email"] == self.email, f"somebody else: {session}")
        self.id = session["data"]["user"]["id"]
        self.client.call(409, "POST", "auth/email/verify", {"key": code})
        self.say(f"verifies the address with {code}, and is logged in; the code is spent")

    def log_in_again(self) -> None:
        """Log out, and in again with the password."""
        self.log_out()
        self.client.error(
            "POST",
            "auth/login",
            {"email": self.email, "password": "wrong"},
            "email_password_mismatch",
        )
        session = self.client.call(200, "POST", "auth/login", self.credentials())
        methods = [method["method"] for method in session["data"]["methods"]]
        check(methods == ["password"], f"logged in by {methods}")
        self.client.call(200, "GET", "auth/session")
        self.say("logs in with the password")

    def change_password(self) -> None:
        """Change the password, which ends every other session."""
        path, old = "account/password/change", self.password
        elsewhere = self.log_in_elsewhere()
        new = secrets.token_urlsafe(16)
        wrong = {"current_password": "wrong", "new_password": new}
        self.client.error("POST", path, wrong, "enter_current_password")
        weak = {"current_password": old, "new_password": "12"}
        self.client.error("POST", path, weak, "password_too_short")
        self.client.call(200, "POST", path, {"current_password": old, "new_password": new})
        self.client.call(200, "GET", "auth/session")
        elsewhere.check_ended()
        self.password = new
        self.say("changes the password; another session ends with it, this one does not")

    def end_a_session(self) -> None:
        """List one's sessions, and end the one that is somewhere else."""
        elsewhere = self.log_in_elsewhere()
        listed = self.client.call(200, "GET", "auth/sessions")["data"]
        others = [session["id"] for session in listed if not session["is_current"]]
        check(len(listed) == len(others) + 1 == 2, f"not two sessions: {listed}")  # noqa: PLR2004
        left = self.client.call(200, "DELETE", "auth/sessions", {"sessions": others})["data"]
        check([session["is_current"] for session in left] == [True], f"left are {left}")
        elsewhere.check_ended()
        self.say(f"finds {len(listed)} sessions, and ends the other one")

    def log_in_elsewhere(self) -> "App | Browser":
        """Return another client, at which the same person is logged in."""
        client = type(self.client)()
        client.call(401, "GET", "auth/session")
        client.call(200, "POST", "auth/login", self.credentials())
        return client

    def turn_on_totp(self) -> None:
        """Reauthenticate, and enrol an authenticator."""
        self.client.call(404, "GET", "account/authenticators/totp")
        self.client.call(200, "POST", "auth/reauthenticate", {"password": self.password})
        offer = self.client.call(404, "GET", "account/authenticators/totp")["meta"]
        check("<svg" in offer["totp_svg"], "no QR code")
        self.say(f"proves the password again, and gets {offer['totp_url']}")
        self.authenticator = Authenticator(offer["totp_url"])
        code = self.authenticator.code()
        enrolled = self.client.call(200, "POST", "account/authenticators/totp", {"code": code})
        check(enrolled["meta"]["recovery_codes_generated"], f"no recovery codes: {enrolled}")
        listed = self.client.call(200, "GET", "account/authenticators")["data"]
        check(listed[0] == enrolled["data"], f"enrolled {enrolled}, but listed {listed}")
        self.say(f"turns TOTP on with the code {code}; recovery codes come along")

    def keep_recovery_codes(self) -> None:
        """Look at the recovery codes, and make new ones, which end those."""
        path = "account/authenticators/recovery-codes"
        shown = self.client.call(200, "GET", path)
        first = shown["data"]["unused_codes"]
        sheet = shown["meta"]["recovery_codes_text"]
        check(all(code in sheet for code in first), f"codes are missing on the sheet: {sheet}")
        self.codes = self.client.call(200, "POST", path)["data"]["unused_codes"]
        check(not set(first) & set(self.codes), "old codes among the new ones")
        self.client.error("POST", "auth/2fa/reauthenticate", {"code": first[0]}, "incorrect_code")
        self.say(f"writes down {len(first)} recovery codes, and then new ones: {self.codes[0]} …")

    def log_in_with_a_recovery_code(self) -> None:
        """Log in without the device: a recovery code takes its place, once."""
        self.log_out()
        pending = self.client.call(401, "POST", "auth/login", self.credentials())
        check(is_pending(pending, "mfa_authenticate"), f"no second step: {pending}")
        code, body = self.codes[0], {"code": self.codes[0]}
        session = self.give_second_factor(code)
        check(session["data"]["methods"][-1]["type"] == "recovery_codes", f"by {session}")
        self.client.error("POST", "auth/2fa/reauthenticate", body, "incorrect_code")
        listed = self.client.call(200, "GET", "account/authenticators")["data"]
        left = [entry["unused_code_count"] for entry in listed if "unused_code_count" in entry]
        check(left == [len(self.codes) - 1], f"left are {left}")
        self.say(f"logs in with {code} in place of TOTP; it is spent, and {left[0]} are left")

    def add_a_passkey(self) -> None:
        """Reauthenticate, and have the phone make a passkey; then give it a name."""
        path = "account/authenticators/webauthn"
        self.client.call(200, "POST", "auth/reauthenticate", {"password": self.password})
        offer = self.client.call(200, "GET", f"{path}?passwordless")
        credential = self.phone.create(offer["data"]["creation_options"])
        made = self.client.call(200, "POST", path, {"name": "", "credential": credential})["data"]
        check(made["is_passwordless"], f"no passkey: {made}")
        self.say(f"adds a passkey, called {made['name']!r} until somebody says otherwise")
        named = {"id": made["id"], "name": "My phone"}
        renamed = self.client.call(200, "PUT", path, named)["data"]
        check(renamed["name"] == "My phone", f"not renamed: {renamed}")

    def log_in_with_the_passkey(self) -> None:
        """Log in with nothing else: no address, no password, no code. It serves once, too."""
        self.log_out()
        path = "auth/webauthn/login"
        offer = self.client.call(200, "GET", path)["data"]["request_options"]
        answer = {"credential": self.phone.get(offer)}
        session = self.client.call(200, "POST", path, answer)
        (method,) = session["data"]["methods"]
        check(method["type"] == "webauthn", f"logged in by {method}")
        check(session["data"]["user"]["email"] == self.email, f"somebody else: {session}")
        again = "auth/webauthn/reauthenticate"
        offer = self.client.call(200, "GET", again)["data"]["request_options"]
        self.client.error("POST", again, answer, "incorrect_code")
        offer = self.client.call(200, "GET", again)["data"]["request_options"]
        self.client.call(200, "POST", again, {"credential": self.phone.get(offer)})
        self.say("logs in with the passkey alone; its answer is of no use twice")

    def remove_the_passkey(self) -> None:
        """Remove it; the phone may keep it, but it opens nothing."""
        path = "account/authenticators/webauthn"
        listed = self.client.call(200, "GET", "account/authenticators")["data"]
        (passkey,) = [entry for entry in listed if entry["type"] == "webauthn"]
        self.client.call(200, "DELETE", path, {"authenticators": [passkey["id"]]})
        self.say(f"removes {passkey['name']!r}; TOTP and the codes stay")

    def log_in_with_totp(self, other: "Person") -> None:
        """Log in in two steps; used, wrong and foreign codes do not pass."""
        self.log_out()
        pending = self.client.call(401, "POST", "auth/login", self.credentials())
        check(is_pending(pending, "mfa_authenticate"), f"no second step: {pending}")
        self.client.call(401, "GET", "account/authenticators")
        self.say("gives the password; the second factor is still missing, and nothing else works")
        foreign = other.authenticator.totp.now()
        for wrong in ("000000", foreign):
            self.client.error("POST", "auth/2fa/authenticate", {"code": wrong}, "incorrect_code")
        code = self.authenticator.code()
        session = self.give_second_factor(code, trusts=True)
        methods = [method["method"] for method in session["data"]["methods"]]
        check(methods == ["password", "mfa"], f"logged in by {methods}")
        self.client.error("POST", "auth/2fa/reauthenticate", {"code": code}, "incorrect_code")
        self.say(f"logs in with {code}; a wrong code, a foreign one and a second use are refused")

    def come_back(self) -> None:
        """Log in without a code, in a browser that is trusted; then trust it no more."""
        if self.client.kind != "browser":
            return
        path = "account/trusted-browsers"
        self.log_out()
        session = self.client.call(200, "POST", "auth/login", self.credentials())
        methods = [method["method"] for method in session["data"]["methods"]]
        check(methods == ["password"], f"logged in by {methods}")
        (trusted,) = self.client.call(200, "GET", path)["data"]
        check(trusted["is_current"], f"trusts another browser: {trusted}")
        self.say(f"comes back, and is not asked for a code: {trusted['name']} is trusted")
        left = self.client.call(200, "DELETE", path, {"browsers": [trusted["id"]]})["data"]
        check(left == [], f"trusts {left}")
        self.say("trusts it no more")

    def give_second_factor(self, code: str, *, trusts: bool = False) -> Json:
        """Give a code, and return the session. A browser is asked whether the person trusts it."""
        path, body = "auth/2fa/authenticate", {"code": code}
        answer = self.client.call((200, 401), "POST", path, body)
        if answer["status"] == 200:  # noqa: PLR2004
            return answer
        check(is_pending(answer, "mfa_trust"), f"not logged in, and nothing to say: {answer}")
        return self.client.call(200, "POST", "auth/2fa/trust", {"trust": trusts})

    def turn_off_totp(self) -> None:
        """Reauthenticate with a code, and remove the authenticator."""
        needed = self.client.call(401, "DELETE", "account/authenticators/totp")
        check(flow(needed, "mfa_reauthenticate") is not None, f"no reauthentication: {needed}")
        code = self.authenticator.code()
        self.client.call(200, "POST", "auth/2fa/reauthenticate", {"code": code})
        self.client.call(200, "DELETE", "account/authenticators/totp")
        check(not self.client.call(200, "GET", "account/authenticators")["data"], "still there")
        self.client.call(404, "GET", "account/authenticators/recovery-codes")
        self.say(f"proves themselves with {code}, and turns TOTP off; the codes go with it")
        self.log_out()
        self.client.call(200, "POST", "auth/login", self.credentials())
        self.say("logs in without a second step")

    def guess(self) -> None:
        """Try codes until no more are judged."""
        self.client.call(200, "POST", "auth/reauthenticate", {"password": self.password})
        offer = self.client.call(404, "GET", "account/authenticators/totp")["meta"]
        path = "account/authenticators/totp"
        for _ in range(WRONG_CODES):
            self.client.error("POST", path, {"code": "000000"}, "incorrect_code")
        right = Authenticator(offer["totp_url"]).code()
        self.client.error("POST", path, {"code": right}, "rate_limited")
        self.say(f"guesses {WRONG_CODES} codes; then even the right one is not looked at")

    def log_out(self) -> None:
        """End the session."""
        self.client.call(401, "DELETE", "auth/session")
        if self.client.kind == "app":
            self.client.call(410, "GET", "auth/session")
        self.client.forget()
        self.client.call(401, "GET", "auth/session")
        self.say("logs out")

    def credentials(self) -> Json:
        """Return what the person logs in with."""
        return {"email": self.email, "password": self.password}

    def mailed_code(self) -> str | None:
        """Return the code alone on a line of the newest mail, or None if there is no mail."""
        messages = httpx.get(MAILBOX, timeout=30).raise_for_status().json()["messages"]
        for message in messages:
            if message["to"] == self.email:
                found = re.search(r"(?m)^[A-Z]{4}-[A-Z]{4}$", message["text"])
                return found.group() if found else None
        return None


class Ledger:
    """Follows the audit ledger with the command that operators have for it."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(  # noqa: S603 - our own command
            [*EVENTS_COMMAND, "--follow", "--json"], stdout=subprocess.PIPE, text=True
        )
        self.events: list[Json] = []
        threading.Thread(target=self._read, daemon=True).start()

    def about(self, person: Person) -> list[str]:
        """Return the types of the events about a person, in the order of the ledger."""
        return [event["type"] for event in self.events if event.get("subject") == person.id]

    def check_belongs_to(self, person: Person) -> None:
        """Raise Surprise unless the ledger hears of a person who has just signed up."""
        try:
            self._await(person, {"mfa.session.signed_up"})
        except Surprise:
            raise Surprise(
                f"the ledger of the suite in {VAR_DIR} hears nothing of {BASE_URL}: "
                "set VAR_DIR to the folder of the suite that runs there"
            ) from None

    def wait_for(self, person: Person, types: Collection[str]) -> None:
        """Return as soon as there is an event of each of these types about `person`."""

        self._await(person, types)
        found = self.about(person)
        person.say(f"left {len(found)} events, from {found[0]} on, all of them signed")

    def close(self) -> None:
        """Stop following."""
        self.process.terminate()
        self.process.wait()

    def _await(self, person: Person, types: Collection[str]) -> None:
        def look() -> str | None:
            missing = set(types) - set(self.about(person))
            if self.process.poll() is not None:
                raise Surprise("the ledger cannot be followed")
            return None if missing else "all"

        wait_for(look, f"every event about {person.email}")

    def _read(self) -> None:
        for line in self.process.stdout or ():
            self.events.append(json.loads(line))


def flow(answer: Json, id: str) -> Json | None:
    """Return the flow of that id that an answer offers."""
    flows: list[Json] = answer["data"]["flows"]
    return next((flow for flow in flows if flow["id"] == id), None)


def is_pending(answer: Json, id: str) -> bool:
    """Tell whether a login waits for the flow of that id."""
    found = flow(answer, id)
    return found is not None and found.get("is_pending") is True


def check(condition: bool, otherwise: str) -> None:
    """Raise Surprise unless `condition` holds."""
    if not condition:
        raise Surprise(otherwise)


def wait_for(look: Callable[[], str | None], what: str) -> str:
    """Return what `look` finds, looking again until it does."""
    deadline = time.monotonic() + PATIENCE
    while (found := look()) is None:
        check(time.monotonic() < deadline, f"{what} did not come within {PATIENCE:g} seconds")
        time.sleep(0.1)
    return found


def stage(title: str, people: list[Person], *steps: Callable[[Person], None]) -> None:
    """Take all people through the same steps, one after the other."""
    print(title)
    for person in people:
        for step in steps:
            step(person)


def walk(people: list[Person], ledger: Ledger) -> None:
    """Take all people through all stages, side by side: so they wait for new codes only once."""
    other = dict(zip(people, reversed(people), strict=True))
    stage("1. Sign up", people, Person.read_configuration, Person.sign_up)
    ledger.check_belongs_to(people[0])
    stage("2. Log in", people, Person.log_in_again)
    stage(
        "3. Change the password, and end sessions",
        people,
        Person.change_password,
        Person.end_a_session,
    )
    stage(
        "4. Turn on TOTP, keep recovery codes, and log in with one",
        people,
        Person.turn_on_totp,
        Person.keep_recovery_codes,
        Person.log_in_with_a_recovery_code,
    )
    stage(
        "5. Add a passkey, and log in with nothing else",
        people,
        Person.add_a_passkey,
        Person.log_in_with_the_passkey,
        Person.remove_the_passkey,
    )
    stage(
        "6. Log in with TOTP (waiting for a new code)",
        people,
        lambda person: person.log_in_with_totp(other[person]),
        Person.come_back,
    )
    stage("7. Turn off TOTP (waiting for a new code)", people, Person.turn_off_totp, Person.guess)
    stage("8. The audit trail", people, lambda person: ledger.wait_for(person, person.traces))


def why_no_ledger() -> str | None:
    """Return what keeps the events command from reading the ledger, or None."""
    asked = subprocess.run(  # noqa: S603 - our own command
        [*EVENTS_COMMAND, "--after", "end"], capture_output=True, text=True, check=False
    )
    return asked.stderr.strip() if asked.returncode != 0 else None


def main() -> int:
    """Walk, and return the exit status."""
    print(f"Countersign at {BASE_URL}, mail at {MAILBOX}")
    if reason := why_no_ledger():
        print(f"The audit trail of the suite in {VAR_DIR} cannot be read: {reason}")
        print("The walk is for a suite on this machine; set VAR_DIR to its folder.")
        return 1
    ledger = Ledger()
    try:
        walk([Person(App()), Person(Browser())], ledger)
    except (Surprise, httpx.HTTPError, KeyError, ValueError) as surprise:
        print(f"Surprise: {type(surprise).__name__}: {surprise}", file=sys.stderr)
        return 1
    finally:
        ledger.close()
    print("All as it should be.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
