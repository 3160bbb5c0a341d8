"""Journeys to every state that a session can be in, in each of which everything is asked.

Above all what belongs to other states: a pending login can do what its stage needs, and no more.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from typing import Any

from tests.reference.calls import (
    CALLS,
    CODES,
    EMAIL,
    KEYS,
    NOBODY,
    RESET,
    SIGNUP,
    TOTP,
    WRONG,
    moves,
)
from tests.reference.journey import (
    PASSWORD,
    Ask,
    CalmDown,
    Code,
    Forget,
    Journey,
    MailedCode,
    MailedKey,
    NoMail,
    Wait,
    Wish,
)
from tests.webauthn.authenticator import Device

ADA = "ada@example.org"
"""Who has TOTP and recovery codes."""
BOB = "bob@example.org"
"""Who has a password, and nothing else."""
EVE = "eve@example.org"
"""Who has a passkey, and nothing else."""
KIM = "kim@example.org"
"""Who has a password, a key, and recovery codes."""

A_DAY = 24 * 60 * 60  # seconds
VERIFY = frozenset(
    {
        "GET auth/email/verify",
        "POST auth/email/verify",
        "POST auth/email/verify/resend",
        f"POST {EMAIL}",
    }
)
CONFIRM = frozenset({"POST auth/code/confirm", "POST auth/code/resend"})
FORGOTTEN = frozenset({f"GET {RESET}", f"POST {RESET}"})
BY_CODE = frozenset({"POST auth/2fa/authenticate"})
BY_EITHER = BY_CODE | {"GET auth/webauthn/authenticate", "POST auth/webauthn/authenticate"}
TRUST = frozenset({"POST auth/2fa/trust"})
BY_PASSKEY = frozenset({f"GET {SIGNUP}", f"PUT {SIGNUP}"})
AGAIN = frozenset({"POST auth/2fa/reauthenticate"})
CHANGES = frozenset({f"POST {TOTP}", f"DELETE {TOTP}", f"POST {CODES}", f"GET {CODES}"})
FIRST_PASSWORD = frozenset({"POST account/password/change"})

Reach = Callable[[str], Generator[Wish, Any, str]]


@dataclass(frozen=True, kw_only=True)
class State:
    """A state of a session: how it is reached, and what is its `own`, and not asked for here.

    To reach it returns what could be proved in it, which is given wherever it does not belong.
    """

    name: str
    reach: Reach
    own: frozenset[str] = frozenset()


@dataclass
class Town:
    """The people, and how they come into each state. `origin` is the page that keys are used on."""

    origin: str
    code_required: bool = False
    by_link: bool = False
    has_keys: bool = True
    secret: str = field(default="A" * 32, repr=False)
    kims: Device = field(init=False)
    eves: Device = field(init=False)
    numbers: Any = field(default_factory=count)

    def __post_init__(self) -> None:
        """Give each their device."""
        self.kims, self.eves = Device(origin=self.origin), Device(origin=self.origin)

    # The people come

    def settle(self) -> Journey:
        """Have them all sign up."""
        yield Ask("configuration", "GET", "config")
        yield from self._join(BOB)
        yield from self._log_out(BOB)
        yield from self._join(ADA)
        yield from self._prove_password(ADA)
        shown = yield Ask("a secret of Ada's", "GET", TOTP)
        self.secret = shown["meta"]["secret"]
        code = yield Code(self.secret)
        yield Ask("activate Ada's", "POST", TOTP, {"code": code})
        yield from self._log_out(ADA)
        if self.has_keys:
            yield from self._settle_kim()

    def _settle_kim(self) -> Journey:
        yield from self._join(KIM)
        yield from self._prove_password(KIM)
        shown = yield Ask("options for Kim", "GET", KEYS)
        made = self.kims.create(shown["data"]["creation_options"])
        yield Ask("add Kim's", "POST", KEYS, {"name": "Kim's", "credential": made})
        yield from self._log_out(KIM)

    def settle_with_passkey(self) -> Journey:
        """Have Eve sign up as well."""
        yield from self._pend_passkey("Eve", EVE)
        shown = yield Ask("options for Eve", "GET", SIGNUP)
        made = self.eves.create(shown["data"]["creation_options"])
        yield Ask("keep Eve's", "PUT", SIGNUP, {"name": "Eve's", "credential": made})
        yield from self._log_out(EVE)

    def _join(self, address: str) -> Journey:
        yield from self.sign_up(f"join as {address}", address)
        proof = yield MailedKey(address) if self.by_link else MailedCode(address)
        if self.code_required:
            yield Ask(f"confirm {address}", "POST", "auth/code/confirm", {"code": proof})
            yield from self._distrust(f"join as {address}")
            return
        yield Ask(f"verify {address}", "POST", "auth/email/verify", {"key": proof})
        if self.by_link:
            yield from self.log_in(f"join as {address}", address)

    def _prove_password(self, address: str) -> Journey:
        body = {"password": PASSWORD}
        yield Ask(f"reauthenticate {address}", "POST", "auth/reauthenticate", body)

    def _log_out(self, address: str) -> Journey:
        yield Ask(f"leave as {address}", "DELETE", "auth/session")
        yield Forget()

    def _distrust(self, where: str) -> Journey:
        yield Ask(f"{where}: no trust", "POST", "auth/2fa/trust", {"trust": False})

    # Ways into each state

    def stay_out(self, _where: str) -> Generator[Wish, Any, str]:
        """Do nothing."""
        yield Forget()
        return WRONG

    def sign_up(self, where: str, address: str = "") -> Generator[Wish, Any, str]:
        """Have an address to verify; a new one if none is given."""
        address = address or self._new()
        body = {"email": address, "password": PASSWORD}
        yield Ask(f"{where}: sign up", "POST", "auth/signup", body)
        return (yield from self._mailed(address))

    def sign_up_by_passkey(self, where: str) -> Generator[Wish, Any, str]:
        """Have an address to verify, and no password."""
        address = self._new()
        yield Ask(f"{where}: sign up", "POST", SIGNUP, {"email": address})
        return (yield from self._mailed(address))

    def owe_passkey(self, where: str) -> Generator[Wish, Any, str]:
        """Have verified that, and owe the passkey."""
        return (yield from self._pend_passkey(where, self._new()))

    def _pend_passkey(self, where: str, address: str) -> Generator[Wish, Any, str]:
        yield Ask(f"{where}: sign up", "POST", SIGNUP, {"email": address})
        code: str = yield MailedCode(address)
        yield Ask(f"{where}: verify", "POST", "auth/email/verify", {"key": code})
        return code

    def log_in(self, where: str, address: str) -> Generator[Wish, Any, str]:
        """Give the password, and what is asked for besides if that is a code."""
        body = {"email": address, "password": PASSWORD}
        yield Ask(f"{where}: log in", "POST", "auth/login", body)
        if not self.code_required:
            return WRONG
        return (yield from self._mailed(address))

    def owe_code(self, where: str) -> Generator[Wish, Any, str]:
        """Owe a code of Ada's device, and have it."""
        proof = yield from self.log_in(where, ADA)
        if self.code_required:
            yield Ask(f"{where}: confirm", "POST", "auth/code/confirm", {"code": proof})
        code: str = yield Code(self.secret)
        return code

    def be_asked(self, where: str) -> Generator[Wish, Any, str]:
        """Have given it; a browser is asked whether it is trusted, where that is asked."""
        code = yield from self.owe_code(where)
        yield Ask(f"{where}: second step", "POST", "auth/2fa/authenticate", {"code": code})
        return WRONG

    def be_in_by_code(self, where: str) -> Generator[Wish, Any, str]:
        """Be logged in with that."""
        yield from self.be_asked(where)
        yield from self._distrust(where)
        code: str = yield Code(self.secret)
        return code

    def be_in_anew(self, where: str) -> Generator[Wish, Any, str]:
        """Have proved it again just now."""
        code = yield from self.be_in_by_code(where)
        yield Ask(f"{where}: again", "POST", "auth/2fa/reauthenticate", {"code": code})
        return code

    def be_in_by_key(self, where: str) -> Generator[Wish, Any, str]:
        """Be logged in by Kim's password and key."""
        yield from self.log_in(where, KIM)
        path = "auth/webauthn/authenticate"
        shown = yield Ask(f"{where}: options", "GET", path)
        given = self.kims.get(shown["data"]["request_options"])
        yield Ask(f"{where}: second step", "POST", path, {"credential": given})
        yield from self._distrust(where)
        return WRONG

    def be_in_alone(self, where: str) -> Generator[Wish, Any, str]:
        """Be logged in by Eve's passkey."""
        path = "auth/webauthn/login"
        shown = yield Ask(f"{where}: options", "GET", path)
        given = self.eves.get(shown["data"]["request_options"])
        yield Ask(f"{where}: passkey", "POST", path, {"credential": given})
        return WRONG

    def be_out(self, where: str) -> Generator[Wish, Any, str]:
        """Have been logged in, and keep the token of that."""
        yield from self.log_in(where, BOB)
        yield Ask(f"{where}: leave", "DELETE", "auth/session")
        return WRONG

    def request_code(self, where: str, address: str) -> Generator[Wish, Any, str]:
        """Ask for a code to log in with."""
        yield Ask(f"{where}: request", "POST", "auth/code/request", {"email": address})
        return (yield from self._mailed(address))

    def owe_code_after_code(self, where: str) -> Generator[Wish, Any, str]:
        """Have given one, and owe that of the device."""
        code = yield from self.request_code(where, ADA)
        yield Ask(f"{where}: confirm", "POST", "auth/code/confirm", {"code": code})
        due: str = yield Code(self.secret)
        return due

    def be_in_after_code(self, where: str) -> Generator[Wish, Any, str]:
        """Be logged in by such a code alone, or by it and a password."""
        address = BOB
        if self.code_required:
            code = yield from self.log_in(where, address)
        else:
            code = yield from self.request_code(where, address)
        yield Ask(f"{where}: confirm", "POST", "auth/code/confirm", {"code": code})
        return code

    def forget_password(self, where: str, address: str) -> Generator[Wish, Any, str]:
        """Ask for a new password by code."""
        yield Ask(f"{where}: request", "POST", "auth/password/request", {"email": address})
        return (yield from self._mailed(address))

    def forget_password_halfway(self, where: str) -> Generator[Wish, Any, str]:
        """Ask for it while the second factor is owed."""
        yield from self.owe_code(where)
        return (yield from self.forget_password(where, BOB))

    def _new(self) -> str:
        return f"new-{next(self.numbers)}@example.org"

    def _mailed(self, address: str) -> Generator[Wish, Any, str]:
        """Return the code that was mailed; where none was, one that is none."""
        if self.by_link or address == NOBODY:
            return WRONG
        code: str = yield MailedCode(address)
        return code or WRONG

    # All there is to ask

    def tour(self, *states: State) -> Journey:
        """Ask for everything in each of these states."""
        for state in states:
            yield from self.visit(state)

    def visit(self, state: State) -> Journey:
        """Ask for everything in a state, and leave it in every way."""
        yield Forget()
        yield Wait(A_DAY)  # so that no more is mailed to anybody than they may be in one
        yield NoMail()
        yield from self._stay(state)
        for number, call in enumerate(moves(self._new(), BOB, PASSWORD)):
            yield Forget()
            yield CalmDown()
            yield NoMail()
            where = f"{state.name} ({number + 1})"
            yield from state.reach(where)
            yield call.ask(state.name, WRONG)
            yield Ask(f"{where}: afterwards", "GET", "auth/session")

    def _stay(self, state: State) -> Journey:
        proof = yield from state.reach(state.name)
        for call in CALLS:
            if call.operation not in state.own:
                yield call.ask(state.name, proof)
        yield Ask(f"{state.name}: still", "GET", "auth/session")


def beginnings(origin: str) -> Journey:
    """Visit what comes before a password or key: sign-ups, mailed codes, forgotten passwords."""
    town = Town(origin)
    yield from town.settle()
    yield from town.tour(
        State(name="nobody", reach=town.stay_out),
        State(name="verifying", reach=town.sign_up, own=VERIFY),
        State(name="verifying in vain", reach=partial(town.sign_up, address=BOB), own=VERIFY),
        State(name="verifying for a passkey", reach=town.sign_up_by_passkey, own=VERIFY),
        State(name="owing a passkey", reach=town.owe_passkey, own=BY_PASSKEY),
        State(name="awaiting a code", reach=partial(town.request_code, address=BOB), own=CONFIRM),
        State(
            name="awaiting a code in vain",
            reach=partial(town.request_code, address=NOBODY),
            own=CONFIRM,
        ),
        State(name="resetting", reach=partial(town.forget_password, address=BOB), own=FORGOTTEN),
        State(
            name="resetting in vain",
            reach=partial(town.forget_password, address=NOBODY),
            own=FORGOTTEN,
        ),
        State(
            name="resetting halfway",
            reach=town.forget_password_halfway,
            own=FORGOTTEN | BY_CODE,
        ),
        State(name="logged out", reach=town.be_out),
    )


def second_steps(origin: str) -> Journey:
    """Visit what comes after that: second factors, trust, and being logged in, in every way."""
    town = Town(origin)
    yield from town.settle()
    yield from town.settle_with_passkey()
    yield from town.tour(
        State(name="owing a code", reach=town.owe_code, own=BY_CODE),
        State(name="owing a key", reach=partial(town.log_in, address=KIM), own=BY_EITHER),
        State(name="owing a code after a code", reach=town.owe_code_after_code, own=BY_CODE),
        State(name="asked about trust", reach=town.be_asked, own=TRUST),
        State(name="logged in", reach=partial(town.log_in, address=BOB)),
        State(name="logged in after a code", reach=town.be_in_after_code),
        State(name="logged in by a code", reach=town.be_in_by_code, own=AGAIN),
        State(name="logged in by a key", reach=town.be_in_by_key),
        State(name="logged in alone", reach=town.be_in_alone, own=FIRST_PASSWORD),
        State(name="logged in anew", reach=town.be_in_anew, own=AGAIN | CHANGES),
    )


def required_codes(origin: str) -> Journey:
    """Visit what there is where all logins take a mailed code."""
    town = Town(origin, code_required=True)
    yield from town.settle()
    yield from town.tour(
        State(name="nobody", reach=town.stay_out),
        State(name="signing up", reach=town.sign_up, own=CONFIRM),
        State(name="owing both", reach=partial(town.log_in, address=ADA), own=CONFIRM),
        State(name="owing a code", reach=town.owe_code, own=BY_CODE),
        State(name="asked about trust", reach=town.be_in_after_code, own=TRUST),
        State(name="asked about both", reach=town.be_asked, own=TRUST),
        State(name="logged in by both", reach=town.be_in_by_code, own=AGAIN),
    )


def links(origin: str) -> Journey:
    """Visit what there is where links are mailed, and a fresh proof is asked for."""
    town = Town(origin, by_link=True, has_keys=False)
    yield from town.settle()
    yield from town.tour(
        State(name="nobody", reach=town.stay_out),
        State(name="verifying", reach=town.sign_up, own=VERIFY),
        State(name="owing a code", reach=town.owe_code, own=BY_CODE),
        State(name="logged in", reach=partial(town.log_in, address=BOB)),
        State(name="logged in by a code", reach=town.be_in_by_code, own=AGAIN),
    )
