"""How the values of the domain are laid down in columns, and read back."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from services.session.domain.codes import MailedCode
from services.session.domain.methods import Method, MethodKind
from services.session.domain.origins import Arrival, Origin
from services.session.domain.processes import AddressProof, PasswordReset, Processes
from services.session.domain.register import Entry, Intent, Pending, Register
from services.session.domain.sessions import Account, Client, Session
from services.session.domain.stages import LOGIN_LIFETIME, Login, Stage
from shared.clock import MICROSECOND, from_micros, to_micros
from shared.database import Row

_ENTRY = {"id": "", "type": "", "created_at": 0, "last_used_at": 0, "facts": {"code_form": ""}}
TYPICAL = Row(
    account_id="",
    address="",
    verified_at=0,
    password_hash="",
    factor_epoch=0,
    account_epoch=0,
    disabled_at=None,
    register=json.dumps({"entries": [_ENTRY] * 2, "serials": {"": 1}}),
    register_number=0,
    register_pending=None,
    mfa_rests_until=0,
    username=None,
    has_claims=0,
)
"""What is read where there is an account that has a second factor and recovery codes."""


@dataclass(frozen=True, kw_only=True)
class Found:
    """A session with the account that it belongs to. None if there is no such account."""

    session: Session
    account: Account | None


def account_of(row: Row) -> Account | None:
    """Return the account in a row that joins users and primary address, or None."""
    if row.account_id is None:
        return None
    return Account(
        id=row.account_id,
        email=row.address,
        email_verified=row.verified_at is not None,
        password_hash=row.password_hash,
        factor_epoch=row.factor_epoch,
        session_epoch=row.account_epoch,
        disabled=row.disabled_at is not None,
        register=register_of(row.register_number, row.register, row.register_pending),
        mfa_rests_until=from_micros(row.mfa_rests_until),
        register_read=row.register,
        username=row.username,
        has_claims=bool(row.has_claims),
    )


def account_or_decoy(row: Row) -> Account | None:
    """Return the same, and take as long where there is no account as where there is one."""
    account = account_of(row)
    if account is None:
        account_of(TYPICAL)
    return account


def session_of(row: Row) -> Session:
    """Return the session in a row of `sessions`."""
    return Session(
        id=row.id,
        client=Client(row.kind),
        version=row.version,
        user_id=row.user_id,
        session_epoch=row.session_epoch,
        created_at=from_micros(row.created_at),
        expires_at=from_micros(row.expires_at),
        last_seen_at=moment(row.last_seen_at),
        authenticated_at=moment(row.authenticated_at),
        login=None if row.login is None else _login(json.loads(row.login)),
        methods=_methods(json.loads(row.methods)),
        processes=_processes(row.processes),
    )


def session_columns(session: Session) -> dict[str, object]:
    """Return what changes in the row of a session from one step to the next."""
    login = session.login
    return {
        "version": session.version,
        "user_id": session.user_id,
        "session_epoch": session.session_epoch,
        "expires_at": to_micros(session.expires_at),
        "last_seen_at": _micros(session.last_seen_at),
        "authenticated_at": _micros(session.authenticated_at),
        "login": None if login is None else _dump(_login_json(login)),
        "methods": _dump(_methods_json(session.methods)),
        "processes": _processes_column(session.processes),
    }


def register_of(number: int, register: str, pending: str | None) -> Register:
    """Return the register in its columns."""
    held = json.loads(register)
    return Register(
        number=number,
        entries=tuple(_entry(facts) for facts in held["entries"]),
        pending=None if pending is None else _pending(json.loads(pending)),
        serials=held["serials"],
    )


def register_json(register: Register) -> str:
    """Return the column `register`."""
    entries = [
        {
            "id": entry.id,
            "type": entry.type,
            "created_at": to_micros(entry.created_at),
            "last_used_at": _micros(entry.last_used_at),
            "facts": dict(entry.facts),
        }
        for entry in register.entries
    ]
    return _dump({"entries": entries, "serials": dict(register.serials)})


def pending_json(pending: Pending) -> str:
    """Return the column `register_pending`."""
    return _dump(
        {
            "intent": pending.intent.value,
            "type": pending.type,
            "id": pending.id,
            "codes": pending.codes,
        }
    )


def _entry(facts: Mapping[str, Any]) -> Entry:
    return Entry(
        id=facts["id"],
        type=facts["type"],
        created_at=from_micros(facts["created_at"]),
        last_used_at=moment(facts["last_used_at"]),
        facts=facts.get("facts", {}),
    )


def _pending(change: Mapping[str, Any]) -> Pending:
    return Pending(
        intent=Intent(change["intent"]),
        type=change["type"],
        id=change["id"],
        codes=change.get("codes"),
    )


def _login_json(login: Login) -> dict[str, object]:
    return {
        "id": login.id,
        "user_id": login.user_id,
        "email": login.email,
        "started_at": to_micros(login.started_at),
        "factor_epoch": login.factor_epoch,
        "session_epoch": login.session_epoch,
        "passed": [stage.value for stage in login.passed],
        "methods": _methods_json(login.methods),
        "code": None if login.code is None else _code_json(login.code),
        "arrival": None if login.arrival is None else _arrival_json(login.arrival),
        "asks_trust": login.asks_trust,
        "wants_code": login.wants_code,
        "code_trusts": login.code_trusts,
        "lifetime": login.lifetime // MICROSECOND,
        "trusted_browser": login.trusted_browser,
        "by_passkey": login.by_passkey,
        "reclaims": login.reclaims,
        "verifies_email": login.verifies_email,
        "changes": login.changes,
        "password_hash": login.password_hash,
        "username": login.username,
    }


def _login(facts: Mapping[str, Any]) -> Login:
    code = facts["code"]
    return Login(
        id=facts["id"],
        user_id=facts["user_id"],
        email=facts["email"],
        started_at=from_micros(facts["started_at"]),
        factor_epoch=facts["factor_epoch"],
        session_epoch=facts["session_epoch"],
        passed=tuple(Stage(name) for name in facts["passed"]),
        methods=_methods(facts["methods"]),
        code=None if code is None else _code({"made_at": facts["started_at"], **code}),
        arrival=_arrival(facts.get("arrival")),
        asks_trust=facts.get("asks_trust", False),
        wants_code=facts.get("wants_code", False),
        code_trusts=facts.get("code_trusts", False),
        lifetime=facts["lifetime"] * MICROSECOND if "lifetime" in facts else LOGIN_LIFETIME,
        trusted_browser=facts.get("trusted_browser"),
        by_passkey=facts.get("by_passkey", False),
        reclaims=facts.get("reclaims", False),
        verifies_email=facts.get("verifies_email", True),
        changes=facts.get("changes", 0),
        password_hash=facts.get("password_hash"),
        username=facts.get("username"),
    )


def _code_json(code: MailedCode) -> dict[str, object]:
    return {
        "hash": code.hash.hex(),
        "made_at": to_micros(code.made_at),
        "failures": code.failures,
        "resends": code.resends,
    }


def _code(facts: Mapping[str, Any]) -> MailedCode:
    return MailedCode(
        hash=bytes.fromhex(facts["hash"]),
        made_at=from_micros(facts["made_at"]),
        failures=facts["failures"],
        resends=facts.get("resends", 0),
    )


def _processes_column(processes: Processes) -> str | None:
    """Return the column `processes`: null where nothing is under way."""
    proof, reset = processes.address, processes.reset
    under_way = {
        "address": None if proof is None else _proof_json(proof),
        "reset": None if reset is None else _reset_json(reset),
    }
    return _dump(under_way) if any(under_way.values()) else None


def _processes(column: str | None) -> Processes:
    if column is None:
        return Processes()
    facts = json.loads(column)
    proof, reset = facts["address"], facts["reset"]
    return Processes(
        address=None if proof is None else _proof(proof),
        reset=None if reset is None else _reset(reset),
    )


def _proof_json(proof: AddressProof) -> dict[str, object]:
    return {
        "id": proof.id,
        "address": proof.address,
        "started_at": to_micros(proof.started_at),
        "code": _code_json(proof.code),
    }


def _proof(facts: Mapping[str, Any]) -> AddressProof:
    return AddressProof(
        id=facts["id"],
        address=facts["address"],
        started_at=from_micros(facts["started_at"]),
        code=_code(facts["code"]),
    )


def _reset_json(reset: PasswordReset) -> dict[str, object]:
    return {
        "id": reset.id,
        "address": reset.address,
        "user_id": reset.user_id,
        "factor_epoch": reset.factor_epoch,
        "session_epoch": reset.session_epoch,
        "started_at": to_micros(reset.started_at),
        "code": _code_json(reset.code),
        "confirmed_at": _micros(reset.confirmed_at),
    }


def _reset(facts: Mapping[str, Any]) -> PasswordReset:
    return PasswordReset(
        id=facts["id"],
        address=facts["address"],
        user_id=facts["user_id"],
        factor_epoch=facts["factor_epoch"],
        session_epoch=facts["session_epoch"],
        started_at=from_micros(facts["started_at"]),
        code=_code(facts["code"]),
        confirmed_at=moment(facts["confirmed_at"]),
    )


def _arrival_json(arrival: Arrival) -> list[object]:
    origin = arrival.origin
    return [
        origin.network,
        origin.agent,
        arrival.network_known,
        arrival.agent_known,
    ]


def _arrival(facts: list[Any] | None) -> Arrival | None:
    if facts is None:
        return None
    network, agent, network_known, agent_known = facts
    return Arrival(
        origin=Origin(network, agent),
        network_known=network_known,
        agent_known=agent_known,
    )


def _methods_json(methods: Iterable[Method]) -> list[dict[str, object]]:
    return [
        {
            "kind": method.kind.value,
            "at": to_micros(method.at),
            "amr": list(method.amr),
            "email": method.email,
            "username": method.username,
            "id": method.id,
            "type": method.type,
            "reauthenticated": method.reauthenticated,
            "passwordless": method.passwordless,
        }
        for method in methods
    ]


def _methods(records: Iterable[Mapping[str, Any]]) -> tuple[Method, ...]:
    return tuple(
        Method(
            kind=MethodKind(record["kind"]),
            at=from_micros(record["at"]),
            amr=tuple(record["amr"]),
            email=record["email"],
            username=record.get("username"),
            id=record["id"],
            type=record["type"],
            reauthenticated=record["reauthenticated"],
            passwordless=record.get("passwordless", False),
        )
        for record in records
    )


def moment(micros: int | None) -> datetime | None:
    """Return the time in a column that may be null."""
    return None if micros is None else from_micros(micros)


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else to_micros(moment)


def _dump(value: object) -> str:
    return json.dumps(value, separators=(",", ":"))


EMPTY_REGISTER = register_json(Register())
