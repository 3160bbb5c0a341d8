"""Whether a maker vouches for an authenticator: statement, chain of certificates, metadata."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

from cryptography import x509
from fido2.attestation.apple import AppleAttestation
from fido2.attestation.base import Attestation
from fido2.attestation.packed import PackedAttestation
from fido2.attestation.tpm import TpmAttestation
from fido2.attestation.u2f import FidoU2FAttestation
from fido2.webauthn import AttestationObject

from services.webauthn.domain.metadata import Entry, Metadata
from services.webauthn.domain.refusal import Reason, Refused, refusing, require

FORMATS: dict[str, Attestation] = {
    "packed": PackedAttestation(),
    "fido-u2f": FidoU2FAttestation(),
    "tpm": TpmAttestation(),
    "apple": AppleAttestation(),
}
"""The formats of statements that fido2 verifies, without SafetyNet, whose service has ended."""

MAX_CHAIN = 6  # certificates


def vouched(
    attestation: AttestationObject,
    client_data_hash: bytes,
    aaguid: str,
    metadata: Metadata,
    now: datetime,
) -> Entry:
    """Return the make that an attestation proves, steps 21 to 24 of section 7.1. Raises Refused.

    What the authenticator says of itself alone (`none`, self attestation) proves nothing.
    """
    path = _path(attestation, client_data_hash)
    with refusing(Reason.UNTRUSTED):
        certificates = [x509.load_der_x509_certificate(der) for der in path]
        entry = metadata.find(aaguid, certificates)
    if entry is None:
        raise Refused(Reason.UNTRUSTED)
    compromised = entry.all_compromised or entry.compromised & set(path)
    require(not entry.is_revoked and not compromised, Reason.REVOKED)
    with refusing(Reason.UNTRUSTED):
        require(_leads_to(certificates, entry.anchors, now), Reason.UNTRUSTED)
    return entry


def _path(attestation: AttestationObject, client_data_hash: bytes) -> list[bytes]:
    """Return the chain of certificates, the first of which has signed the statement."""
    statement = FORMATS.get(attestation.fmt)
    if statement is None:
        raise Refused(Reason.ATTESTATION)
    with refusing(Reason.ATTESTATION):
        result = statement.verify(attestation.att_stmt, attestation.auth_data, client_data_hash)
        path = [bytes(certificate) for certificate in result.trust_path]
    require(path, Reason.UNTRUSTED)
    require(len(path) <= MAX_CHAIN, Reason.ATTESTATION)
    return path


def _leads_to(path: Sequence[x509.Certificate], anchors: Sequence[bytes], now: datetime) -> bool:
    """Tell whether each certificate is valid and issued by the next, and the last by an anchor.

    fido2's `verify_x509_chain` heeds signatures alone: neither dates nor names, nor whether an
    issuer is one. An anchor is trusted as it is, and may be the first certificate itself.
    """
    if not all(cert.not_valid_before_utc <= now <= cert.not_valid_after_utc for cert in path):
        return False
    for issued, issuer in pairwise(path):
        if not _is_authority(issuer) or not _is_issued_by(issued, issuer):
            return False
    return any(_ends_at(path[-1], anchor) for anchor in anchors)


def _ends_at(last: x509.Certificate, der: bytes) -> bool:
    try:
        anchor = x509.load_der_x509_certificate(der)
    except ValueError:  # FIDO lists some that are broken
        return False
    return last == anchor or _is_issued_by(last, anchor)


def _is_issued_by(issued: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        issued.verify_directly_issued_by(issuer)
    except Exception:  # a wrong signature, other names, or a kind of key that is not known
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return constraints.value.ca
