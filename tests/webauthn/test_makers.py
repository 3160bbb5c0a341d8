"""What each format has to say for a maker to vouch, and how certificates lead to an anchor."""

from dataclasses import replace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from services.webauthn.domain.metadata import Entry, Metadata
from services.webauthn.domain.policy import Conveyance, Policy, Rules
from services.webauthn.domain.refusal import Reason
from services.webauthn.domain.registration import Registration
from tests.webauthn.authenticator import BE, BS, ED, HONEST, UV, Device, Lies
from tests.webauthn.ceremony import registered
from tests.webauthn.conftest import RULES
from tests.webauthn.maker import (
    AAGUID,
    AAGUID_EXTENSION,
    MAKE,
    Authority,
    Statement,
    apple,
    batch,
    tpm,
    u2f,
)

ROOT = Authority("Root", unit="Authority")
NONE = bytes(16)
OLD = Authority("Old key", ROOT, is_authority=False)  # a U2F key, which has no AAGUID


def known(*anchors: Authority, **told: Any) -> Rules:
    """Return rules under which makers have to vouch, with what FIDO says of both makes."""
    made = Entry("Key", tuple(anchor.der for anchor in anchors or (ROOT,)), **told)
    metadata = Metadata({MAKE: made}, {identifier(OLD): made})
    return replace(RULES, policy=Policy(conveyance=Conveyance.DIRECT), metadata=metadata)


def identifier(authority: Authority) -> str:
    return x509.SubjectKeyIdentifier.from_public_key(authority.key.public_key()).digest.hex()


def attested(
    name: str,
    statement: Statement,
    *,
    rules: Rules | None = None,
    aaguid: bytes = AAGUID,
    lies: Lies = HONEST,
    **device: Any,
) -> bool | Reason:
    """Tell whether an authenticator is let in, or why it is not."""
    made = registered(
        lies, rules or known(), Device(aaguid=aaguid, **device), format=name, statement=statement
    )
    return made if isinstance(made, Reason) else made.is_attested


# Of U2F keys.


def test_a_u2f_key_can_be_vouched_for() -> None:
    """W7.1-21, W7.1-23: it is known by its certificate."""
    assert attested("fido-u2f", u2f(OLD), aaguid=NONE, verifies=False) is True


def test_a_u2f_key_has_no_make_to_tell() -> None:
    """W7.1-21: the key does not sign an AAGUID, so whoever carries its answer can write any."""
    for signer in (OLD, batch(ROOT)):
        told = attested("fido-u2f", u2f(signer), aaguid=AAGUID, verifies=False)
        assert told is Reason.ATTESTATION


@pytest.mark.parametrize("flags", [UV, BE, BE | BS, ED, 0x02, 0x20])
def test_a_u2f_key_can_verify_nobody_and_is_not_synced(flags: int) -> None:
    """W7.1-21: nor does it sign these."""
    lies = Lies(set_flags=flags, trailing=b"\xa0" if flags == ED else b"")

    told = attested("fido-u2f", u2f(OLD), aaguid=NONE, lies=lies, verifies=False)

    assert told is Reason.ATTESTATION


def test_a_u2f_key_has_one_certificate() -> None:
    """W7.1-21: section 8.6, step 2."""
    told = attested("fido-u2f", u2f(OLD, ROOT), aaguid=NONE, verifies=False)

    assert told is Reason.ATTESTATION


def test_u2f_is_of_one_curve() -> None:
    """W7.1-21: section 8.6, step 3; for the certificate and for the credential."""
    large = Authority(
        "Old key", ROOT, is_authority=False, key=ec.generate_private_key(ec.SECP384R1())
    )
    rules = known()
    rules = replace(
        rules,
        policy=replace(rules.policy, algorithms=("ES256", "ES384")),
        metadata=replace(
            rules.metadata,
            by_key_identifier={
                **rules.metadata.by_key_identifier,
                identifier(large): Entry("Key", (ROOT.der,)),
            },
        ),
    )
    for signer, kind in ((large, "ES256"), (OLD, "ES384")):
        told = attested(
            "fido-u2f", u2f(signer), rules=rules, aaguid=NONE, verifies=False, kind=kind
        )
        assert told is Reason.ATTESTATION


def test_a_make_is_known_by_its_aaguid_or_by_its_certificate_and_never_by_both() -> None:
    """W7.1-23: else a revoked make would pass for another one."""
    other = bytes(15) + b"\1"

    assert attested("packed", OLD.attest(), aaguid=NONE) is True
    assert attested("packed", OLD.attest(), aaguid=other) is Reason.UNTRUSTED
    metadata = known().metadata
    assert metadata.find(MAKE, batch(ROOT).certificate) is not None
    assert metadata.find("1" + MAKE[1:], OLD.certificate) is None
    assert metadata.find("00000000-0000-0000-0000-000000000000", OLD.certificate) is not None


# Of other formats.


def test_apples_certificate_is_of_the_credential() -> None:
    """W7.1-21: section 8.8, step 5."""
    other = ec.generate_private_key(ec.SECP256R1())

    assert attested("apple", apple(ROOT)) is True
    assert attested("apple", apple(ROOT, other)) is Reason.ATTESTATION


def test_a_tpm_can_be_vouched_for() -> None:
    """W7.1-21: section 8.3, with the make in the certificate or not."""
    make = x509.UnrecognizedExtension(AAGUID_EXTENSION, b"\x04\x10" + AAGUID)

    assert attested("tpm", tpm(ROOT)) is True
    assert attested("tpm", tpm(ROOT, make)) is True


@pytest.mark.parametrize("told", [b"\x04\x10" + bytes(16), b"\x04\x10", AAGUID, b""])
def test_a_certificate_of_another_make_vouches_for_none(told: bytes) -> None:
    """W7.1-21: sections 8.2.1 and 8.3.1."""
    make = x509.UnrecognizedExtension(AAGUID_EXTENSION, told)
    leaf = Authority("Batch", ROOT, is_authority=False, extensions=(make,))

    assert attested("tpm", tpm(ROOT, make)) is Reason.ATTESTATION
    assert attested("packed", leaf.attest()) is Reason.ATTESTATION


def test_a_certificate_need_not_name_its_make() -> None:
    """W7.1-21: section 8.2.1 asks for it where a root vouches for several makes alone."""
    assert attested("packed", Authority("Batch", ROOT, is_authority=False).attest()) is True


# Of chains.


def chained(*chain: Authority, anchor: Authority = ROOT) -> bool | Reason:
    signer, *between = chain
    return attested("packed", signer.attest(*between), rules=known(anchor))


def test_an_authority_can_limit_how_many_are_below_it() -> None:
    """W7.1-23: RFC 5280, section 4.2.1.9."""
    none_below = Authority("Last", ROOT, unit="Authority", path_length=0)
    below = Authority("Below", none_below, unit="Authority")
    one_below = Authority("Last", ROOT, unit="Authority", path_length=1)
    allowed = Authority("Below", one_below, unit="Authority")

    assert chained(batch(none_below), none_below) is True
    assert chained(batch(allowed), allowed, one_below) is True
    assert chained(batch(below), below, none_below) is Reason.UNTRUSTED


def test_an_anchor_can_limit_how_many_are_below_it() -> None:
    """W7.1-23: as above."""
    anchor = Authority("Anchor", unit="Authority", path_length=0)
    below = Authority("Below", anchor, unit="Authority")

    assert chained(batch(anchor), anchor=anchor) is True
    assert chained(batch(below), below, anchor=anchor) is Reason.UNTRUSTED


def test_an_authority_may_sign_certificates() -> None:
    """W7.1-23: RFC 5280, section 4.2.1.3; in between and at the end."""
    mute = Authority("Mute", ROOT, unit="Authority", may_sign=False)

    assert chained(batch(mute), mute) is Reason.UNTRUSTED
    assert chained(batch(mute), anchor=mute) is Reason.UNTRUSTED


NAMES = x509.NameConstraints([x509.DNSName("example.com")], None)
STRANGE = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def test_what_is_not_understood_and_critical_is_refused() -> None:
    """W7.1-23: RFC 5280, section 4.2; constraints of names are not understood."""
    for extension in (NAMES, STRANGE):
        between = Authority("Strict", ROOT, unit="Authority", critical=(extension,))
        assert chained(batch(between), between) is Reason.UNTRUSTED
        assert chained(batch(between), anchor=between) is Reason.UNTRUSTED
    wished = Authority("Strict", ROOT, unit="Authority", extensions=(NAMES,))
    assert chained(batch(wished), wished) is Reason.UNTRUSTED
    assert chained(batch(ROOT, critical=(STRANGE,))) is Reason.UNTRUSTED
    hinted = Authority("Hinted", ROOT, unit="Authority", extensions=(STRANGE,))
    assert chained(batch(hinted), hinted) is True


def test_an_anchor_that_is_no_authority_vouches_for_itself_alone() -> None:
    """W7.1-23: FIDO lists some makers' batches themselves."""
    listed = batch(ROOT)
    below = batch(listed)

    assert chained(listed, anchor=listed) is True
    assert chained(below, anchor=listed) is Reason.UNTRUSTED
    assert chained(below, listed, anchor=listed) is Reason.UNTRUSTED


def test_a_broken_anchor_hides_no_good_one() -> None:
    rules = known()
    entry = Entry("Key", (b"garbage", ROOT.der))
    rules = replace(rules, metadata=Metadata({MAKE: entry}))

    assert attested("packed", batch(ROOT).attest(), rules=rules) is True


def test_a_registration_tells_its_format() -> None:
    made = registered(HONEST, known(), Device(aaguid=AAGUID), format="tpm", statement=tpm(ROOT))

    assert isinstance(made, Registration)
    assert made.format == "tpm"
