"""The specification's own test vectors (WebAuthn Level 3, section "Test Vectors").

`vectors.json` has their values, by the `info` that the specification derives each from.
"""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject

from services.webauthn.domain import assertion, registration
from services.webauthn.domain.assertion import Assertion, Challenge, Credential, Response
from services.webauthn.domain.metadata import Entry, Metadata
from services.webauthn.domain.policy import Conveyance, Policy, RelyingParty, Rules, Use
from services.webauthn.domain.refusal import Reason
from services.webauthn.domain.registration import Enrolment, Registration

DOCUMENT = json.loads((Path(__file__).parent / "vectors.json").read_text())
ROOT = bytes.fromhex(DOCUMENT["attestation_ca_cert"])
VECTORS: dict[str, Any] = DOCUMENT["vectors"]

NOW = datetime(2026, 5, 4, tzinfo=UTC)
PARTY = RelyingParty(
    id="example.org",
    name="Example",
    origins=frozenset({"https://example.org"}),
    allow_cross_origin=True,
    top_origins=frozenset({"https://example.com"}),
)
ALL = ("ES256", "ES384", "ES512", "EdDSA", "Ed448", "RS256")

ATTESTED = [
    "packed.ES256",
    "packed.ES384",
    "packed.ES512",
    "packed.RS256",
    "packed.EdDSA",
    "packed.Ed448",
    "apple.ES256",
]
"""Those whose maker can be known: the statement verifies, and leads to the root."""

BEYOND_FIDO2 = ["tpm.ES256", "android-key.ES256"]
"""Those whose statement fido2 2.2 cannot verify.

Its TPM parser takes the byte 0x33 for no boolean, though TPM 2.0 takes any but 0 for true; the
format `android-key` it does not know. With attestation they are refused; without, they are taken
like all others, and their assertions verify.
"""

BEYOND_U2F = ["fido-u2f.ES256"]
"""The vector whose authenticator has an AAGUID, which U2F has not and whose key does not sign it:
whoever carries the answer could write any."""

UNPROVEN = [name for name in VECTORS if name.startswith(("none", "packed-self"))]


def aaguid_of(name: str) -> str:
    made = AttestationObject(bytes.fromhex(VECTORS[name]["registration"]["attestationObject"]))
    assert made.auth_data.credential_data is not None
    return str(made.auth_data.credential_data.aaguid)


def registered(name: str, conveyance: Conveyance) -> Registration | Reason:
    """Return what becomes of a vector's registration, with its root in the metadata."""
    vector = VECTORS[name]["registration"]
    metadata = Metadata({aaguid_of(name): Entry("Vector", (ROOT,))})
    rules = Rules(PARTY, policy=Policy(ALL, conveyance), metadata=metadata)
    named = websafe_encode(bytes.fromhex(vector["credential_id"]))
    credential = {
        "id": named,
        "rawId": named,
        "type": "public-key",
        "response": {
            "clientDataJSON": websafe_encode(bytes.fromhex(vector["clientDataJSON"])),
            "attestationObject": websafe_encode(bytes.fromhex(vector["attestationObject"])),
        },
    }
    enrolment = Enrolment(bytes.fromhex(vector["challenge"]), passwordless=False)
    return registration.judge(credential, enrolment, rules, NOW)


def test_there_is_every_vector_of_the_standard() -> None:
    assert sorted(VECTORS) == sorted([*ATTESTED, *BEYOND_FIDO2, *BEYOND_U2F, *UNPROVEN])
    assert len(VECTORS) == 15


@pytest.mark.parametrize("name", VECTORS)
def test_each_vector_registers_and_authenticates(name: str) -> None:
    vector = VECTORS[name]["authentication"]
    made = registered(name, Conveyance.NONE)
    assert isinstance(made, Registration)
    credential = Credential(
        id="a1",
        user_id="ada",
        handle=b"",
        public_key=made.public_key,
        sign_count=made.sign_count,
        aaguid=made.aaguid,
        serves_alone=made.serves_alone,
        backup_eligible=made.backup_eligible,
        backed_up=made.backed_up,
        is_attested=made.is_attested,
    )
    named = websafe_encode(made.credential_id)
    members = ("clientDataJSON", "authenticatorData", "signature")
    response = Response.read(
        {
            "id": named,
            "rawId": named,
            "type": "public-key",
            "response": {part: websafe_encode(bytes.fromhex(vector[part])) for part in members},
        }
    )
    assert isinstance(response, Response)
    challenge = Challenge(bytes.fromhex(vector["challenge"]), Use.AUTHENTICATE, "ada", False)
    person = assertion.Person("ada", ["a1"])

    assert isinstance(
        assertion.judge(response, challenge, credential, person, Rules(PARTY)), Assertion
    )
    altered = Challenge(bytes(32), Use.AUTHENTICATE, "ada", False)
    assert assertion.judge(response, altered, credential, person, Rules(PARTY)) == "challenge"


@pytest.mark.parametrize("name", ATTESTED)
def test_what_fido2_can_verify_is_vouched_for(name: str) -> None:
    """W7.1-21: the formats packed and apple."""
    made = registered(name, Conveyance.DIRECT)

    assert isinstance(made, Registration)
    assert made.is_attested
    assert made.provider == "Vector"
    assert made.format == name.partition(".")[0]


@pytest.mark.parametrize("name", [*BEYOND_FIDO2, *BEYOND_U2F])
def test_what_cannot_be_verified_is_refused(name: str) -> None:
    """W7.1-21: a format, or a statement, that cannot be verified proves nothing."""
    assert registered(name, Conveyance.DIRECT) is Reason.ATTESTATION


@pytest.mark.parametrize("name", UNPROVEN)
def test_what_nobody_vouches_for_is_refused_where_somebody_has_to(name: str) -> None:
    """W7.1-23: neither `none` nor self attestation says who has made an authenticator."""
    refused = registered(name, Conveyance.DIRECT)

    assert refused is (Reason.UNTRUSTED if "self" in name else Reason.ATTESTATION)
