"""On whose behalf the present request runs: facts for logs and the audit trail.

The context rides beside the call, in a context variable, and crosses from service to service in
one header. Nothing is ever *decided* by it; that is why it may be ambient.
"""

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from contextvars import ContextVar
from dataclasses import asdict, dataclass, fields, replace
from uuid import uuid4

HEADER = "x-countersign-context"
MAX_HEADER = 8192  # characters
MAX_VALUE = 512  # characters kept of any one value: user agents have no bound of their own


@dataclass(frozen=True, kw_only=True)
class Context:
    """Who asked, and from where.

    `session` is the SHA-256 (hex) of the session's internal id, never the id or a token; `amr` how
    the person had proved themselves in it until then, as in RFC 8176, separated by spaces.
    `operator` is the account on the machine, and its name, of who ran a command.
    """

    request_id: str
    address: str | None = None
    user_agent: str | None = None
    session: str | None = None
    client: str | None = None
    amr: str | None = None
    operator: str | None = None


_current: ContextVar[Context | None] = ContextVar("context", default=None)


def current() -> Context | None:
    """Return the context of the request being served, or None outside of one."""
    return _current.get()


def enter(context: Context | None) -> None:
    """Make `context` the current one, for the running task and what it starts; None leaves it."""
    _current.set(context)


def amend(*, session: str, amr: str | None = None) -> None:
    """Add the session that the present request turned out to belong to, and its proofs so far."""
    context = _current.get()
    if context is not None:
        _current.set(replace(context, session=session, amr=amr))


def new_request_id() -> str:
    """Return a fresh random id (UUID 4, 32 hex digits)."""
    return uuid4().hex


def to_header(context: Context) -> str:
    """Return `context` as a header value: base64url of a JSON object."""
    present = {name: value for name, value in asdict(context).items() if value is not None}
    return urlsafe_b64encode(json.dumps(present).encode()).decode()


def from_header(value: str) -> Context | None:
    """Return the context that a *trusted* caller sent, or None if it cannot be read."""
    if len(value) > MAX_HEADER:
        return None
    try:
        facts = json.loads(urlsafe_b64decode(value))
        known = {
            field.name: facts[field.name][:MAX_VALUE]
            for field in fields(Context)
            if isinstance(facts.get(field.name), str)
        }
        return Context(**known)
    except (ValueError, TypeError, AttributeError, RecursionError):
        return None
