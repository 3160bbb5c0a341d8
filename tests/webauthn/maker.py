"""A maker of authenticators who vouches for them, and a FIDO who says so."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from services.webauthn.domain.metadata import SIGNER
from tests.webauthn.authenticator import Credential, Json

MAKE = "00010203-0405-0607-0809-0a0b0c0d0e0f"
AAGUID = bytes(range(16))
FROM, UNTIL = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
AAGUID_EXTENSION = x509.ObjectIdentifier("1.3.6.1.4.1.45724.1.1.4")

Key = ec.EllipticCurvePrivateKey
Statement = Callable[[bytes, bytes, Credential], Json]


class Authority:
    """Somebody who issues certificates. Without an issuer, it is one's own."""

    def __init__(
        self,
        name: str,
        issuer: "Authority | None" = None,
        *,
        is_authority: bool = True,
        unit: str = "Authenticator Attestation",
        extensions: tuple[x509.ExtensionType, ...] = (),
        valid: tuple[datetime, datetime] = (FROM, UNTIL),
    ) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name(
            [
                x509.NameAttribute(NameOID.COUNTRY_NAME, "AA"),
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Maker"),
                x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        by = issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(by.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(valid[0])
            .not_valid_after(valid[1])
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(_usage(is_authority), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key()),
                critical=False,
            )
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        self.certificate = builder.sign(by.key, hashes.SHA256())

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(Encoding.PEM)

    @property
    def text(self) -> str:
        """The certificate as metadata have it."""
        return b64encode(self.der).decode()

    def attest(self, *between: "Authority") -> Statement:
        """Return what signs a statement of the format `packed`, with the chain after it."""

        def statement(data: bytes, client_data_hash: bytes, credential: Credential) -> Json:
            signature = self.key.sign(data + client_data_hash, ec.ECDSA(hashes.SHA256()))
            chain = [self.der, *(authority.der for authority in between)]
            return {"alg": -7, "sig": signature, "x5c": chain}

        return statement


def batch(issuer: Authority, aaguid: bytes = AAGUID, **changes: Any) -> Authority:
    """Return the attestation key of a batch of authenticators."""
    make = x509.UnrecognizedExtension(AAGUID_EXTENSION, b"\x04\x10" + aaguid)
    return Authority("Batch 1", issuer, is_authority=False, extensions=(make,), **changes)


def fido(root: Authority, name: str = SIGNER, **changes: Any) -> Authority:
    """Return FIDO's signer of metadata."""
    alternative = x509.SubjectAlternativeName([x509.DNSName(name)])
    usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
    return Authority(name, root, is_authority=False, extensions=(alternative, usage), **changes)


def entry(*roots: Authority, aaguid: str = MAKE, **changes: Any) -> Json:
    """Return what metadata say of a make."""
    statement = {
        "description": "Key 5",
        "attestationRootCertificates": [root.text for root in roots],
    }
    told = {"aaguid": aaguid, "metadataStatement": statement, "statusReports": []}
    return told | changes


def blob(
    signer: Authority, *entries: Json, between: tuple[Authority, ...] = (), **changes: Any
) -> bytes:
    """Return metadata as FIDO publishes them."""
    payload = {"no": 1, "nextUpdate": "2026-06-01", "legalHeader": "", "entries": list(entries)}
    header = {"x5c": [authority.text for authority in (signer, *between)]}
    raw = json.dumps(payload | changes).encode()
    return jwt.PyJWS().encode(raw, signer.key, "ES256", headers=header).encode()


def _usage(is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        encipher_only=False,
        decipher_only=False,
    )


LATER = (UNTIL, UNTIL + timedelta(days=1))
EARLIER = (FROM - timedelta(days=1), FROM)
