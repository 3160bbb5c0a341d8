"""How often something may be tried, in allauth's notation, and what happens then.

The second factor rests for ever after LAST_FAILURE failures in a row, until it is reset: by binding
it anew (NIST SP 800-63B-4 section 3.2.2). Whoever is logged in and proves themselves by password
removes the authenticators, and the count starts again with the last of them.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from ipaddress import IPv6Address, ip_address

LONGEST_REST = timedelta(days=1)
LAST_FAILURE = 100  # NIST SP 800-63B-4 section 3.2.2: then it rests until it is reset
FOR_EVER = datetime(9999, 1, 1, tzinfo=UTC)
MAX_AMOUNT = 1_000_000
REMEMBERED = 1024  # addresses: a login asks for the network of one ten times
MAX_WINDOW = timedelta(days=366)

RATE = re.compile(r"([0-9]+)/([0-9]*\.?[0-9]*)([smhd])(?:/(ip|user|key))?", re.ASCII)
UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}


class Per(StrEnum):
    """What attempts are counted by: an origin, a person, or what was typed (an address)."""

    IP = "ip"
    USER = "user"
    KEY = "key"


@dataclass(frozen=True)
class Rate:
    """At most `amount` within `window`, counted from the first, of each `per`."""

    amount: int
    window: timedelta
    per: Per

    def __str__(self) -> str:
        seconds = f"{self.window.total_seconds():.6f}".rstrip("0").rstrip(".")
        return f"{self.amount}/{seconds}s/{self.per}"


@dataclass(frozen=True)
class Counter:
    """One count of attempts, and its bounds. Key and `about` are hashes, or end with an id.

    `about` is what all counters of one address, or one person, have in common.
    """

    key: str
    ceiling: int
    window: timedelta
    about: str | None = None


@dataclass(frozen=True)
class Subject:
    """Whose password is guessed: an account, whatever it was called, or a name that is nobody's.

    `key` is the id of the account, or the hash of the name; `about` is as in `Counter`.
    """

    key: str
    about: str


@dataclass(frozen=True, kw_only=True)
class Spot:
    """Where a person is: what counts their wrong codes here, and whether they have been before."""

    here: Counter
    familiar: bool


def parse_rates(text: str) -> tuple[Rate, ...]:
    """Return the rates in `text`, such as `10/m/ip,5/300s/key`; without `per` it is `ip`.

    Raises ValueError for what is none.
    """
    return tuple(dict.fromkeys(_parse_rate(part.strip()) for part in text.split(",")))


def _parse_rate(text: str) -> Rate:
    found = RATE.fullmatch(text)
    if found is None:
        raise ValueError(f"has {text!r}, which is not a rate such as 5/m/user or 10/90s/ip")
    amount, number, unit, per = found.groups()
    try:
        window = float(number or 1) * UNITS[unit]
    except (ValueError, OverflowError):
        raise ValueError(f"has {text!r}, in which {number!r} is not a number of {unit}") from None
    if not (1 <= int(amount[:9]) <= MAX_AMOUNT and len(amount) < 9):  # noqa: PLR2004
        raise ValueError(f"has {text!r}, whose amount is not from 1 to {MAX_AMOUNT}")
    if not timedelta(seconds=1) <= window <= MAX_WINDOW:
        raise ValueError(f"has {text!r}, whose duration is not from a second to a year")
    return Rate(int(amount), window, Per(per or "ip"))


LOGIN = "login"
LOGIN_FAILED = "login_failed"
SIGNUP = "signup"
CONFIRM_EMAIL = "confirm_email"
MANAGE_EMAIL = "manage_email"
REQUEST_LOGIN_CODE = "request_login_code"
RESET_PASSWORD = "reset_password"  # noqa: S105
RESET_PASSWORD_FROM_KEY = "reset_password_from_key"  # noqa: S105
CHANGE_PASSWORD = "change_password"  # noqa: S105
REAUTHENTICATE = "reauthenticate"
SECOND_FACTOR = "second_factor"
WEBAUTHN_LOGIN = "webauthn_login"
WEBAUTHN_OPTIONS = "webauthn_options"

ACCOUNT_RATES: Mapping[str, str] = {
    LOGIN: "30/m/ip",
    LOGIN_FAILED: "10/m/ip,5/5m/key",
    SIGNUP: "20/m/ip",
    CONFIRM_EMAIL: "1/10s/key",
    MANAGE_EMAIL: "10/m/user",
    REQUEST_LOGIN_CODE: "20/m/ip,3/m/key",
    RESET_PASSWORD: "20/m/ip,5/m/key",
    RESET_PASSWORD_FROM_KEY: "20/m/ip",
    CHANGE_PASSWORD: "5/m/user",
    REAUTHENTICATE: "10/m/user",
}
"""allauth's defaults, for what there is here; of `confirm_email` where a code is mailed."""

CONFIRM_BY_LINK = "1/3m/key"
"""The same where a link is mailed, which is good for longer."""

ABSENT = frozenset(
    {
        "change_phone",
        "verify_phone",
    }
)
"""What allauth has a rate for, and there is nothing of here."""

MFA_RATES: Mapping[str, str] = {
    SECOND_FACTOR: "5/5m/user",
    WEBAUTHN_LOGIN: "10/m/ip",
    WEBAUTHN_OPTIONS: "100/m/ip",
}

PERS = {
    LOGIN: {Per.IP},
    LOGIN_FAILED: {Per.IP, Per.KEY},
    SIGNUP: {Per.IP},
    CONFIRM_EMAIL: {Per.IP, Per.KEY},
    MANAGE_EMAIL: {Per.IP, Per.USER},
    REQUEST_LOGIN_CODE: {Per.IP, Per.KEY},
    RESET_PASSWORD: {Per.IP, Per.KEY},
    RESET_PASSWORD_FROM_KEY: {Per.IP},
    CHANGE_PASSWORD: {Per.IP, Per.USER},
    REAUTHENTICATE: {Per.IP, Per.USER},
    SECOND_FACTOR: {Per.USER},
    WEBAUTHN_LOGIN: {Per.IP},
    WEBAUTHN_OPTIONS: {Per.IP},
}
"""What the attempts of an action can be counted by: no user is known before a login."""

MAILS = (Rate(5, timedelta(minutes=5), Per.KEY), Rate(20, timedelta(days=1), Per.KEY))
"""Mails to one address that anybody can ask for, whatever is configured: strangers flood nobody."""

TRUSTED_IN_A_ROW = Rate(LAST_FAILURE, MAX_WINDOW, Per.KEY)
"""Wrong passwords in a row in the browsers that the owner trusts, while everybody else has to wait.

A copied cookie is good for no more; then these browsers have to wait as well, until the password
is another or an operator unlocks the account.
"""


def check_rates(action: str, text: str) -> tuple[Rate, ...]:
    """Return the rates of `action`. Raises ValueError for what cannot be counted there."""
    rates = parse_rates(text) if text.strip() else ()
    if wrong := [rate for rate in rates if rate.per not in PERS[action]]:
        known = ", ".join(sorted(PERS[action]))
        raise ValueError(f"has {action} per {wrong[0].per}, which can be per {known}")
    if action == SECOND_FACTOR and len(rates) != 1:
        raise ValueError("has to have one rate for second_factor, and cannot switch it off")
    return rates


def _rates(texts: Mapping[str, str]) -> Mapping[str, tuple[Rate, ...]]:
    return {action: check_rates(action, text) for action, text in texts.items()}


@dataclass(frozen=True, kw_only=True)
class Limits:
    """The rates of every action."""

    account: Mapping[str, tuple[Rate, ...]] = field(default_factory=lambda: _rates(ACCOUNT_RATES))
    mfa: Mapping[str, tuple[Rate, ...]] = field(default_factory=lambda: _rates(MFA_RATES))

    @property
    def second_factor(self) -> Rate:
        """How many failures in a row are free, and how long the first rest is after them."""
        return self.mfa[SECOND_FACTOR][0]

    def counters(
        self,
        action: str,
        *,
        ip: str | None = None,
        user: str | None = None,
        key: str | None = None,
        within: str = "",
    ) -> tuple[Counter, ...]:
        """Return what counts `action`, by as much as is known; always in the same order.

        `within` a network, attempts at `key` are counted apart from those elsewhere.
        """
        known = {Per.IP: ip and network_of(ip), Per.USER: user, Per.KEY: key}
        about = {Per.IP: None, Per.USER: user, Per.KEY: key}
        apart = {Per.KEY: within}
        return tuple(
            counter_of(action, rate, f"{value} {apart.get(rate.per, '')}", about=about[rate.per])
            for rate in (self.account.get(action) or self.mfa.get(action, ()))
            if (value := known[rate.per])
        )

    def own(self, subject: Subject, *, ip: str) -> tuple[Counter, ...]:
        """Return what counts wrong passwords of an owner who is where they logged in before.

        In place of what counts everybody else's, which a stranger can use up.
        """
        return self._guesses(subject, ip, network_of(ip))

    def strangers(self, subject: Subject, *, ip: str) -> tuple[Counter, ...]:
        """Return what counts wrong passwords of everybody else."""
        return self._guesses(subject, ip, "")

    def series(self, *, within: str = "") -> tuple[str, ...]:
        """Return what the keys of `strangers` begin with that end with a subject's.

        Those of `own` are `within` its network.
        """
        rates = self.account.get(LOGIN_FAILED, ())
        return tuple(_series(rate, within) for rate in rates if rate.per is Per.KEY)

    def _guesses(self, subject: Subject, ip: str, within: str) -> tuple[Counter, ...]:
        return tuple(
            counter_of(LOGIN_FAILED, rate, f"{network_of(ip)} ")
            if rate.per is Per.IP
            else Counter(
                f"{_series(rate, within)}{subject.key}", rate.amount, rate.window, subject.about
            )
            for rate in self.account.get(LOGIN_FAILED, ())
        )

    def trusted(self, *, user: str, browser: str) -> tuple[Counter, ...]:
        """Return what counts wrong passwords of an owner in a browser that they trust.

        By every rate of a failed login: the browser is the origin then, so that a stranger in the
        same network does not use it up either.
        """
        value = f"{user} browser {browser}"
        rates = self.account.get(LOGIN_FAILED, ())
        return tuple(counter_of(LOGIN_FAILED, rate, value, about=user) for rate in rates)

    def trusted_in_a_row(self, user: str, password_hash: str | None) -> Counter:
        """Return what counts the failures that `trusted` does, of all browsers, in a row.

        They are failures of one password: another one is counted anew, whoever has written it.
        """
        value = f"{user} browsers {password_hash}"
        return counter_of(LOGIN_FAILED, TRUSTED_IN_A_ROW, value, about=user)

    def options(
        self, *, ip: str, user: str | None = None, pending: bool = False
    ) -> tuple[Counter, ...]:
        """Return what counts how often options for keys are asked for.

        A `user` who has proved something is an origin by themselves, or whoever asks without end
        from the same network would stop everybody there. While their login is `pending` they are
        another: who has the password and no more does not stop those who are logged in.
        """
        if user is None:
            return self.counters(WEBAUTHN_OPTIONS, ip=ip)
        value = f"{'login' if pending else 'user'} {user}"
        rates = self.mfa.get(WEBAUTHN_OPTIONS, ())
        return tuple(counter_of(WEBAUTHN_OPTIONS, rate, value, about=user) for rate in rates)

    def mails(
        self, *, address: str, ip: str, action: str = CONFIRM_EMAIL, at_home: bool = False
    ) -> tuple[Counter, ...]:
        """Return what counts the mails to an address that anybody can ask for, by `action`.

        Mails with a code, and those that take their place where there is an account, are counted
        as one: by whatever differed, strangers could tell who has one. Who is `at_home`, where
        the owner has logged in before, is counted apart from strangers, who could use that up.
        """
        within = network_of(ip) if at_home else ""
        to = f"{address} {within}".rstrip()
        fixed = (counter_of("mail", rate, to, about=address) for rate in MAILS)
        return (*self.counters(action, ip=ip, key=address, within=within), *fixed)

    def mails_upon_proof(self, address: str) -> tuple[Counter, ...]:
        """Return what counts the mails to an address that take another proof to ask for."""
        to = f"{address} upon proof"
        return tuple(counter_of("mail", rate, to, about=address) for rate in MAILS)

    def here(self, *, user: str, ip: str) -> Counter:
        """Return what counts a person's wrong second factors from one network, in every place."""
        value = f"{user} {network_of(ip)}"
        return counter_of(SECOND_FACTOR, self.second_factor, value, about=user)


def guesses_at(who: str) -> str:
    """Return what the counters of wrong passwords are about: an account's, or a name's.

    Not the id or the address itself, which others are about: a new password makes other failures
    of these.
    """
    return f"password {who}"


def guessed_at(user_id: str) -> Subject:
    """Return an account as the subject of guesses."""
    return Subject(user_id, about_of(guesses_at(user_id)))


def name_of(canonical: str) -> Subject:
    """Return a name that is nobody's as the subject of guesses."""
    return Subject(
        sha256(f"name {canonical}".encode()).hexdigest(), about_of(guesses_at(canonical))
    )


def _series(rate: Rate, within: str) -> str:
    return sha256(f"{LOGIN_FAILED} {rate} subject {within}".encode()).hexdigest() + ":"


def about_of(value: str) -> str:
    """Return what the counters of an address or a person have in common."""
    return sha256(f"about {value}".encode()).hexdigest()


def counter_of(action: str, rate: Rate, value: str, *, about: str | None = None) -> Counter:
    """Return the counter of `action` for one origin, person or address.

    The key is a hash: the counters hold no addresses of people who have no account. The rate is in
    it, so that a changed limit counts anew.
    """
    key = sha256(f"{action} {rate} {value}".encode()).hexdigest()
    return Counter(key, rate.amount, rate.window, None if about is None else about_of(about))


def rest_after(failures: int, rate: Rate) -> timedelta:
    """Return how long the second factor rests after so many failures in a row.

    For less than LAST_FAILURE; from there on it rests for ever. Until `rate.amount` it does not.
    """
    if failures < rate.amount:
        return timedelta(0)
    longest = max(LONGEST_REST, rate.window)
    doublings = min(failures - rate.amount, doublings_of(rate))
    return min(rate.window * (1 << doublings), longest)


def doublings_of(rate: Rate) -> int:
    """Return how often the first rest is doubled until it is the longest."""
    return max(0, math.ceil(math.log2(LONGEST_REST / rate.window)))


@lru_cache(maxsize=REMEMBERED)
def network_of(address: str) -> str:
    """Return what counts as one origin: an IPv4 address, or the /64 around an IPv6 one.

    A household gets a whole /64, so that single addresses of it are free to an attacker. What is
    no address at all counts as itself.
    """
    try:
        ip = ip_address(address)
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        if ip.ipv4_mapped is not None:
            return str(ip.ipv4_mapped)
        return str(IPv6Address(int(ip) >> 64 << 64)) + "/64"
    return str(ip)
