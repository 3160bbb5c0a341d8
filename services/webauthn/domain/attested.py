"""The attestation object (section 6.5.4): what an authenticator says of a new credential."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from fido2 import cbor
from fido2.webauthn import AttestedCredentialData, AuthenticatorData

from services.webauthn.domain.refusal import Reason, Refused, refusing, require

FORMATS = frozenset(
    {
        "android-key",
        "android-safetynet",
        "apple",
        "compound",
        "fido-u2f",
        "none",
        "packed",
        "tpm",
    }
)
"""IANA's registry "WebAuthn Attestation Statement Format Identifiers" (RFC 8809)."""


@dataclass(frozen=True)
class Attested:
    """What an attestation object holds. Its statement is not verified, only known to be a map."""

    format: str
    statement: Mapping[str, Any] = field(repr=False)
    data: AuthenticatorData = field(repr=False)
    made: AttestedCredentialData = field(repr=False)

    @classmethod
    def read(cls, raw: bytes) -> "Attested":
        """Return what is in `raw`. Raises Refused.

        fido2's own class takes the members as they come. Those of its classes that are `bytes`
        make of a number that many bytes: ten bytes sent could be gigabytes held.
        """
        with refusing():
            members = cbor.decode(raw)
        if not isinstance(members, Mapping):
            raise Refused(Reason.UNREADABLE)
        name, statement, data = (members.get(each) for each in ("fmt", "attStmt", "authData"))
        if not (isinstance(name, str) and isinstance(statement, Mapping)):
            raise Refused(Reason.UNREADABLE)
        require(name in FORMATS, Reason.ATTESTATION)
        read = authenticator_data(data)
        if read.credential_data is None:
            raise Refused(Reason.UNREADABLE)
        return cls(name, statement, read, read.credential_data)


def authenticator_data(raw: object) -> AuthenticatorData:
    """Return what is in `raw`, if it is bytes. Raises Refused."""
    if not isinstance(raw, bytes):
        raise Refused(Reason.UNREADABLE)
    with refusing():
        data = AuthenticatorData(raw)
    require(data.extensions is None or isinstance(data.extensions, Mapping), Reason.UNREADABLE)
    return data
