"""Everything that can be asked, once with what may be right and once with nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field

from tests.reference.journey import NEW_PASSWORD, Ask, Json

WRONG = "BBBB-BBBB"
NOBODY = "nobody@example.org"
EMAIL = "account/email"
TOTP = "account/authenticators/totp"
CODES = "account/authenticators/recovery-codes"
KEYS = "account/authenticators/webauthn"
SIGNUP = "auth/webauthn/signup"
RESET = "auth/password/reset"


@dataclass(frozen=True)
class Call:
    """A request, `how` it is put if there are several, and its body, given something to prove."""

    method: str
    path: str
    how: str = ""
    body: Callable[[str], Json] | None = None
    header: str | None = None
    """The name of a header that has the proof."""

    @property
    def operation(self) -> str:
        """What is asked for: such as `POST auth/login`."""
        return f"{self.method} {self.path}"

    def ask(self, state: str, proof: str) -> Ask:
        """Return the request as it is made in a state in which one has that proof."""
        headers = {self.header: proof} if self.header else {}
        body = None if self.body is None else self.body(proof)
        return Ask(
            name(state, self.operation, self.how), self.method, self.path, body, headers=headers
        )


def name(state: str, operation: str, how: str = "") -> str:
    """Return what a step is called."""
    return f"{state}: {operation}{how and f', {how}'}"


@dataclass
class Bodies:
    """How the calls with a body are put."""

    calls: list[Call] = field(default_factory=list)

    def add(self, operation: str, body: Callable[[str], Json]) -> None:
        """Add a call with that body, and one with none of its members."""
        method, path = operation.split()
        self.calls.append(Call(method, path, "", body))
        self.calls.append(Call(method, path, "with nothing", lambda _: {}))


def _with_bodies() -> tuple[Call, ...]:
    found = Bodies()
    for operation in (
        "POST auth/2fa/authenticate",
        "POST auth/2fa/reauthenticate",
        "POST auth/code/confirm",
        f"POST {TOTP}",
    ):
        found.add(operation, lambda proof: {"code": proof})
    for operation in (
        "POST auth/webauthn/authenticate",
        "POST auth/webauthn/reauthenticate",
        "POST auth/webauthn/login",
    ):
        found.add(operation, lambda _: {"credential": {}})
    for operation in (f"PUT {SIGNUP}", f"POST {KEYS}"):
        found.add(operation, lambda _: {"name": "A key", "credential": {}})
    for operation in (f"PUT {EMAIL}", f"DELETE {EMAIL}"):
        found.add(operation, lambda _: {"email": NOBODY})
    found.add(f"PATCH {EMAIL}", lambda _: {"email": NOBODY, "primary": True})
    found.add("POST auth/email/verify", lambda proof: {"key": proof})
    found.add(f"POST {RESET}", lambda proof: {"key": proof, "password": NEW_PASSWORD})
    found.add("POST auth/2fa/trust", lambda _: {"trust": True})
    found.add("POST auth/login", lambda _: {"email": NOBODY, "password": "bad"})
    found.add("POST auth/signup", lambda _: {"email": "no address", "password": "123"})
    found.add(f"POST {SIGNUP}", lambda _: {"email": "no address"})
    found.add("POST auth/code/request", lambda _: {"email": "no address"})
    found.add("POST auth/password/request", lambda _: {"email": "no address"})
    found.add("POST auth/reauthenticate", lambda _: {"password": "bad"})
    found.add(
        "POST account/password/change",
        lambda _: {"current_password": "bad", "new_password": NEW_PASSWORD},
    )
    found.add(f"POST {EMAIL}", lambda _: {"email": "no address"})
    found.add(f"PUT {KEYS}", lambda _: {"id": "0", "name": "A key"})
    found.add(f"DELETE {KEYS}", lambda _: {"authenticators": ["0"]})
    found.add("DELETE auth/sessions", lambda _: {"sessions": ["987654321"]})
    return tuple(found.calls)


CALLS: tuple[Call, ...] = (
    Call("GET", "config"),
    Call("GET", "auth/session"),
    Call("GET", "auth/email/verify", header="X-Email-Verification-Key"),
    Call("GET", RESET, header="X-Password-Reset-Key"),
    Call("GET", "auth/webauthn/authenticate"),
    Call("GET", "auth/webauthn/reauthenticate"),
    Call("GET", "auth/webauthn/login"),
    Call("GET", SIGNUP),
    Call("GET", EMAIL),
    Call("GET", "account/authenticators"),
    Call("GET", TOTP),
    Call("GET", CODES),
    Call("GET", KEYS),
    Call("GET", "auth/sessions"),
    Call("POST", "auth/email/verify/resend"),
    Call("POST", "auth/code/resend"),
    Call("DELETE", TOTP),
    Call("POST", CODES),
    *_with_bodies(),
)
"""Those that leave a session in its state, where they are not what it waits for."""


def moves(address: str, known: str, password: str) -> tuple[Call, ...]:
    """Return the calls that bring a session into another state, whichever it is in.

    They are of `known`, who has that `password`, and of a new `address`.
    """
    return (
        Call(
            "POST",
            "auth/login",
            "as somebody else",
            lambda _: {"email": known, "password": password},
        ),
        Call(
            "POST",
            "auth/signup",
            "as somebody new",
            lambda _: {"email": address, "password": password},
        ),
        Call("POST", SIGNUP, "as somebody new", lambda _: {"email": f"key-{address}"}),
        Call("POST", "auth/code/request", "as somebody else", lambda _: {"email": known}),
        Call("POST", "auth/password/request", "as somebody else", lambda _: {"email": known}),
        Call("DELETE", "auth/session", "at last"),
    )
