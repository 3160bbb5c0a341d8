"""`account/authenticators/webauthn`: a person's security keys and passkeys."""

from pydantic import JsonValue

from services.session import schemas
from services.session.api.edge import Call, Routes, sound
from services.session.api.fields import (
    IDS_CODES,
    MAX_IDS,
    OBJECT_CODES,
    Text,
    read_ids,
    read_object,
)
from services.session.api.openapi import Codes
from services.session.domain.access import Access
from services.session.domain.faults import (
    CANNOT_DELETE_AUTHENTICATOR,
    INCORRECT_CREDENTIAL,
    TOO_MANY_KEYS,
    UNVERIFIED_EMAIL,
    Fault,
)
from services.session.flows.outcomes import Outcome
from services.session.flows.webauthn import MAX_NAME

PATH = "/account/authenticators/webauthn"

ID = Text(name="id")
NAME = Text(name="name", max_length=MAX_NAME)
WISHED = Text(name="name", optional=True)  # cut if it is too long: the key is made already
NEW_KEY = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "description": "Made up if there is none."},
        "credential": {
            "type": "object",
            "description": "What `toJSON()` makes of the browser's credential: "
            "RegistrationResponseJSON of WebAuthn.",
        },
    },
    "required": ["credential"],
}
NEW_KEY_CODES = (*OBJECT_CODES, "max_length")  # the latter of a name that is far too long
BARRED: Codes = {409: (TOO_MANY_KEYS.code, UNVERIFIED_EMAIL.code)}
IDS = {
    "type": "object",
    "properties": {
        "authenticators": {
            "type": "array",
            "items": {"type": "string", "minLength": 1},
            "minItems": 1,
            "maxItems": MAX_IDS,
        }
    },
    "required": ["authenticators"],
}

routes = Routes()


@routes.get(
    PATH,
    access=Access.LOGGED_IN,
    answers={200: schemas.KeyWanted, 429: schemas.TooMany},
    codes=BARRED,
    switches={"passwordless": "For a passkey that can log in alone."},
)
async def show_key_options(call: Call) -> Outcome:
    """Show what it takes to make a key."""
    return await call.flows.webauthn.options(call.visit, passwordless="passwordless" in call.asked)


@routes.post(
    PATH,
    access=Access.LOGGED_IN,
    answers={200: schemas.KeyAdded},
    body=NEW_KEY,
    codes={400: NEW_KEY_CODES, **BARRED},
)
async def add_key(call: Call) -> Outcome:
    """Add a key that was made by the options that were shown last."""
    name, credential, faults = read_new_key(call)
    return await call.flows.webauthn.add(call.visit, name, credential, faults=faults)


@routes.put(
    PATH,
    access=Access.LOGGED_IN,
    takes=(ID, NAME),
    answers={200: schemas.KeyChanged},
    codes={400: ("invalid_choice",)},
)
async def rename_key(call: Call) -> Outcome:
    """Give a key another name."""
    values, faults = call.read()
    return await call.flows.webauthn.rename(
        call.visit, values.get("id"), values.get("name"), faults=faults
    )


@routes.delete(
    PATH,
    access=Access.LOGGED_IN,
    answers={200: schemas.KeysRemoved},
    body=IDS,
    codes={
        400: (*IDS_CODES, "invalid_choice"),
        409: (CANNOT_DELETE_AUTHENTICATOR.code,),
    },
)
async def remove_keys(call: Call) -> Outcome:
    """Remove keys by their ids."""
    ids = sound(read_ids("authenticators", call.members))
    return await call.flows.webauthn.remove(call.visit, ids)


def read_new_key(call: Call) -> tuple[str | None, dict[str, JsonValue] | None, list[Fault]]:
    """Return name and credential of a new key, as far as they can be read, and what is wrong.

    That it is no credential is said as of one that is refused.
    """
    name = None if call.members.get("name") in (None, "") else WISHED.read(call.members)
    credential = read_object("credential", call.members)
    if isinstance(credential, Fault) and credential.code == INCORRECT_CREDENTIAL.code:
        credential = INCORRECT_CREDENTIAL
    faults = [value for value in (name, credential) if isinstance(value, Fault)]
    return (
        name if isinstance(name, str) else None,
        credential if isinstance(credential, dict) else None,
        faults,
    )
