"""A maker of authenticators who vouches for them, and a FIDO who says so."""

import json
import struct
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from fido2.attestation.apple import OID_APPLE
from fido2.attestation.tpm import (
    OID_AIK_CERTIFICATE,
    TPM_GENERATED_VALUE,
    TPM_ST_ATTEST_CERTIFY,
)

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
        critical: tuple[x509.ExtensionType, ...] = (),
        valid: tuple[datetime, datetime] = (FROM, UNTIL),
        path_length: int | None = None,
        may_sign: bool | None = None,
        key: Key | None = None,
    ) -> None:
        self.key = key or ec.generate_private_key(ec.SECP256R1())
        parts = {
            NameOID.COUNTRY_NAME: "AA",
            NameOID.ORGANIZATION_NAME: "Maker",
            NameOID.ORGANIZATIONAL_UNIT_NAME: unit,
            NameOID.COMMON_NAME: name,
        }
        named = parts.items() if name else ()  # a TPM has no name
        self.name = x509.Name([x509.NameAttribute(oid, text) for oid, text in named])
        by = issuer or self
        builder = (
            x509.CertificateBuilder()
            .subject_name(self.name)
            .issuer_name(by.name)
            .public_key(self.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(valid[0])
            .not_valid_after(valid[1])
            .add_extension(x509.BasicConstraints(is_authority, path_length), critical=True)
            .add_extension(_usage(is_authority if may_sign is None else may_sign), critical=True)
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
        for extension in critical:
            builder = builder.add_extension(extension, critical=True)
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


def u2f(batch: Authority, *between: Authority) -> Statement:
    """Return what signs a statement of the format `fido-u2f` (section 8.6)."""

    def statement(data: bytes, client_data_hash: bytes, credential: Credential) -> Json:
        point = credential.public()
        public = b"\x04" + point[-2] + point[-3]
        message = b"\0" + data[:32] + client_data_hash + credential.id + public
        signature = batch.key.sign(message, ec.ECDSA(hashes.SHA256()))
        chain = [batch.der, *(authority.der for authority in between)]
        return {"x5c": chain, "sig": signature}

    return statement


def apple(root: Authority, key: Key | None = None) -> Statement:
    """Return what makes a statement of the format `apple` (section 8.8), for the key it is of."""

    def statement(data: bytes, client_data_hash: bytes, credential: Credential) -> Json:
        nonce = b"\x30\x24\xa1\x22\x04\x20" + sha256(data + client_data_hash).digest()
        extension = x509.UnrecognizedExtension(OID_APPLE, nonce)
        own = credential.key if key is None else key
        assert isinstance(own, Key)
        leaf = Authority("Leaf", root, is_authority=False, extensions=(extension,), key=own)
        return {"x5c": [leaf.der]}

    return statement


def tpm(root: Authority, *extensions: x509.ExtensionType) -> Statement:
    """Return what makes a statement of the format `tpm` (section 8.3), of a TPM by this root."""
    directory = x509.DirectoryName(
        x509.Name([x509.NameAttribute(x509.ObjectIdentifier("2.23.133.2.1"), "id:41414141")])
    )
    identity = Authority(
        "",
        root,
        is_authority=False,
        extensions=(x509.ExtendedKeyUsage([OID_AIK_CERTIFICATE]), *extensions),
        critical=(x509.SubjectAlternativeName([directory]),),
    )

    def statement(data: bytes, client_data_hash: bytes, credential: Credential) -> Json:
        point = credential.public()
        # TPMT_PUBLIC: an ECC key, named by SHA-256, on P-256, with nothing else said of it.
        public = struct.pack("!HHLH", 0x23, 0x0B, 0x60472, 0)
        public += struct.pack("!HHHH", 0x10, 0x10, 0x03, 0x10) + _sized(point[-2], point[-3])
        name = b"\x00\x0b" + sha256(public).digest()
        # TPMS_ATTEST: of that key, for this ceremony.
        told = TPM_GENERATED_VALUE + TPM_ST_ATTEST_CERTIFY
        told += _sized(b"signer", sha256(data + client_data_hash).digest())
        told += struct.pack("!QLLBQ", 0, 0, 0, 1, 0) + _sized(name, b"name")
        return {
            "ver": "2.0",
            "alg": -7,
            "x5c": [identity.der],
            "sig": identity.key.sign(told, ec.ECDSA(hashes.SHA256())),
            "certInfo": told,
            "pubArea": public,
        }

    return statement


def _sized(*parts: bytes) -> bytes:
    return b"".join(struct.pack("!H", len(part)) + part for part in parts)


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
