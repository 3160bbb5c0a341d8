"""The authentication ceremony (section 7.2): what comes back, and what it is worth."""

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from services.webauthn.domain.attested import authenticator_data
from services.webauthn.domain.client_data import GET, ClientData
from services.webauthn.domain.client_data import MAX_BYTES as MAX_CLIENT_DATA
from services.webauthn.domain.encoding import decode
from services.webauthn.domain.keys import verify
from services.webauthn.domain.policy import Conveyance, Rules, Use
from services.webauthn.domain.refusal import Reason, require, settled
from services.webauthn.domain.registration import check_flags, check_make, read

HANDLE_BYTES = 64  # section 14.6.1
CHALLENGE_BYTES = 32
MAX_AUTHENTICATOR_DATA = 4096  # bytes; extensions can make it longer than 37
MAX_SIGNATURE = 1024  # bytes: RSA with 8192 bits


@dataclass(frozen=True)
class Response:
    """What the authenticator has signed, decoded as far as is needed to find the credential."""

    credential_id: bytes
    client_data: ClientData
    authenticator_data: bytes = field(repr=False)
    signature: bytes = field(repr=False)
    handle: bytes | None = field(repr=False)

    @classmethod
    def read(cls, credential: Mapping[str, Any]) -> "Response | Reason":
        """Return the AuthenticationResponseJSON in `credential`, or why it is none."""
        return settled(lambda: cls._read(credential))

    @classmethod
    def _read(cls, credential: Mapping[str, Any]) -> "Response":
        raw_id, response = read(credential)
        handle = response.get("userHandle")
        return cls(
            credential_id=raw_id,
            client_data=ClientData.parse(
                decode(response.get("clientDataJSON"), at_most=MAX_CLIENT_DATA)
            ),
            authenticator_data=decode(
                response.get("authenticatorData"), at_most=MAX_AUTHENTICATOR_DATA
            ),
            signature=decode(response.get("signature"), at_most=MAX_SIGNATURE),
            handle=None if handle is None else decode(handle, at_most=HANDLE_BYTES),
        )


@dataclass(frozen=True)
class Challenge:
    """What was asked. `user_id` is None where nobody knew yet who would answer."""

    value: bytes = field(repr=False)
    use: Use
    user_id: str | None
    verification_required: bool


@dataclass(frozen=True)
class Credential:
    """What is registered under the id that an assertion names."""

    id: str
    user_id: str
    handle: bytes = field(repr=False)
    public_key: bytes = field(repr=False)
    sign_count: int
    aaguid: str
    serves_alone: bool  # as it was registered
    backup_eligible: bool
    backed_up: bool
    is_attested: bool
    key_identifier: str | None = None


@dataclass(frozen=True)
class Person:
    """Who is to prove themselves, and with which of their authenticators."""

    user_id: str
    authenticators: Collection[str]


@dataclass(frozen=True)
class Assertion:
    """A proof that holds, as far as can be said before it is spent.

    `in_hardware` is whether the key cannot leave a chip; None where nobody vouches either way.
    """

    user_verified: bool
    backed_up: bool
    sign_count: int
    clone_suspected: bool
    in_hardware: bool | None = None


def judge(
    response: Response,
    challenge: Challenge,
    credential: Credential,
    person: Person | None,
    rules: Rules,
) -> Assertion | Reason:
    """Return what an assertion proves, or why it does not. `person` is None for a login."""

    def whole() -> Assertion:
        _check_whose(response, challenge, credential, person)
        return _judge(response, challenge, credential, rules)

    return settled(whole)


def amr(credential: Credential, assertion: Assertion) -> list[str]:
    """Return how the person was authenticated, in the words of RFC 8176.

    A key was used (`pop`) by somebody who was there (`user`). Where the key lies is said only if
    it is known: a key that can be synced is in software's hands (`swk`); of others FIDO's metadata
    say it (`swk` or `hwk`), where a maker has vouched for the make. What verified the user, PIN or
    finger, no authenticator tells; that something did makes two factors (`mfa`).
    """
    places: dict[bool | None, list[str]] = {None: [], False: ["swk"], True: ["hwk"]}
    in_hardware = False if credential.backup_eligible else assertion.in_hardware
    verified = ["mfa"] if assertion.user_verified else []
    return ["pop", *places[in_hardware], "user", *verified]


def has_regressed(stored: int, received: int) -> bool:
    """Tell whether a counter has not grown, in an authenticator that counts (step 22)."""
    return (stored, received) != (0, 0) and received <= stored


def _check_whose(
    response: Response, challenge: Challenge, credential: Credential, person: Person | None
) -> None:
    """Raise Refused unless the credential is of who was asked: steps 5 and 6."""
    if person is None:
        require(challenge.user_id is None, Reason.NO_CHALLENGE)
        require(response.handle is not None, Reason.USER_HANDLE)
    else:
        require(challenge.user_id == person.user_id, Reason.NO_CHALLENGE)
        ours = credential.user_id == person.user_id and credential.id in person.authenticators
        require(ours, Reason.NOT_ALLOWED)
    same = response.handle is None or hmac.compare_digest(response.handle, credential.handle)
    require(same, Reason.USER_HANDLE)


def _judge(
    response: Response,
    challenge: Challenge,
    credential: Credential,
    rules: Rules,
) -> Assertion:
    response.client_data.check(GET, challenge.value, rules.party)
    data = authenticator_data(response.authenticator_data)
    check_flags(data, rules.party.id_hash, verified=challenge.verification_required)
    unchanged = data.is_backup_eligible() == credential.backup_eligible
    require(unchanged, Reason.BACKUP_ELIGIBILITY)
    alone = challenge.use is Use.LOGIN
    require(credential.serves_alone or not alone, Reason.NOT_ALONE)
    if rules.policy.at_use:
        is_asked = rules.policy.conveyance is not Conveyance.NONE
        require(credential.is_attested or not is_asked, Reason.UNTRUSTED)
        check_make(credential.aaguid, credential.key_identifier, credential.backup_eligible, rules)
    signed = response.authenticator_data + response.client_data.hash
    verify(credential.public_key, signed, response.signature)
    return Assertion(
        user_verified=data.is_user_verified(),
        backed_up=data.is_backed_up(),
        sign_count=data.counter,
        clone_suspected=has_regressed(credential.sign_count, data.counter),
        in_hardware=_in_hardware(credential, rules),
    )


def _in_hardware(credential: Credential, rules: Rules) -> bool | None:
    """Return where the key lies, as far as the make is proved and FIDO knows."""
    entry = rules.metadata.by_aaguid.get(credential.aaguid) if credential.is_attested else None
    return None if entry is None else entry.in_hardware
