"""FIDO's metadata about makes of authenticators (MDS, version 3): who vouches for which."""

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Any

import jwt
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

SIGNER = "mds.fidoalliance.org"  # the name in the certificate of FIDO's signer
BLOB_ALGORITHMS = ["RS256", "ES256"]
REVOKED = "REVOKED"
COMPROMISED = "ATTESTATION_KEY_COMPROMISE"


@dataclass(frozen=True)
class Entry:
    """What FIDO knows of a make. `anchors` are certificates, DER, that vouch for its attestations.

    `compromised` are attestation certificates whose keys got into other hands; `all_compromised`
    says that it is not known which.
    """

    name: str | None
    anchors: tuple[bytes, ...] = field(repr=False)
    is_revoked: bool = False
    compromised: frozenset[bytes] = field(default=frozenset(), repr=False)
    all_compromised: bool = False


@dataclass(frozen=True)
class Metadata:
    """Every make, by AAGUID, or by key identifiers of its certificates where it has none (U2F)."""

    by_aaguid: Mapping[str, Entry] = field(default_factory=dict, repr=False)
    by_key_identifier: Mapping[str, Entry] = field(default_factory=dict, repr=False)
    next_update: date | None = None

    def find(self, aaguid: str, path: Sequence[x509.Certificate]) -> Entry | None:
        """Return what is known of the make that attests with the chain `path`."""
        if aaguid in self.by_aaguid:
            return self.by_aaguid[aaguid]
        for certificate in path:
            identifier = x509.SubjectKeyIdentifier.from_public_key(certificate.public_key())
            entry = self.by_key_identifier.get(identifier.digest.hex())
            if entry is not None:
                return entry
        return None

    def is_revoked(self, aaguid: str) -> bool:
        """Tell whether FIDO has called back all authenticators of this make."""
        entry = self.by_aaguid.get(aaguid)
        return entry is not None and entry.is_revoked

    def names(self) -> dict[str, str]:
        """Return the names of makes by AAGUID."""
        return {aaguid: entry.name for aaguid, entry in self.by_aaguid.items() if entry.name}

    def is_stale(self, now: datetime) -> bool:
        """Tell whether FIDO has promised a newer one by now."""
        return self.next_update is not None and now.date() > self.next_update


def read_blob(blob: bytes, root: bytes, now: datetime) -> Metadata:
    """Return the metadata in FIDO's signed `blob`. `root` is the certificate, PEM, that is trusted.

    Raises ValueError unless the signer is the one that FIDO names, vouched for by `root`, and has
    signed it. fido2's `parse_blob` takes any certificate under the root for the signer's, whoever
    it was issued to and whenever it ran out, and nothing of a blob in which one entry lacks a
    member.
    """
    try:
        text = blob.strip().decode("ascii")
        chain = [
            x509.load_der_x509_certificate(b64decode(certificate, validate=True))
            for certificate in jwt.get_unverified_header(text)["x5c"]
        ]
        signer, between = chain[0], chain[1:]
        builder = PolicyBuilder().store(Store(x509.load_pem_x509_certificates(root))).time(now)
        builder.build_server_verifier(x509.DNSName(SIGNER)).verify(signer, between)
        key: Any = signer.public_key()
        payload = jwt.PyJWS().decode_complete(text, key, algorithms=BLOB_ALGORITHMS)["payload"]
        return _metadata(json.loads(payload))
    except VerificationError:
        raise ValueError("is not signed by FIDO's signer, or its certificate has run out") from None
    except jwt.InvalidTokenError:
        raise ValueError("is not signed as it should be") from None
    except (ValueError, TypeError, LookupError, AttributeError):
        raise ValueError("is not a blob of FIDO metadata, or its root no certificate") from None


def _metadata(document: Mapping[str, Any]) -> Metadata:
    by_aaguid, by_key_identifier = {}, {}
    for item in document["entries"]:
        entry = _entry(item)
        if item.get("aaguid"):
            by_aaguid[str(item["aaguid"]).lower()] = entry
        for identifier in item.get("attestationCertificateKeyIdentifiers") or ():
            by_key_identifier[str(identifier).lower()] = entry
    next_update = datetime.strptime(document["nextUpdate"], "%Y-%m-%d").replace(tzinfo=UTC).date()
    return Metadata(by_aaguid, by_key_identifier, next_update)


def _entry(item: Mapping[str, Any]) -> Entry:
    statement = item.get("metadataStatement") or {}
    reports = item.get("statusReports") or ()
    compromised = [report for report in reports if report.get("status") == COMPROMISED]
    batches = [
        report.get("certificate") or report.get("batchCertificate") for report in compromised
    ]
    return Entry(
        name=statement.get("description"),
        anchors=tuple(
            b64decode(certificate)
            for certificate in statement.get("attestationRootCertificates") or ()
        ),
        is_revoked=any(report.get("status") == REVOKED for report in reports),
        compromised=frozenset(b64decode(batch) for batch in batches if batch),
        all_compromised=not all(batches),
    )
