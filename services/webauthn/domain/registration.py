"""The registration ceremony (section 7.1): options, and what comes back."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from fido2 import cbor
from fido2.webauthn import AuthenticatorData

from services.webauthn.domain import naming
from services.webauthn.domain.attestation import vouched
from services.webauthn.domain.attested import Attested
from services.webauthn.domain.client_data import CREATE, ClientData
from services.webauthn.domain.client_data import MAX_BYTES as MAX_CLIENT_DATA
from services.webauthn.domain.encoding import decode, encode
from services.webauthn.domain.keys import ALGORITHMS, check_key
from services.webauthn.domain.options import Descriptor, Json, timeout
from services.webauthn.domain.policy import Conveyance, Rules, Use
from services.webauthn.domain.refusal import Reason, Refused, require, settled

CREDENTIAL_ID_BYTES = range(16, 1024)  # section 4, "credential ID"; step 25
MAX_ATTESTATION = 16384  # bytes: fido2's parser takes time that grows with the square
MAX_TRANSPORTS = 8
TRANSPORT = re.compile(r"[!-~]{1,32}", re.ASCII)


@dataclass(frozen=True)
class Enrolment:
    """What was asked of whom. `passwordless` is for a key that shall serve alone."""

    challenge: bytes = field(repr=False)
    passwordless: bool


@dataclass(frozen=True)
class Registration:
    """A credential that was accepted. Times and whose it is are the flow's to know."""

    credential_id: bytes
    rp_id: str
    public_key: bytes
    algorithm: int
    sign_count: int
    aaguid: str
    provider: str | None
    transports: tuple[str, ...]
    passwordless: bool  # asked for as such
    discoverable: bool | None
    user_verified: bool
    backup_eligible: bool
    backed_up: bool
    format: str
    is_attested: bool
    key_identifier: str | None = None  # by which a make is known that has no AAGUID

    @property
    def serves_alone(self) -> bool:
        """Tell whether its owner may log in with it and nothing else.

        It was asked for, so that the authenticator had to keep it and to verify its user, and that
        it has verified them is signed. What the browser says of `credProps` is not, and is no part
        of it.
        """
        return self.passwordless and self.user_verified

    @property
    def is_passkey(self) -> bool:
        """Tell whether people would call it a passkey rather than a security key: for its name.

        Where the browser does not say whether it can be found without a name, it can if that was
        asked for.
        """
        can_be_found = self.passwordless if self.discoverable is None else self.discoverable
        return self.backup_eligible or can_be_found


def creation_options(
    enrolment: Enrolment,
    *,
    handle: bytes,
    account_name: str,
    registered: Sequence[Descriptor],
    rules: Rules,
) -> Json:
    """Return PublicKeyCredentialCreationOptionsJSON, in the shape in which allauth gives it."""
    party, policy = rules.party, rules.policy
    resident = "required" if enrolment.passwordless else "discouraged"
    options: Json = {
        "rp": {"name": party.name, "id": party.id},
        "user": {"name": account_name, "id": encode(handle), "displayName": account_name},
        "challenge": encode(enrolment.challenge),
        "pubKeyCredParams": [
            {"type": "public-key", "alg": ALGORITHMS[name]} for name in policy.algorithms
        ],
        "timeout": timeout(policy.challenge_lifetime),
        "excludeCredentials": [descriptor.json() for descriptor in registered],
        "authenticatorSelection": {
            "residentKey": resident,
            "requireResidentKey": enrolment.passwordless,
            "userVerification": _requirement(enrolment, rules),
        },
        "attestation": policy.conveyance.value,
        "extensions": {"credProps": True},
    }
    if policy.hints:
        options["hints"] = list(policy.hints)
    return {"publicKey": options}


def judge(
    credential: Mapping[str, Any],
    enrolment: Enrolment,
    rules: Rules,
    now: datetime,
) -> Registration | Reason:
    """Return the new credential, or why there is none."""
    return settled(lambda: _judge(credential, enrolment, rules, now))


def _judge(
    credential: Mapping[str, Any],
    enrolment: Enrolment,
    rules: Rules,
    now: datetime,
) -> Registration:
    raw_id, response = read(credential)
    client_data = ClientData.parse(decode(response.get("clientDataJSON"), at_most=MAX_CLIENT_DATA))
    client_data.check(CREATE, enrolment.challenge, rules.party)
    attested = Attested.read(decode(response.get("attestationObject"), at_most=MAX_ATTESTATION))
    data, made = attested.data, attested.made
    is_required = _requirement(enrolment, rules) == "required"
    check_flags(data, rules.party.id_hash, verified=is_required)
    algorithm = check_key(made.public_key, rules.policy.algorithms)
    fits = len(made.credential_id) in CREDENTIAL_ID_BYTES and made.credential_id == raw_id
    require(fits, Reason.CREDENTIAL_ID)
    aaguid = str(UUID(bytes=bytes(made.aaguid)))
    provider = rules.names.get(aaguid)
    is_attested = rules.policy.conveyance is not Conveyance.NONE
    key_identifier = None
    if is_attested:
        make = vouched(attested, client_data.hash, aaguid, rules.metadata, now)
        provider, key_identifier = make.entry.name or provider, make.key_identifier
    check_make(aaguid, key_identifier, data.is_backup_eligible(), rules)
    return Registration(
        credential_id=raw_id,
        rp_id=rules.party.id,
        public_key=cbor.encode(made.public_key),
        algorithm=algorithm,
        sign_count=data.counter,
        aaguid=aaguid,
        provider=naming.clean(provider) or None,
        transports=_transports(response.get("transports")),
        passwordless=enrolment.passwordless,
        discoverable=_discoverable(credential.get("clientExtensionResults")),
        user_verified=data.is_user_verified(),
        backup_eligible=data.is_backup_eligible(),
        backed_up=data.is_backed_up(),
        format=attested.format,
        is_attested=is_attested,
        key_identifier=key_identifier,
    )


def read(credential: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
    """Return the id and the response of a credential in the form of `toJSON()`. Raises Refused."""
    require(credential.get("type") == "public-key", Reason.UNREADABLE)
    require(credential.get("id") == credential.get("rawId"), Reason.UNREADABLE)
    raw_id = decode(credential.get("rawId"), at_most=CREDENTIAL_ID_BYTES.stop - 1)
    response = credential.get("response")
    if not isinstance(response, Mapping):
        raise Refused(Reason.UNREADABLE)
    return raw_id, response


def check_flags(data: AuthenticatorData, rp_id_hash: bytes, *, verified: bool) -> None:
    """Raise Refused unless the authenticator data is for us and its flags are in order.

    Steps 14 to 17 of section 7.1, 15 to 18 of section 7.2. With `verified`, the user has to be.
    """
    require(data.rp_id_hash == rp_id_hash, Reason.RP_ID)
    require(data.is_user_present(), Reason.USER_PRESENT)
    require(data.is_user_verified() or not verified, Reason.USER_VERIFIED)
    require(data.is_backup_eligible() or not data.is_backed_up(), Reason.BACKUP_STATE)


def check_make(
    aaguid: str, key_identifier: str | None, backup_eligible: bool, rules: Rules
) -> None:
    """Raise Refused unless policy lets in authenticators of this make, and keys that are synced."""
    require(rules.policy.admits(aaguid), Reason.AAGUID)
    require(not rules.metadata.is_revoked(aaguid, key_identifier), Reason.REVOKED)
    require(rules.policy.allow_synced or not backup_eligible, Reason.SYNCED)


def _requirement(enrolment: Enrolment, rules: Rules) -> str:
    use = Use.LOGIN if enrolment.passwordless else Use.ENROL
    return rules.verification.requirement(use)


def _transports(value: object) -> tuple[str, ...]:
    """Return how the browser reached the authenticator: hints for the next time, new words too."""
    require(value is None or isinstance(value, list), Reason.UNREADABLE)
    words = value if isinstance(value, list) else []
    require(
        all(isinstance(word, str) and TRANSPORT.fullmatch(word) for word in words),
        Reason.UNREADABLE,
    )
    return tuple(dict.fromkeys(words))[:MAX_TRANSPORTS]


def _discoverable(results: object) -> bool | None:
    """Return what the browser says of `credProps.rk`; None if it says nothing.

    No authenticator signs it (section 10.1.3): it may be wrong, and lets nobody in.
    """
    properties = results.get("credProps") if isinstance(results, Mapping) else None
    value = properties.get("rk") if isinstance(properties, Mapping) else None
    return value if isinstance(value, bool) else None
