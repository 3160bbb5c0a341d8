"""The shape of every public answer: `status`, and `data`, `meta` or `errors` where they apply."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from math import ceil
from typing import TypeVar

from starlette.responses import Response
from starlette.types import Scope

from services.session.domain.factors import RECOVERY_CODES, WEBAUTHN
from services.session.domain.faults import Fault
from services.session.domain.methods import Method, MethodKind
from services.session.domain.register import Entry
from services.session.domain.sessions import Account
from services.session.domain.signals import Signal
from services.session.domain.stages import Stage
from services.session.domain.tokens import Tokens
from services.session.flows.outcomes import (
    Absent,
    Addresses,
    AddressShown,
    Asked,
    Authenticators,
    Codes,
    Done,
    Enrolled,
    LoginNeeded,
    Misfit,
    NotEnrolled,
    Outcome,
    ReauthenticationNeeded,
    Refreshed,
    Refused,
    Removed,
    ResetShown,
    Sessions,
    StageNeeded,
    Standing,
    Throttled,
    TrustedBrowsers,
    Unsent,
    Visit,
)
from services.session.store.emails import Address
from services.session.store.session_list import Listed
from shared.http.problems import Problem, problem_headers
from shared.trust import Browser

T = TypeVar("T")

HEADERS = {"Cache-Control": "no-store"}
WAYS = ("login", "signup")
"""The flows by which anybody may log in, where nothing else is configured."""
RESET = "password_reset_by_code"
"""A way as well, where it is configured; it is listed last, with whether it is under way."""
MESSAGES = {
    "body_too_large": "The request is too large.",
    "null_characters_not_allowed": "Null characters are not allowed.",
}
"""What people are told for the code of a request that cannot be read, if it can be told apart."""

OF_KEYS = (
    "is_passwordless",
    "serves_alone",
    "provider",
    "aaguid",
    "transports",
    "backup_eligible",
    "backed_up",
)
"""What is told of a security key or passkey, of what its factor says."""

Emails = Addresses | AddressShown | ResetShown
Factors = (
    Authenticators | Enrolled | NotEnrolled | Codes | Absent | Sessions | TrustedBrowsers | Removed
)


@dataclass(frozen=True)
class Shown:
    """Something that the edge itself has to show: no flow had to be asked."""

    data: object


Said = Refused | Misfit | Throttled | Done | Unsent | Shown | Refreshed


def envelope(
    status: int,
    *,
    data: object = None,
    meta: Mapping[str, object] | None = None,
    faults: Sequence[Fault] = (),
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Return an answer of this `status`; members that are None or empty are left out."""
    body: dict[str, object] = {"status": status}
    if data is not None:
        body["data"] = data
    if meta is not None:
        body["meta"] = meta
    if faults:
        body["errors"] = [_error(fault) for fault in faults]
    return Response(
        json.dumps(body, separators=(",", ":")),
        status_code=status,
        media_type="application/json",
        headers={**HEADERS, **(headers or {})},
    )


def bare(status: int, *, headers: Mapping[str, str] | None = None) -> Response:
    """Return an answer that says its status and nothing else."""
    return envelope(status, headers=headers)


def refused(faults: Sequence[Fault]) -> Response:
    """Return 400 with everything that is wrong."""
    return envelope(400, faults=faults)


def render(outcome: Outcome | Shown, *, token: str | None, ways: Sequence[str] = WAYS) -> Response:
    """Return what a flow came to. `token`, if not None, is shown as the new session token.

    `ways` are the flows by which anybody may log in.
    """
    shown: dict[str, object] = {} if token is None else {"session_token": token}
    match outcome:
        case Standing(visit=visit, signal=signal):
            return _standing(visit, shown | _tokens(outcome.tokens) | _signal(signal), ways)
        case LoginNeeded(visit=visit):
            return _standing(visit, shown, ways)
        case StageNeeded(visit=visit):
            return _nobody(401, ways, visit)
        case Asked(display=display):
            return envelope(200, data=display, meta=shown or None)
        case ReauthenticationNeeded(visit=visit, methods=methods):
            flows = [*reauthentication_flows(visit, methods), *reset_flows(visit, ways)]
            data = {**_person(visit), "flows": flows}
            return envelope(401, data=data, meta={"is_authenticated": True})
        case _:
            return _without_visit(outcome)


def gone(ways: Sequence[str] = WAYS) -> Response:
    """Return 410: the session is not there, or not any more."""
    return _nobody(410, ways)


def shape(_scope: Scope, problem: Problem) -> Response:
    """Shape what was raised: 400 says what could not be read, all else just its status."""
    if problem.status != 400:  # noqa: PLR2004
        return bare(problem.status, headers=problem_headers(problem))
    code = "null_characters_not_allowed" if problem.code == "nul" else problem.code
    message = MESSAGES.get(code, "The request cannot be read.")
    return refused([Fault(code=code, message=message, param=problem.field)])


def login_flows(visit: Visit | None, ways: Sequence[str] = WAYS) -> list[dict[str, object]]:
    """Return how one may log in, and after that the step that a login of this visit waits for.

    A step that is a way to log in as well is where that is.
    """
    begun = [way for way in ways if way != RESET]
    flows: list[dict[str, object]] = [{"id": way} for way in begun]
    if visit is not None and visit.pending is not None:
        pending: dict[str, object] = {"id": visit.pending.value, "is_pending": True}
        if visit.pending is Stage.MFA_AUTHENTICATE:
            pending["types"] = list(visit.types)
        if visit.pending.value in begun:
            flows[begun.index(visit.pending.value)] = pending
        else:
            flows.append(pending)
    return [*flows, *reset_flows(visit, ways)]


def reset_flows(visit: Visit | None, ways: Sequence[str]) -> list[dict[str, object]]:
    """Return whether a password is being reset by code, where it may be."""
    pending = visit is not None and visit.resets
    return [{"id": RESET, "is_pending": pending}] if RESET in ways else []


def reauthentication_flows(
    visit: Visit, methods: Collection[MethodKind]
) -> list[dict[str, object]]:
    """Return how the person of this visit may prove again who they are, if `methods` will do."""
    flows: list[dict[str, object]] = []
    password = MethodKind.PASSWORD in methods
    if password and visit.account is not None and visit.account.has_usable_password:
        flows.append({"id": "reauthenticate"})
    if MethodKind.MFA in methods and visit.types:
        flows.append({"id": "mfa_reauthenticate", "types": list(visit.types)})
    return flows


def _without_visit(outcome: Said | Emails | Factors) -> Response:
    match outcome:
        case Refused(faults=faults, retry_after=retry_after, signal=signal):
            meta = _signal(signal) or None
            return envelope(400, meta=meta, faults=faults, headers=_retry(retry_after))
        case Misfit(faults=faults):
            return envelope(409, faults=faults)
        case Throttled(retry_after=retry_after):
            return bare(429, headers=_retry(retry_after))
        case Done() | Unsent():
            return bare(200 if outcome == Done() else 403)
        case Addresses() | AddressShown() | ResetShown():
            return _emails(outcome)
        case Shown(data=data):
            return envelope(200, data=data)
        case Refreshed(tokens=tokens):
            return envelope(200, data=_tokens(tokens))
        case _:
            return _factors(outcome)


def _emails(outcome: Emails) -> Response:
    match outcome:
        case Addresses(listed=listed):
            return envelope(200, data=[_address(address) for address in listed])
        case AddressShown(address=address, account=account, is_authenticating=is_authenticating):
            data = {"email": address, "user": _user(account)}
            return envelope(200, data=data, meta={"is_authenticating": is_authenticating})
        case ResetShown(account=account):
            return envelope(200, data={"user": _user(account)})


def _address(address: Address) -> dict[str, object]:
    return {
        "email": address.address,
        "verified": address.verified,
        "primary": address.primary,
    }


def _factors(outcome: Factors) -> Response:
    match outcome:
        case Authenticators(entries=entries, signal=signal):
            data = [_authenticator(entry) for entry in entries]
            return envelope(200, data=data, meta=_signal(signal) or None)
        case Enrolled(entry=entry, codes_generated=generated, signal=signal):
            made = {} if generated is None else {"recovery_codes_generated": generated}
            return envelope(200, data=_authenticator(entry), meta=(made | _signal(signal)) or None)
        case NotEnrolled(display=display):
            return envelope(404, meta=display)
        case Codes() | Absent():
            return _codes(outcome)
        case Sessions(listed=listed, tracked=tracked):
            return envelope(200, data=[_session(session, tracked=tracked) for session in listed])
        case TrustedBrowsers(browsers=browsers):
            return envelope(200, data=[_browser(browser) for browser in browsers])
        case Removed(signal=signal):
            return envelope(200, meta=_signal(signal) or None)


def _codes(outcome: Codes | Absent) -> Response:
    match outcome:
        case Codes(entry=entry, codes=None):
            return envelope(200, data=_authenticator(entry))
        case Codes(entry=entry, codes=codes, text=text):
            data = {**_authenticator(entry), "unused_codes": codes}
            return envelope(200, data=data, meta={"recovery_codes_text": text})
        case Absent():
            return bare(404)


def _tokens(tokens: Tokens | None) -> dict[str, object]:
    """Return the tokens that an app is given, by name."""
    given = {} if tokens is None else {"access_token": tokens.access}
    if tokens is not None and tokens.refresh is not None:
        given["refresh_token"] = tokens.refresh
    return {**given}


def _signal(signal: Signal | None) -> dict[str, object]:
    return {} if signal is None else {"signal": signal}


def _standing(visit: Visit, shown: Mapping[str, object], ways: Sequence[str]) -> Response:
    if visit.authenticated:
        return envelope(200, data=_person(visit), meta={"is_authenticated": True, **shown})
    flows = login_flows(visit, ways)
    return envelope(401, data={"flows": flows}, meta={"is_authenticated": False, **shown})


def _nobody(status: int, ways: Sequence[str], visit: Visit | None = None) -> Response:
    flows = login_flows(visit, ways)
    return envelope(status, data={"flows": flows}, meta={"is_authenticated": None})


def _person(visit: Visit) -> dict[str, object]:
    session, account = _present(visit.logged_in)
    methods = [_method(method) for method in session.methods]
    return {"user": _user(account), "methods": methods}


def _user(account: Account) -> dict[str, object]:
    names = {"email": account.email, "username": account.username}
    return {
        "id": account.id,
        "display": account.display,
        **{name: value for name, value in names.items() if value is not None},
        "has_usable_password": account.has_usable_password,
    }


def _method(method: Method) -> dict[str, object]:
    """Return how a proof is told: what does not apply is left out."""
    record: dict[str, object] = {"method": method.kind.value, "at": method.at.timestamp()}
    facts = {
        "email": method.email,
        "username": method.username,
        "id": method.id,
        "type": method.type,
    }
    record |= {name: value for name, value in facts.items() if value is not None}
    flags = {"reauthenticated": method.reauthenticated, "passwordless": method.passwordless}
    return record | {name: True for name, said in flags.items() if said}


def _authenticator(entry: Entry) -> dict[str, object]:
    used = entry.last_used_at
    shown: dict[str, object] = {
        "type": entry.type,
        "created_at": entry.created_at.timestamp(),
        "last_used_at": None if used is None else used.timestamp(),
    }
    return shown | DETAILS.get(entry.type, _nothing)(entry)


def _nothing(_entry: Entry) -> dict[str, object]:
    return {}


def _key(entry: Entry) -> dict[str, object]:
    """Return what a key is called, and what it is as far as that is known."""
    known = {fact: entry.facts.get(fact) for fact in OF_KEYS}
    told = {fact: value for fact, value in known.items() if value is not None}
    return {"id": entry.id, "name": entry.facts.get("name", ""), **told}


def _counts(entry: Entry) -> dict[str, object]:
    """Return how it is with recovery codes; that they wait to be confirmed only if they do."""
    facts = entry.facts
    counts = {
        "total_code_count": facts.get("total", 0),
        "unused_code_count": facts.get("unused", 0),
        "recovery_codes_low": facts.get("low") is True,
    }
    return counts | ({"is_confirmed": False} if facts.get("confirmed") is False else {})


DETAILS: Mapping[str, Callable[[Entry], dict[str, object]]] = {
    RECOVERY_CODES: _counts,
    WEBAUTHN: _key,
}
"""What is shown of an authenticator besides its times, by its kind."""


def _session(session: Listed, *, tracked: bool) -> dict[str, object]:
    shown: dict[str, object] = {
        "id": session.id,
        "ip": session.ip,
        "user_agent": session.user_agent,
        "created_at": session.created_at.timestamp(),
        "is_current": session.is_current,
    }
    if tracked:
        shown["last_seen_at"] = session.last_seen_at.timestamp()
    return shown


def _browser(browser: Browser) -> dict[str, object]:
    return {
        "id": browser.id,
        "name": browser.name,
        "created_at": browser.created_at,
        "last_used_at": browser.last_used_at,
        "expires_at": browser.expires_at,
        "is_current": browser.is_current,
    }


def _present(value: T | None) -> T:
    if value is None:
        raise TypeError("there is nobody here")
    return value


def _error(fault: Fault) -> dict[str, object]:
    error: dict[str, object] = {"message": fault.message, "code": fault.code}
    if fault.param is not None:
        error["param"] = fault.param
    return error


def _retry(after: timedelta | None) -> dict[str, str]:
    if after is None:
        return {}
    return {"Retry-After": str(max(1, ceil(after.total_seconds())))}
