"""FIDO's metadata about makes of authenticators (MDS, version 3): who vouches for which."""

import json
from base64 import b64decode
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

import jwt
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

SIGNER = "mds.fidoalliance.org"  # the name in the certificate of FIDO's signer
BLOB_ALGORITHMS = ["RS256", "ES256"]
NO_AAGUID = "00000000-0000-0000-0000-000000000000"  # what U2F keys have for one

# What FIDO reports (Metadata Service 3, section 3.1.4) of makes that are not to be let in. Any
# other `…_COMPROMISE` that it may invent counts too.
REVOKED = "REVOKED"
ATTESTATION_COMPROMISED = "ATTESTATION_KEY_COMPROMISE"
TOLERABLE = (
    "USER_VERIFICATION_BYPASS",
    ATTESTATION_COMPROMISED,
    "USER_KEY_REMOTE_COMPROMISE",
    "USER_KEY_PHYSICAL_COMPROMISE",
)

HARDWARE = frozenset({"hardware", "secure_element", "tee"})  # FIDO's registry, section 3.2


@dataclass(frozen=True)
class Entry:
    """What FIDO knows of a make. `anchors` are certificates, DER, that vouch for its attestations.

    `is_revoked` is for whatever FIDO reports that means the same to us. `compromised` are
    attestation certificates whose keys got into other hands; if it is not known which, the make
    is revoked. `key_protection` is where it keeps its keys.
    """

    name: str | None
    anchors: tuple[bytes, ...] = field(repr=False)
    is_revoked: bool = False
    compromised: frozenset[bytes] = field(default=frozenset(), repr=False)
    key_protection: frozenset[str] = frozenset()

    @property
    def in_hardware(self) -> bool | None:
        """Tell whether the make keeps its keys in hardware; None if FIDO does not say."""
        if "software" in self.key_protection:
            return False
        return True if self.key_protection & HARDWARE else None


@dataclass(frozen=True)
class Metadata:
    """Every make, by AAGUID, or by key identifiers of its certificates where it has none (U2F)."""

    by_aaguid: Mapping[str, Entry] = field(default_factory=dict, repr=False)
    by_key_identifier: Mapping[str, Entry] = field(default_factory=dict, repr=False)
    next_update: date | None = None

    def find(self, aaguid: str, certificate: x509.Certificate) -> Entry | None:
        """Return what is known of the make that attests with `certificate`.

        One that has an AAGUID is known by that alone: by its certificate it could pass for one
        that has none, and the other way round.
        """
        if aaguid != NO_AAGUID:
            return self.by_aaguid.get(aaguid)
        return self.by_key_identifier.get(key_identifier_of(certificate))

    def is_revoked(self, aaguid: str, key_identifier: str | None = None) -> bool:
        """Tell whether FIDO has called back all authenticators of this make.

        `key_identifier` is of the certificate that one without an AAGUID has attested with.
        """
        entry = self.by_aaguid.get(aaguid)
        if aaguid == NO_AAGUID and key_identifier is not None:
            entry = self.by_key_identifier.get(key_identifier)
        return entry is not None and entry.is_revoked

    def names(self) -> dict[str, str]:
        """Return the names of makes by AAGUID."""
        return {aaguid: entry.name for aaguid, entry in self.by_aaguid.items() if entry.name}

    def is_stale(self, now: datetime) -> bool:
        """Tell whether FIDO has promised a newer one by now."""
        return self.is_overdue(now, timedelta(0))

    def is_overdue(self, now: datetime, grace: timedelta) -> bool:
        """Tell whether that was longer ago than `grace`."""
        return self.next_update is not None and (now - grace).date() > self.next_update


def key_identifier_of(certificate: x509.Certificate) -> str:
    """Return by what FIDO knows a make that has no AAGUID: a hash of its attestation key, in hex.

    As the metadata have it (`attestationCertificateKeyIdentifiers`): RFC 5280, section 4.2.1.2.
    """
    return x509.SubjectKeyIdentifier.from_public_key(certificate.public_key()).digest.hex()


def read_blob(blob: bytes, root: bytes, now: datetime, tolerated: Collection[str] = ()) -> Metadata:
    """Return the metadata in FIDO's signed `blob`. `root` is the certificate, PEM, that is trusted.

    Reports of a status among `tolerated` count for nothing.

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
        return _metadata(json.loads(payload), tolerated)
    except VerificationError:
        raise ValueError("is not signed by FIDO's signer, or its certificate has run out") from None
    except jwt.InvalidTokenError:
        raise ValueError("is not signed as it should be") from None
    except (ValueError, TypeError, LookupError, AttributeError):
        raise ValueError("is not a blob of FIDO metadata, or its root no certificate") from None


def _metadata(document: Mapping[str, Any], tolerated: Collection[str]) -> Metadata:
    by_aaguid, by_key_identifier = {}, {}
    for item in document["entries"]:
        entry = _entry(item, tolerated)
        aaguid = str(item.get("aaguid") or NO_AAGUID).lower()
        if aaguid != NO_AAGUID:
            by_aaguid[aaguid] = entry
        for identifier in item.get("attestationCertificateKeyIdentifiers") or ():
            by_key_identifier[str(identifier).lower()] = entry
    next_update = datetime.strptime(document["nextUpdate"], "%Y-%m-%d").replace(tzinfo=UTC).date()
    return Metadata(by_aaguid, by_key_identifier, next_update)


def _entry(item: Mapping[str, Any], tolerated: Collection[str]) -> Entry:
    statement = item.get("metadataStatement") or {}
    reports = [report for report in item.get("statusReports") or () if _counts(report, tolerated)]
    batches = [
        report.get("certificate") or report.get("batchCertificate")
        for report in reports
        if report["status"] == ATTESTATION_COMPROMISED
    ]
    others = [report for report in reports if report["status"] != ATTESTATION_COMPROMISED]
    return Entry(
        name=statement.get("description"),
        anchors=tuple(
            b64decode(certificate)
            for certificate in statement.get("attestationRootCertificates") or ()
        ),
        is_revoked=bool(others) or not all(batches),
        compromised=frozenset(b64decode(batch) for batch in batches if batch),
        key_protection=frozenset(statement.get("keyProtection") or ()),
    )


def _counts(report: Mapping[str, Any], tolerated: Collection[str]) -> bool:
    """Tell whether a report says that a make, or a batch of it, is not to be let in."""
    status = report.get("status") or ""
    is_bad = status in (REVOKED, *TOLERABLE) or status.endswith("_COMPROMISE")
    return is_bad and status not in tolerated
