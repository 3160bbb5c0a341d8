"""Which public keys are taken (RFC 9053, RFC 8230): checked when they are registered.

fido2 keeps any key of any algorithm, and stumbles over a bad one only when it is used.
"""

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from fido2 import cbor
from fido2.cose import CoseKey

from services.webauthn.domain.refusal import Reason, refusing, require

KTY, ALG, CRV, X, Y = 1, 3, -1, -2, -3
N, E = -1, -2
OKP, EC2, RSA = 1, 2, 3

ALGORITHMS = {
    "ES256": -7,
    "ES384": -35,
    "ES512": -36,
    "EdDSA": -8,
    "Ed448": -53,
    "RS256": -257,
}
"""What can be offered, with the number that COSE has for it."""

CURVES: dict[int, tuple[int, int, ec.EllipticCurve]] = {
    -7: (1, 32, ec.SECP256R1()),
    -35: (2, 48, ec.SECP384R1()),
    -36: (3, 66, ec.SECP521R1()),
}
"""The one curve that WebAuthn lets each algorithm have (section 5.8.5), and its bytes."""

MODULUS_BYTES = range(256, 1025)  # 2048 bits (NIST SP 800-131A) to 8192
EXPONENTS = range(65537, 2**64, 2)  # FIPS 186-5 section A.1.1


def check_key(key: Mapping[int, Any], offered: tuple[str, ...]) -> int:
    """Return the algorithm of a COSE key that can be used. Raises Refused."""
    algorithm = key.get(ALG)
    known = {ALGORITHMS[name] for name in offered}
    require(type(algorithm) is int and algorithm in known, Reason.ALGORITHM)
    # In Python, True is 1: a label or a value that is none would pass for one.
    require(all(type(label) is int for label in key), Reason.KEY)
    require(not any(isinstance(value, bool) for value in key.values()), Reason.KEY)
    with refusing(Reason.KEY):
        if algorithm in CURVES:
            _check_point(key, *CURVES[algorithm])
        elif algorithm == ALGORITHMS["RS256"]:
            _check_rsa(key)
        else:
            _check_edwards(key, algorithm == ALGORITHMS["Ed448"])
    return int(algorithm or 0)


def verify(public_key: bytes, message: bytes, signature: bytes) -> None:
    """Raise Refused unless `signature` is of `message`, by the owner of a key that was checked."""
    with refusing(Reason.SIGNATURE):
        CoseKey.parse(_map(public_key)).verify(message, signature)


def _map(public_key: bytes) -> Mapping[int, Any]:
    parsed = cbor.decode(public_key)
    if not isinstance(parsed, Mapping):
        raise TypeError("a COSE key is a map")
    return parsed


def _check_point(
    key: Mapping[int, Any], curve: int, length: int, parameters: ec.EllipticCurve
) -> None:
    # A key carries what its algorithm needs and nothing else (section 6.5.1.1).
    require(key.keys() == {KTY, ALG, CRV, X, Y}, Reason.KEY)
    require((key[KTY], key[CRV]) == (EC2, curve), Reason.KEY)
    x, y = _bytes(key[X], length), _bytes(key[Y], length)
    ec.EllipticCurvePublicNumbers(x, y, parameters).public_key()  # ValueError off the curve


def _check_edwards(key: Mapping[int, Any], is_448: bool) -> None:
    require(key.keys() == {KTY, ALG, CRV, X}, Reason.KEY)
    require((key[KTY], key[CRV]) == (OKP, 7 if is_448 else 6), Reason.KEY)
    require(isinstance(key[X], bytes), Reason.KEY)
    kind = ed448.Ed448PublicKey if is_448 else ed25519.Ed25519PublicKey
    kind.from_public_bytes(key[X])


def _check_rsa(key: Mapping[int, Any]) -> None:
    require(key.keys() == {KTY, ALG, N, E}, Reason.KEY)
    require(key[KTY] == RSA and len(key[N]) in MODULUS_BYTES, Reason.KEY)
    n, e = _bytes(key[N], len(key[N])), _bytes(key[E], len(key[E]))
    require(n.bit_length() > 8 * (len(key[N]) - 1) and e in EXPONENTS, Reason.KEY)
    rsa.RSAPublicNumbers(e, n).public_key()


def _bytes(value: object, length: int) -> int:
    require(isinstance(value, bytes) and len(value) == length, Reason.KEY)
    return int.from_bytes(bytes(value), "big")  # type: ignore[call-overload]
