"""Whether a chain of certificates leads to one that is trusted (RFC 5280, section 6.1).

fido2's `verify_x509_chain` heeds signatures alone: neither dates nor names, nor whether an issuer
is one. What this does not know how to heed, it refuses.
"""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from typing import TypeVar

from cryptography import x509
from cryptography.x509.oid import ExtensionOID

E = TypeVar("E", bound=x509.ExtensionType)

HEEDED = frozenset(
    {
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        # They bind nobody who accepts any policy, and asks for no name and no use by a server.
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    }
)
"""The extensions that may be critical."""


def leads_to(path: Sequence[x509.Certificate], anchors: Sequence[bytes], now: datetime) -> bool:
    """Tell whether each certificate is valid and issued by the next, and the last by an anchor.

    The last may be an anchor itself, also if it is the only one. The dates of anchors do not count.
    """
    if not all(cert.not_valid_before_utc <= now <= cert.not_valid_after_utc for cert in path):
        return False
    if not all(_is_understood(certificate) for certificate in path):
        return False
    for place, (issued, issuer) in enumerate(pairwise(path)):
        if not _has_issued(issuer, issued, path[1 : place + 1]):
            return False
    return any(_ends_at(path, anchor) for anchor in anchors)


def _ends_at(path: Sequence[x509.Certificate], der: bytes) -> bool:
    try:
        anchor = x509.load_der_x509_certificate(der)
        if path[-1] == anchor:
            return True
        return _is_understood(anchor) and _has_issued(anchor, path[-1], path[1:])
    except Exception:  # FIDO lists some that are broken
        return False


def _has_issued(
    issuer: x509.Certificate, issued: x509.Certificate, between: Sequence[x509.Certificate]
) -> bool:
    """Tell whether `issuer` may and did. `between` are the authorities below it in the chain."""
    constraints = _value(issuer, x509.BasicConstraints)
    usage = _value(issuer, x509.KeyUsage)
    if constraints is None or not constraints.ca or (usage and not usage.key_cert_sign):
        return False
    depth = sum(authority.subject != authority.issuer for authority in between)
    if constraints.path_length is not None and depth > constraints.path_length:
        return False
    try:
        issued.verify_directly_issued_by(issuer)
    except Exception:  # a wrong signature, other names, or a kind of key that is not known
        return False
    return True


def _is_understood(certificate: x509.Certificate) -> bool:
    # Names are not compared with what they are constrained to, critical or not.
    if _value(certificate, x509.NameConstraints) is not None:
        return False
    return all(each.oid in HEEDED or not each.critical for each in certificate.extensions)


def _value(certificate: x509.Certificate, kind: type[E]) -> E | None:
    try:
        return certificate.extensions.get_extension_for_class(kind).value
    except x509.ExtensionNotFound:
        return None
