"""Makers who vouch for their authenticators, and metadata that can be trusted."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from fastapi import FastAPI
from prometheus_client import REGISTRY

from services.webauthn.domain.metadata import Entry, Metadata, key_identifier_of, read_blob
from services.webauthn.domain.policy import Conveyance, Use
from services.webauthn.flows import WebAuthnFlows
from services.webauthn.main import FIDO_ROOT, create_app, read_metadata
from services.webauthn.settings import Settings
from services.webauthn.store import Place
from shared.database import Database
from shared.errors import ConfigurationError, Unavailable
from tests.hands import START, Hands
from tests.webauthn.authenticator import Credential, Device, Json
from tests.webauthn.conftest import RULES, Making, enrol, last_reason, log_in, prove
from tests.webauthn.maker import (
    AAGUID,
    EARLIER,
    LATER,
    MAKE,
    Authority,
    batch,
    blob,
    entry,
    fido,
    u2f,
)

ROOT = Authority("Root", unit="Authority")
KEY = batch(ROOT)
WEB = Authority("Web", unit="Authority")
SIGNER = fido(WEB)

Vouching = Callable[..., WebAuthnFlows]


@pytest.fixture
def vouching(under: Making) -> Vouching:
    """Make flows in which makers have to vouch, with what FIDO says of this one."""

    def make(*anchors: Authority, conveyance: str = "direct", **told: Any) -> WebAuthnFlows:
        known = Entry("Key 5", tuple(anchor.der for anchor in anchors or (ROOT,)), **told)
        rules = replace(RULES, metadata=Metadata({MAKE: known}))
        return under(rules=rules, conveyance=Conveyance(conveyance))

    return make


def device(aaguid: bytes = AAGUID) -> Device:
    return Device(aaguid=aaguid)


async def attested(flows: WebAuthnFlows, *chain: Authority, of: Device | None = None) -> bool:
    """Tell whether a device is let in that has this chain of certificates."""
    signer, *between = chain
    made = await enrol(flows, of or device(), format="packed", statement=signer.attest(*between))
    return made is not None


@pytest.mark.parametrize("conveyance", ["direct", "enterprise"])
async def test_a_maker_that_fido_knows_can_vouch(vouching: Vouching, conveyance: str) -> None:
    """W7.1-23: the chain leads to an anchor of the make's metadata."""
    flows, used = vouching(conveyance=conveyance), device()

    assert await attested(flows, KEY, of=used)
    (kept,) = await flows.authenticators("ada")
    assert (kept.is_attested, kept.provider) == (True, "Key 5")
    assert (await prove(flows, used)).reason is None


async def test_a_chain_may_have_links(vouching: Vouching) -> None:
    """W7.1-23: with an authority in between, and with the anchor itself at its end."""
    middle = Authority("Middle", ROOT, unit="Authority")

    assert await attested(vouching(), batch(middle), middle)
    await vouching().remove("ada", "a1")
    assert await attested(vouching(), batch(middle), middle, ROOT)
    await vouching().remove("ada", "a1")
    assert await attested(vouching(KEY), KEY)  # FIDO may list the batch itself


async def test_a_chain_has_to_hold(vouching: Vouching, db: Database) -> None:
    """W7.1-23: dates, issuers who are none, other issuers, another root of the same name."""
    impostor = Authority("Root", unit="Authority")
    nobody = Authority("Middle", ROOT, is_authority=False)
    middle = Authority("Middle", ROOT, unit="Authority")
    other = Authority("Middle", ROOT, unit="Authority")
    for chain in (
        (batch(impostor),),
        (batch(impostor), impostor),
        (batch(nobody), nobody),
        (batch(middle), other),
        (batch(middle),),
        (batch(ROOT, valid=EARLIER),),
        (batch(ROOT, valid=LATER),),
    ):
        assert not await attested(vouching(), *chain)
        assert await last_reason(db) == "untrusted"
    late = Authority("Middle", ROOT, unit="Authority", valid=EARLIER)
    assert not await attested(vouching(), batch(late), late)
    assert not await attested(vouching(), KEY, *[middle] * 6)
    assert await last_reason(db) == "attestation"


async def test_a_make_that_fido_does_not_know_is_not_let_in(
    vouching: Vouching, db: Database
) -> None:
    """W7.1-24: policy lets in what can be known."""
    stranger = bytes(15) + b"\1"

    assert not await attested(vouching(), batch(ROOT, stranger), of=device(stranger))
    assert await last_reason(db) == "untrusted"


async def test_a_make_without_aaguid_is_known_by_its_certificates(under: Making) -> None:
    """W7.1-23: U2F keys have none."""
    plain, other = (Authority("Batch 1", ROOT, is_authority=False) for _ in range(2))
    identifier = x509.SubjectKeyIdentifier.from_public_key(plain.key.public_key()).digest.hex()
    known = Entry("Old key", (ROOT.der,))
    rules = replace(RULES, metadata=Metadata(by_key_identifier={identifier: known}))
    flows = under(rules=rules, conveyance=Conveyance.DIRECT)

    assert not await attested(flows, other, of=device(bytes(16)))
    assert await attested(flows, plain, of=device(bytes(16)))
    (kept,) = await flows.authenticators("ada")
    assert kept.provider == "Old key"


async def test_what_fido_has_revoked_is_not_let_in(vouching: Vouching, db: Database) -> None:
    """W7.1-24: revoked makes, and batches whose key others have."""
    assert not await attested(vouching(is_revoked=True), KEY)
    assert await last_reason(db) == "revoked"
    assert not await attested(vouching(compromised=frozenset({KEY.der})), KEY)
    assert await last_reason(db) == "revoked"
    assert await attested(vouching(compromised=frozenset({ROOT.der})), KEY)


async def test_what_is_revoked_later_stops_working(
    under: Making, vouching: Vouching, db: Database
) -> None:
    """W7.1-24: at each use, with and without attestation, unless configured."""
    used = device()
    assert await enrol(vouching(), used, passwordless=True, format="packed", statement=KEY.attest())
    rules = replace(RULES, metadata=Metadata({MAKE: Entry(None, (), is_revoked=True)}))

    assert (await log_in(under(rules=rules), used)).reason == "revoked"
    assert (await log_in(under(rules=rules, at_use=False), used)).reason is None
    assert await enrol(under(rules=rules), device(), "a2") is None
    assert await last_reason(db) == "revoked"


async def test_what_is_revoked_later_stops_working_without_aaguid_too(
    under: Making, db: Database
) -> None:
    """W7.1-24: a U2F make is known by the certificate that it was registered with."""
    old, other = (Authority("Old key", ROOT, is_authority=False) for _ in range(2))
    makes = {key_identifier_of(make.certificate): Entry(None, (ROOT.der,)) for make in (old, other)}
    known = replace(RULES, metadata=Metadata(by_key_identifier=makes))
    revoked = {key_identifier_of(old.certificate): Entry(None, (ROOT.der,), is_revoked=True)}
    rules = replace(RULES, metadata=Metadata(by_key_identifier=makes | revoked))
    asked = under(rules=known, conveyance=Conveyance.DIRECT)
    used, plain = Device(aaguid=bytes(16), verifies=False), device(bytes(16))
    assert await enrol(asked, used, format="fido-u2f", statement=u2f(old))
    assert await enrol(asked, plain, "a2", format="packed", statement=other.attest())
    assert (await prove(asked, used)).reason is None

    for strict in (under(rules=rules, conveyance=Conveyance.DIRECT), under(rules=rules)):
        assert (await prove(strict, used)).reason == "revoked"
        assert await last_reason(db) == "revoked"
        assert (await prove(strict, plain, ids=("a2",))).reason is None
    assert (await prove(under(rules=rules, at_use=False), used)).reason is None


async def test_what_nobody_vouched_for_stops_working_where_somebody_has_to(
    flows: WebAuthnFlows, under: Making, vouching: Vouching, db: Database
) -> None:
    """W7.1-24: a policy that becomes stricter holds for what was registered before it."""
    used = device()
    assert await enrol(flows, used, passwordless=True)

    assert (await log_in(vouching(), used)).reason == "untrusted"
    assert await last_reason(db) == "untrusted"
    for use in (Use.AUTHENTICATE, Use.REAUTHENTICATE):
        assert (await prove(vouching(), used, use=use)).reason == "untrusted"
    lenient = under(conveyance=Conveyance.DIRECT, at_use=False)
    assert (await log_in(lenient, used)).reason is None
    assert (await log_in(flows, used)).reason is None


def nothing(*_: Any) -> Json:
    return {}


def unsigned(*_: Any) -> Json:
    return {"alg": -7, "sig": bytes(70), "x5c": [KEY.der]}


def garbage(*_: Any) -> Json:
    return {"alg": -7, "sig": b"", "x5c": [b"garbage"]}


def of_itself(data: bytes, client_data_hash: bytes, credential: Credential) -> Json:
    return {"alg": -7, "sig": credential.sign(data + client_data_hash)}


@pytest.mark.parametrize(
    ("name", "statement", "reason"),
    [
        ("none", nothing, "attestation"),
        ("packed", of_itself, "untrusted"),
        ("packed", unsigned, "attestation"),
        ("packed", garbage, "attestation"),
        ("packed", nothing, "attestation"),
        ("fido-u2f", unsigned, "attestation"),
        ("tpm", unsigned, "attestation"),
        ("apple", nothing, "attestation"),
        ("android-safetynet", nothing, "attestation"),
        ("unheard-of", nothing, "attestation"),
    ],
)
async def test_a_statement_has_to_verify(
    vouching: Vouching, db: Database, name: str, statement: Any, reason: str
) -> None:
    """W7.1-21: of a format that is known; and not by the authenticator's own word."""
    assert await enrol(vouching(), device(), format=name, statement=statement) is None
    assert await last_reason(db) == reason


async def test_without_conveyance_statements_are_dropped(flows: WebAuthnFlows) -> None:
    """W7.1-21: by default nobody has to vouch, and what is sent all the same is not looked at."""
    for n, statement in enumerate((nothing, of_itself, unsigned, garbage)):
        made = await enrol(flows, device(), f"a{n}", format="packed", statement=statement)
        assert made is not None
        assert not made.is_attested


async def test_the_conveyance_is_asked_for(vouching: Vouching, flows: WebAuthnFlows) -> None:
    place = Place("e1", "ada", "s1")
    for asked, maker in (("none", flows), ("enterprise", vouching(conveyance="enterprise"))):
        offer = await maker.begin(place, "ada")
        assert offer.options["publicKey"]["attestation"] == asked


def test_metadata_of_fido_are_read() -> None:
    told = blob(
        SIGNER,
        entry(ROOT),
        entry(aaguid="1" * 8, statusReports=[{"status": "REVOKED"}]),
        entry(
            aaguid="2" * 8,
            statusReports=[{"status": "ATTESTATION_KEY_COMPROMISE", "certificate": KEY.text}],
        ),
        entry(aaguid="3" * 8, statusReports=[{"status": "ATTESTATION_KEY_COMPROMISE"}]),
        {"attestationCertificateKeyIdentifiers": ["AB" * 20], "statusReports": []},
        {"aaid": "0000#0000"},
    )

    metadata = read_blob(told, WEB.pem, START)

    assert metadata.by_aaguid[MAKE] == Entry("Key 5", (ROOT.der,))
    assert metadata.is_revoked("1" * 8)
    assert not metadata.is_revoked(MAKE)
    assert metadata.by_aaguid["2" * 8].compromised == {KEY.der}
    assert not metadata.is_revoked("2" * 8)
    assert metadata.is_revoked("3" * 8)
    assert metadata.by_aaguid[MAKE].in_hardware is None
    assert "ab" * 20 in metadata.by_key_identifier
    assert metadata.names()[MAKE] == "Key 5"
    assert not metadata.is_stale(START)


@pytest.mark.parametrize(
    "status",
    [
        "REVOKED",
        "USER_VERIFICATION_BYPASS",
        "USER_KEY_REMOTE_COMPROMISE",
        "USER_KEY_PHYSICAL_COMPROMISE",
        "ATTESTATION_KEY_COMPROMISE",
        "SOME_FUTURE_COMPROMISE",
    ],
)
def test_what_fido_warns_of_counts_as_revoked(status: str) -> None:
    """W7.1-24: unless it is tolerated; what was certified again stays so all the same."""
    reports = [{"status": status}, {"status": "FIDO_CERTIFIED_L1"}]
    told = blob(SIGNER, entry(ROOT, statusReports=reports))

    assert read_blob(told, WEB.pem, START).is_revoked(MAKE)
    assert not read_blob(told, WEB.pem, START, {status}).is_revoked(MAKE)


@pytest.mark.parametrize("status", ["FIDO_CERTIFIED", "UPDATE_AVAILABLE", "NOT_FIDO_CERTIFIED"])
def test_what_fido_says_else_does_not(status: str) -> None:
    told = blob(SIGNER, entry(ROOT, statusReports=[{"status": status}]))

    assert not read_blob(told, WEB.pem, START).is_revoked(MAKE)


def test_where_makes_keep_their_keys_is_read() -> None:
    told = entry(ROOT)
    told["metadataStatement"]["keyProtection"] = ["hardware", "tee"]

    assert read_blob(blob(SIGNER, told), WEB.pem, START).by_aaguid[MAKE].in_hardware is True


def test_no_make_has_no_aaguid() -> None:
    nobody = "00000000-0000-0000-0000-000000000000"
    told = blob(SIGNER, entry(ROOT, aaguid=nobody, statusReports=[{"status": "REVOKED"}]))

    assert not read_blob(told, WEB.pem, START).is_revoked(nobody)


def test_metadata_may_come_over_an_authority_in_between() -> None:
    middle = Authority("Middle", WEB, unit="Authority")

    assert read_blob(blob(fido(middle), entry(), between=(middle,)), WEB.pem, START).by_aaguid


def altered() -> bytes:
    """Return metadata whose payload was changed after they were signed."""
    head, _, signature = blob(SIGNER, entry()).split(b".")
    _, payload, _ = blob(SIGNER, entry(), entry(aaguid="1" * 8)).split(b".")
    return b".".join([head, payload, signature])


@pytest.mark.parametrize(
    ("told", "problem"),
    [
        (b"", "not signed"),
        (b"garbage", "not signed"),
        (b"a.b.c", "not signed"),
        (altered(), "not signed"),
        (blob(fido(Authority("Web", unit="Authority")), entry()), "signer"),
        (blob(fido(WEB, "evil.example"), entry()), "signer"),
        (blob(fido(WEB, valid=EARLIER), entry()), "signer"),
        (blob(fido(WEB, valid=LATER), entry()), "signer"),
        (blob(SIGNER, nextUpdate="soon"), "no blob"),
        (blob(SIGNER, entries=1), "no blob"),
        (blob(SIGNER, {"aaguid": MAKE, "metadataStatement": 1}), "no blob"),
    ],
)
def test_metadata_that_cannot_be_trusted_are_not_read(told: bytes, problem: str) -> None:
    """W7.1-24: signed by FIDO's signer, who has a certificate for that, of the root, of today."""
    with pytest.raises(ValueError, match=problem.replace("no blob", "not a blob")):
        read_blob(told, WEB.pem, START)


def test_metadata_need_a_root() -> None:
    with pytest.raises(ValueError, match="not a blob"):
        read_blob(blob(SIGNER, entry()), b"garbage", START)
    with pytest.raises(ValueError, match="signer"):
        read_blob(blob(SIGNER, entry()), FIDO_ROOT.read_bytes(), START)


def test_the_root_that_comes_along_is_globalsigns() -> None:
    (root,) = x509.load_pem_x509_certificates(FIDO_ROOT.read_bytes())

    assert root.subject.rfc4514_string() == "CN=GlobalSign,O=GlobalSign,OU=GlobalSign Root CA - R3"
    fingerprint = root.fingerprint(SHA256()).hex()
    assert fingerprint == "cbb522d7b7f127ad6a0113865bdf1cd4102e7d0759af635a7cf4720dc963c53b"


def with_metadata(settings: Settings, folder: Path, told: bytes, **changes: Any) -> Settings:
    """Return settings that name metadata, and the root of their signer."""
    path, root = folder / "blob.jwt", folder / "root.pem"
    path.write_bytes(told)
    root.write_bytes(WEB.pem)
    named = {"webauthn_metadata_path": path, "webauthn_metadata_root_path": root}
    return settings.model_copy(update=named | changes)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_bad_file_is_no_start(settings: Settings, clock: Hands, tmp_path: Path) -> None:
    away = settings.model_copy(update={"webauthn_metadata_path": tmp_path / "away"})
    for broken in (with_metadata(settings, tmp_path, altered()), away):
        with pytest.raises(ConfigurationError) as caught:
            create_app(broken, clock)
        (problem,) = caught.value.problems
        assert problem.startswith("WEBAUTHN_METADATA_PATH")


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_metadata_are_used_from_the_start(
    settings: Settings, clock: Hands, tmp_path: Path
) -> None:
    told = blob(SIGNER, entry(ROOT))
    ready = with_metadata(settings, tmp_path, told, webauthn_attestation="direct")
    app: FastAPI = create_app(ready, clock)
    async with app.router.lifespan_context(app):
        flows: WebAuthnFlows = app.state.flows
        used = device()
        assert not await enrol(flows, device())
        assert await attested(flows, KEY, of=used)
        assert (await prove(flows, used, use=Use.REAUTHENTICATE)).reason is None


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_metadata_that_are_late_are_told_of(
    settings: Settings, clock: Hands, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    late = with_metadata(settings, tmp_path, blob(SIGNER, entry(), nextUpdate="2026-05-03"))

    with structlog.testing.capture_logs():
        create_app(late, clock)

    assert "out of date since 2026-05-03" in caplog.text
    assert json.dumps(MAKE) not in caplog.text


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
@pytest.mark.parametrize("attestation", ["direct", "enterprise"])
def test_metadata_that_are_very_late_are_no_start(
    settings: Settings, clock: Hands, tmp_path: Path, attestation: str
) -> None:
    """W7.1-24: where makers have to vouch, it has to be known which are revoked."""
    told = blob(SIGNER, entry(), nextUpdate="2026-04-20")  # a fortnight ago

    def start(**changes: Any) -> None:
        create_app(with_metadata(settings, tmp_path, told, **changes), clock)

    start(webauthn_attestation=attestation)
    with pytest.raises(ConfigurationError, match="out of date since 2026-04-20"):
        start(webauthn_attestation=attestation, webauthn_metadata_grace=timedelta(days=13))
    clock.turn(days=1)
    with pytest.raises(ConfigurationError, match="out of date since 2026-04-20"):
        start(webauthn_attestation=attestation)
    start(webauthn_attestation=attestation, webauthn_metadata_grace=timedelta(days=15))
    start()  # nobody has to vouch


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_readiness_and_metrics_tell_when_metadata_run_out(
    settings: Settings, clock: Hands, tmp_path: Path
) -> None:
    """The process goes on: it is told of in time, before a start is refused."""
    app = create_app(with_metadata(settings, tmp_path, blob(SIGNER, entry())), clock)
    (check,) = [check for check in app.state.checks if check.name == "FIDO metadata"]
    until = REGISTRY.get_sample_value(
        "countersign_fido_metadata_until_timestamp_seconds", {"source": "webauthn"}
    )

    assert until == datetime(2026, 6, 1, tzinfo=UTC).timestamp()
    assert not check.required
    await check.probe()
    clock.now = datetime(2026, 6, 2, tzinfo=UTC)
    with pytest.raises(Unavailable, match="out of date since 2026-06-01"):
        await check.probe()


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_what_is_tolerated_is_read_so(settings: Settings, clock: Hands, tmp_path: Path) -> None:
    told = blob(SIGNER, entry(statusReports=[{"status": "USER_VERIFICATION_BYPASS"}]))
    strict = with_metadata(settings, tmp_path, told)
    lenient = with_metadata(
        settings,
        tmp_path,
        told,
        webauthn_tolerated_statuses=frozenset({"USER_VERIFICATION_BYPASS"}),
    )

    assert read_metadata(strict, clock).is_revoked(MAKE)
    assert not read_metadata(lenient, clock).is_revoked(MAKE)
