"""Whether a maker vouches for an authenticator: statement, chain of certificates, metadata."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from fido2.attestation.apple import AppleAttestation
from fido2.attestation.base import Attestation
from fido2.attestation.packed import OID_AAGUID, PackedAttestation
from fido2.attestation.tpm import TpmAttestation
from fido2.attestation.u2f import FidoU2FAttestation
from fido2.webauthn import AuthenticatorData

from services.webauthn.domain.attested import Attested
from services.webauthn.domain.chain import leads_to
from services.webauthn.domain.keys import ALG, ALGORITHMS
from services.webauthn.domain.metadata import NO_AAGUID, Entry, Metadata, key_identifier_of
from services.webauthn.domain.refusal import Reason, Refused, refusing, require

VERIFIED: dict[str, Attestation] = {
    "packed": PackedAttestation(),
    "fido-u2f": FidoU2FAttestation(),
    "tpm": TpmAttestation(),
    "apple": AppleAttestation(),
}
"""The formats of statements that fido2 verifies, without SafetyNet, whose service has ended."""

MEMBERS = {"alg": int, "sig": bytes, "x5c": list, "ver": str, "certInfo": bytes, "pubArea": bytes}
"""What these have (sections 8.2 to 8.8). fido2 does not look before it uses them."""

MAX_CHAIN = 6  # certificates
FLAG = AuthenticatorData.FLAG


@dataclass(frozen=True)
class Vouched:
    """The make that an attestation proves, and the key identifier of one that has no AAGUID."""

    entry: Entry
    key_identifier: str | None = None


def vouched(
    attested: Attested,
    client_data_hash: bytes,
    aaguid: str,
    metadata: Metadata,
    now: datetime,
) -> Vouched:
    """Return the make that an attestation proves, steps 21 to 24 of section 7.1. Raises Refused.

    What the authenticator says of itself alone (`none`, self attestation) proves nothing.
    The key that it has made has been checked before.
    """
    path = _verified(attested, client_data_hash)
    with refusing(Reason.UNTRUSTED):
        certificates = [x509.load_der_x509_certificate(der) for der in path]
    with refusing(Reason.ATTESTATION):
        _check_what_fido2_does_not(attested, certificates, aaguid)
    with refusing(Reason.UNTRUSTED):
        entry = metadata.find(aaguid, certificates[0])
    if entry is None:
        raise Refused(Reason.UNTRUSTED)
    require(not entry.is_revoked and not entry.compromised & set(path), Reason.REVOKED)
    with refusing(Reason.UNTRUSTED):
        require(leads_to(certificates, entry.anchors, now), Reason.UNTRUSTED)
    if aaguid != NO_AAGUID:
        return Vouched(entry)
    return Vouched(entry, key_identifier_of(certificates[0]))


def _verified(attested: Attested, client_data_hash: bytes) -> list[bytes]:
    """Return the chain of certificates, the first of which has signed the statement."""
    statement = attested.statement
    format_ = VERIFIED.get(attested.format)
    if format_ is None:
        raise Refused(Reason.ATTESTATION)
    typed = (type(statement[name]) is kind for name, kind in MEMBERS.items() if name in statement)
    require(all(typed), Reason.ATTESTATION)
    path: list[bytes] = statement.get("x5c", [])
    require(all(isinstance(der, bytes) for der in path), Reason.ATTESTATION)
    require(len(path) <= MAX_CHAIN, Reason.ATTESTATION)
    with refusing(Reason.ATTESTATION):
        format_.verify(statement, attested.data, client_data_hash)
    require(path, Reason.UNTRUSTED)
    return path


def _check_what_fido2_does_not(
    attested: Attested, path: Sequence[x509.Certificate], aaguid: str
) -> None:
    """Raise Refused, or whatever a strange certificate leads to, unless the rest is right too."""
    match attested.format:
        case "fido-u2f":
            _check_u2f(attested, path, aaguid)
        case "apple":
            # Section 8.8: the certificate is of the new credential itself.
            key = attested.made.public_key
            same = key.from_cryptography_key(path[0].public_key()) == key
            require(same, Reason.ATTESTATION)
        case "packed" | "tpm":
            _check_make(path[0], bytes(attested.made.aaguid))


def _check_u2f(attested: Attested, path: Sequence[x509.Certificate], aaguid: str) -> None:
    """Raise Refused for what no U2F key says of itself (section 8.6).

    Neither its make nor most flags are signed by it: whoever carries its answer could say anything.
    """
    key = path[0].public_key()
    is_p256 = isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
    require(is_p256 and len(path) == 1, Reason.ATTESTATION)
    require(attested.made.public_key[ALG] == ALGORITHMS["ES256"], Reason.ATTESTATION)
    require(attested.data.flags == FLAG.UP | FLAG.AT, Reason.ATTESTATION)
    require(aaguid == NO_AAGUID, Reason.ATTESTATION)


def _check_make(certificate: x509.Certificate, aaguid: bytes) -> None:
    """Raise Refused if the certificate is of another make (sections 8.2.1 and 8.3.1)."""
    try:
        told = certificate.extensions.get_extension_for_oid(OID_AAGUID)
    except x509.ExtensionNotFound:
        return
    require(not told.critical, Reason.ATTESTATION)
    require(told.value.public_bytes() == b"\x04\x10" + aaguid, Reason.ATTESTATION)
