"""What a script and a key do between two pages: options as JSON, and the answer in a field."""

from pydantic import JsonValue

from services.session.api.fields import read_object
from services.session.domain.faults import INCORRECT_CREDENTIAL, Fault
from services.session.flows.outcomes import Asked, Outcome, ReauthenticationNeeded
from services.session.pages.answers import Given
from services.session.pages.call import Call
from shared.errors import Malformed
from shared.http import parse_json

FIELD = "credential"
CONFLICT = 409
UNAUTHORISED = 401


def options(outcome: Outcome) -> Given:
    """Return what a key is asked with, or that it cannot be: the page says why when it is loaded.

    A script that is answered 401 has its page loaded anew, which leads to what is missing.
    """
    if isinstance(outcome, Asked):
        return Given(value=outcome.display, outcome=outcome)
    status = UNAUTHORISED if isinstance(outcome, ReauthenticationNeeded) else CONFLICT
    return Given(value={}, status=status, outcome=outcome)


def read_credential(call: Call) -> dict[str, JsonValue] | Fault:
    """Return the answer of a key, or what is wrong with it."""
    text = call.form.get(FIELD, "")
    try:
        value = parse_json(text.encode()) if text else None
    except Malformed:
        return Fault(
            code=INCORRECT_CREDENTIAL.code, message=INCORRECT_CREDENTIAL.message, param=FIELD
        )
    return read_object(FIELD, {FIELD: value})
