"""What pages may tell browsers of passkeys, by name: payloads of the Signal API.

WebAuthn Level 3, section 5.1.10: each goes to the method `PublicKeyCredential.signal…`.
"""

from collections.abc import Mapping
from typing import Any

from services.session.domain.factors import WEBAUTHN
from services.session.domain.register import Entry, Register
from services.session.domain.sessions import Account

Signal = Mapping[str, Mapping[str, Any]]


def unknown_credential(facts: Mapping[str, Any]) -> Signal | None:
    """Return that a credential is nobody's, if its factor has said so with a refusal."""
    told = facts.get("signal")
    payload = told.get("unknown_credential") if isinstance(told, Mapping) else None
    return {"unknownCredential": payload} if isinstance(payload, Mapping) else None


def current_user_details(account: Account, entry: Entry) -> Signal | None:
    """Return what the owner of a passkey is called by now; None if its factor tells too little."""
    rp_id, handle = entry.facts.get("rp_id"), entry.facts.get("user_handle")
    if rp_id is None or handle is None:
        return None
    named = {"name": account.label, "displayName": account.label}  # as when it was made
    return {"currentUserDetails": {"rpId": rp_id, "userId": handle, **named}}


def all_accepted_credentials(register: Register, known: Entry) -> Signal | None:
    """Return which passkeys of a person count, so that browsers offer no others of theirs.

    `known` is one of them, or was: it tells for whom they are, and those that were made for another
    RP ID are not told of. None if its factor tells too little.
    """
    rp_id, handle = known.facts.get("rp_id"), known.facts.get("user_handle")
    if rp_id is None or handle is None:
        return None
    alike = (e for e in register.of_type(WEBAUTHN) if e.facts.get("rp_id") == rp_id)
    ids = [entry.facts.get("credential_id") for entry in alike]
    accepted = {"rpId": rp_id, "userId": handle, "allAcceptedCredentialIds": [i for i in ids if i]}
    return {"allAcceptedCredentials": accepted}


def of_keys(account: Account, known: Entry) -> Signal | None:
    """Return all that is told of a person's passkeys where they are looked at or changed."""
    accepted = all_accepted_credentials(account.register, known)
    details = current_user_details(account, known)
    return None if accepted is None or details is None else {**accepted, **details}
