"""`auth/signup`, `auth/login`: how people come in by the names and the password that they have."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from services.session.api import fields
from services.session.api.edge import Call, Invalid, Routes
from services.session.domain import signup_fields
from services.session.domain.access import Access
from services.session.domain.addresses import parse_address
from services.session.domain.faults import (
    INVALID_LOGIN,
    MISMATCH,
    TOO_MANY_ATTEMPTS,
    USERNAME_MISMATCH,
    USERNAME_TAKEN,
    Fault,
    email_taken,
)
from services.session.domain.identifiers import (
    Identifier,
    LoginMethod,
    by_address,
    by_username,
)
from services.session.domain.passwords import PASSWORD_CODES
from services.session.domain.signup_fields import SignupFields
from services.session.domain.usernames import UsernameRules
from services.session.flows.outcomes import Outcome
from services.session.flows.signup import Applicant

BY_EMAIL = frozenset({LoginMethod.EMAIL})
LOGIN_FIELDS = {LoginMethod.USERNAME: fields.USERNAME, LoginMethod.EMAIL: fields.EMAIL}
WRONG = {LoginMethod.USERNAME: USERNAME_MISMATCH, LoginMethod.EMAIL: MISMATCH}


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """What people sign up with, and by which of it they log in."""

    signup: SignupFields = field(default_factory=SignupFields)
    usernames: UsernameRules = field(default_factory=UsernameRules)
    methods: frozenset[LoginMethod] = BY_EMAIL

    @property
    def names(self) -> tuple[fields.Text, ...]:
        """The members of a sign-up that say what somebody is called, in order."""
        known: dict[str, fields.Text] = {
            signup_fields.EMAIL: fields.EMAIL,
            signup_fields.USERNAME: fields.Username(rules=self.usernames),
        }
        return tuple(
            replace(known[name], optional=not self.signup.requires(name))
            for name in self.signup.names
        )

    @property
    def taken(self) -> tuple[str, ...]:
        """The codes of what is told to be taken."""
        codes = {
            signup_fields.EMAIL: email_taken().code,
            signup_fields.USERNAME: USERNAME_TAKEN.code,
        }
        return tuple(codes[name] for name in self.signup.names)

    @property
    def logins(self) -> tuple[fields.Text, ...]:
        """The members by which somebody may log in, of which one is to be there."""
        listed = [known for method, known in LOGIN_FIELDS.items() if method in self.methods]
        return tuple(replace(known, optional=len(listed) > 1) for known in listed)

    @property
    def login_field(self) -> fields.Text:
        """The one field in which a page has people type any of the names that they log in by."""
        listed = self.logins
        return listed[0] if len(listed) == 1 else fields.LOGIN

    def name_of(self, typed: str) -> Identifier:
        """Return whose login it is, by what was typed into that field."""
        if LoginMethod.USERNAME not in self.methods:
            return by_address(typed)
        address = parse_address(typed) if LoginMethod.EMAIL in self.methods else None
        return by_username(typed) if address is None else by_address(address)

    @property
    def mismatches(self) -> tuple[str, ...]:
        """The codes of a login that fails, and of one that says in no single way whose it is."""
        codes = [fault.code for method, fault in WRONG.items() if method in self.methods]
        return (*codes, *([INVALID_LOGIN.code] if len(codes) > 1 else []))


def routes_for(entrance: Entrance) -> Routes:
    """Return the endpoints by which anybody may come in with a password."""
    routes = Routes()

    @routes.post(
        "/auth/signup",
        access=Access.LOGGED_OUT,
        takes=(*entrance.names, fields.PASSWORD),
        codes={400: (*PASSWORD_CODES, *entrance.taken)},
    )
    async def sign_up(call: Call) -> Outcome:
        """Sign up with a password."""
        applicant, password, faults = read_applicant(call)
        return await call.flows.signup.sign_up(call.visit, applicant, password, faults=faults)

    @routes.post(
        "/auth/login",
        access=Access.LOGGED_OUT,
        takes=(*entrance.logins, fields.PASSWORD),
        codes={400: (*entrance.mismatches, TOO_MANY_ATTEMPTS.code)},
    )
    async def log_in(call: Call) -> Outcome:
        """Log in with a password."""
        password = call.form()["password"]
        name = _read_name(call, entrance)
        return await call.flows.login.log_in(call.visit, name, password)

    return routes


def read_applicant(call: Call) -> tuple[Applicant, str | None, list[Fault]]:
    """Return who signs up, with which password, and what is wrong with that."""
    values, faults = call.read()
    return applicant_of(values), values.get("password"), faults


def applicant_of(values: Mapping[str, str]) -> Applicant:
    """Return who signs up, of what was read."""
    return Applicant(email=values.get("email"), username=values.get("username"))


def _read_name(call: Call, entrance: Entrance) -> Identifier:
    """Return by what somebody logs in: exactly one member is to say so. Raises Invalid."""
    named = [known.name for known in entrance.logins if known.name in call.members]
    if len(named) != 1:
        raise Invalid([INVALID_LOGIN])
    typed = call.form().get(named[0], "")
    if named[0] == LoginMethod.USERNAME:
        return by_username(typed, or_address=LoginMethod.EMAIL in entrance.methods)
    return by_address(typed)
