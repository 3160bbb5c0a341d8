"""The registration ceremony, step by step (section 7.1): what a device may not get away with."""

import json
import os
from collections.abc import Mapping
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from fido2 import cbor
from fido2.cose import ES256, ES384, RS1, RS256
from fido2.utils import websafe_encode
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import select

from services.webauthn.domain.policy import RelyingParty, Use, Verification
from services.webauthn.flows import WebAuthnFlows
from services.webauthn.store import Place, credentials
from shared.database import Database, Statement
from shared.errors import NotFound
from tests.hands import Hands
from tests.webauthn.authenticator import AT, BE, BS, ED, ORIGIN, UP, UV, Device, Lies, cose
from tests.webauthn.conftest import RP, Making, enrol, last_reason, prove, recorded

PLACE = Place("a1", "ada", "s1")
RECORD = Statement(select(credentials))
NESTED = b"\x81" * 5000  # CBOR lists within each other
FRAMED = RelyingParty(
    id="example.com",
    name="Example",
    origins=frozenset({ORIGIN}),
    allow_cross_origin=True,
    top_origins=frozenset({"https://partner.example"}),
)


async def refused(
    flows: WebAuthnFlows, db: Database, lies: Lies, device: Device | None = None
) -> str:
    """Return why a registration with `lies` is refused."""
    made = await enrol(flows, device or Device(), lies=lies)
    assert made is None
    assert await flows.authenticators("ada") == []
    return await last_reason(db)


def without(credential: Mapping[str, Any], *path: str) -> dict[str, Any]:
    """Return a copy of `credential` that lacks one member."""
    copy: dict[str, Any] = json.loads(json.dumps(credential))
    parent = copy
    for name in path[:-1]:
        parent = parent[name]
    del parent[path[-1]]
    return copy


@pytest.mark.parametrize(
    "path",
    [
        ("id",),
        ("rawId",),
        ("type",),
        ("response",),
        ("response", "clientDataJSON"),
        ("response", "attestationObject"),
    ],
)
async def test_what_is_missing_is_a_refusal(
    flows: WebAuthnFlows, db: Database, path: tuple[str, ...]
) -> None:
    """W7.1-3: a parser's exception of any kind is a refusal."""
    offer = await flows.begin(PLACE, "ada@example.com")
    credential = without(Device().create(dict(offer.options)), *path)

    assert await flows.complete(PLACE, credential, None) is None
    assert await last_reason(db) == "unreadable"


@pytest.mark.parametrize(
    "lies",
    [
        Lies(client_data=b""),
        Lies(client_data=b"{"),
        Lies(client_data=b"[]"),
        Lies(client_data=b"null"),
        Lies(client_data=b"{}"),
        Lies(client_data=b"\xff{}"),
        Lies(client_data=b"\xef\xbb\xbf{}"),
        Lies(client_data=b'{"type": 1, "challenge": "", "origin": ""}'),
        Lies(client_data=b"[" * 4000),
        Lies(client_data=b"9" * 4090),
        Lies(client_data=b" " * 4097),
        Lies(cross_origin="false"),
        Lies(cross_origin=1),
        Lies(top_origin=1),
        Lies(raw_id=1),
        Lies(raw_id="ab"),
        Lies(id="AAAAAAAAAAAAAAAAAAAAAA"),
        Lies(id=None, raw_id="AAAAAAAAAAAAAAAAAAAAAA"),
        Lies(id="AAAA AAAA", raw_id="AAAA AAAA"),
        Lies(id="A", raw_id="A"),
        Lies(credential_type="password"),
        Lies(transports="usb"),
        Lies(transports=[1]),
        Lies(transports=["x" * 33]),
        Lies(attestation_object=b""),
        Lies(attestation_object=b"\xa0"),
        Lies(attestation_object=b"\xff"),
        Lies(attestation_object=b"\x1b"),
        Lies(attestation_object=b"\xa1\x80\x80"),
        Lies(attestation_object=b"\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
        Lies(attestation_object=b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff"),
        Lies(attestation_object=NESTED),
        Lies(attestation_object=bytes(16385)),
        Lies(attestation_object=cbor.encode({"fmt": "none", "attStmt": {}, "authData": 1})),
        Lies(attestation_object=cbor.encode({"fmt": "none", "attStmt": {}, "authData": b"1"})),
        Lies(authenticator_data=b""),
        Lies(clear_flags=AT),
    ],
    ids=lambda lies: repr(lies)[:60],
)
async def test_what_cannot_be_read_is_a_refusal(
    flows: WebAuthnFlows, db: Database, lies: Lies
) -> None:
    """W7.1-3: whatever is broken, and however big, is refused, and never breaks anything."""
    assert await refused(flows, db, lies) == "unreadable"


async def test_the_ceremony_is_a_creation(flows: WebAuthnFlows, db: Database) -> None:
    """W7.1-7: an assertion's client data make no credential."""
    assert await refused(flows, db, Lies(type="webauthn.get")) == "type"


@pytest.mark.parametrize("padding", ["=", "==", " ", "!"])
async def test_the_challenge_is_the_one_that_was_made(
    flows: WebAuthnFlows, db: Database, padding: str
) -> None:
    """W7.1-8: another challenge, or the same in another notation, is none."""
    assert await refused(flows, db, Lies(challenge=os.urandom(32))) == "challenge"
    assert await refused(flows, db, Lies(challenge="")) == "challenge"

    offer = await flows.begin(PLACE, "ada")
    noted = offer.options["publicKey"]["challenge"] + padding
    credential = Device().create(dict(offer.options), Lies(challenge=noted))

    assert await flows.complete(PLACE, credential, None) is None
    assert await last_reason(db) == "challenge"


async def test_a_challenge_is_good_for_one_try(flows: WebAuthnFlows) -> None:
    """W7.1-8: a refusal spends the challenge, and so does an acceptance."""
    device = Device()
    offer = await flows.begin(PLACE, "ada")
    wrong = device.create(dict(offer.options), Lies(origin="https://evil.example"))
    right = device.create(dict(offer.options))

    assert await flows.complete(PLACE, wrong, None) is None
    with pytest.raises(NotFound):
        await flows.complete(PLACE, right, None)


@pytest.mark.parametrize(
    "place", [Place("a1", "eve", "s1"), Place("a1", "ada", "s2"), Place("a2", "ada", "s1")]
)
async def test_a_challenge_is_bound_to_who_asked(flows: WebAuthnFlows, place: Place) -> None:
    """W7.1-8: nobody else, and no other session, can answer it."""
    offer = await flows.begin(PLACE, "ada")
    credential = Device().create(dict(offer.options))

    with pytest.raises(NotFound):
        await flows.complete(place, credential, None)
    assert await flows.complete(PLACE, credential, None) is not None


async def test_a_challenge_of_a_login_makes_no_credential(
    flows: WebAuthnFlows, db: Database
) -> None:
    """W7.1-8: a challenge is good for its own ceremony alone."""
    login = await flows.challenge_anybody("s1")
    challenge = login.options["publicKey"]["challenge"]

    assert await refused(flows, db, Lies(challenge=challenge)) == "challenge"


async def test_a_challenge_lives_five_minutes(flows: WebAuthnFlows, clock: Hands) -> None:
    """W7.1-8: what is answered too late is not asked for any more."""
    offer = await flows.begin(PLACE, "ada")
    credential = Device().create(dict(offer.options))
    clock.turn(minutes=5)

    assert offer.options["publicKey"]["timeout"] == 300_000
    with pytest.raises(NotFound):
        await flows.complete(PLACE, credential, None)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://sub.example.com",
        "https://example.com:443",
        "https://example.com:8443",
        "https://example.com/",
        "https://example.com.",
        "https://EXAMPLE.com",
        "http://example.com",
        "https://example.com:x",
        "https://user@example.com",
        "https://example.com.evil.example",
        "http://localhost",
        "null",
        "",
    ],
)
async def test_origins_are_an_exact_list(flows: WebAuthnFlows, db: Database, origin: str) -> None:
    """W7.1-9: no subdomain, no port, no path, no other notation."""
    assert await refused(flows, db, Lies(origin=origin)) == "origin"


async def test_apps_have_origins_too(under: Making, db: Database) -> None:
    """W7.1-9: an Android app is known by the hash of its key."""
    app = "android:apk-key-hash:" + "A" * 43
    flows = under(RelyingParty("example.com", "Example", frozenset({app})))

    assert await enrol(flows, Device(origin=app)) is not None
    assert await enrol(flows, Device(origin=app[:-1] + "B"), "a2") is None
    assert await last_reason(db) == "origin"


async def test_a_frame_may_not_ask_unless_it_is_allowed(under: Making, db: Database) -> None:
    """W7.1-10: crossOrigin is refused, unless configured."""
    assert await refused(under(), db, Lies(cross_origin=True)) == "cross_origin"
    assert await enrol(under(FRAMED), Device(), lies=Lies(cross_origin=True)) is not None


async def test_the_page_around_a_frame_is_known(under: Making, db: Database) -> None:
    """W7.1-11: topOrigin is refused, unless it is listed."""
    partner, stranger = "https://partner.example", "https://stranger.example"
    for lies in (Lies(top_origin=partner), Lies(cross_origin=True, top_origin=partner)):
        assert await refused(under(), db, lies) == "cross_origin"
    foreign = Lies(cross_origin=True, top_origin=stranger)
    assert await refused(under(FRAMED), db, foreign) == "top_origin"

    around = Lies(cross_origin=True, top_origin=partner)
    assert await enrol(under(FRAMED), Device(), lies=around) is not None


async def test_nothing_trails_the_data(flows: WebAuthnFlows, db: Database) -> None:
    """W7.1-13: bytes after the authenticator data are refused; extensions that are none too."""
    assert await refused(flows, db, Lies(trailing=b"\0")) == "unreadable"
    assert await refused(flows, db, Lies(set_flags=ED)) == "unreadable"


async def test_the_credential_is_for_us(flows: WebAuthnFlows, db: Database) -> None:
    """W7.1-14: rpIdHash."""
    assert await refused(flows, db, Lies(rp_id="evil.example")) == "rp_id"


async def test_somebody_is_there(flows: WebAuthnFlows, db: Database) -> None:
    """W7.1-15: UP."""
    assert await refused(flows, db, Lies(clear_flags=UP)) == "user_present"


async def test_the_user_is_verified_where_that_is_required(
    under: Making, flows: WebAuthnFlows, db: Database
) -> None:
    """W7.1-16: UV for what shall serve alone, and where policy wants it."""
    unverified = Lies(clear_flags=UV)
    assert await enrol(flows, Device(), lies=unverified, passwordless=True) is None
    assert await last_reason(db) == "user_verified"
    for verification in (
        Verification("required"),
        Verification("discouraged", frozenset({Use.ENROL})),
    ):
        assert await refused(under(verification=verification), db, unverified) == "user_verified"

    made = await enrol(flows, Device(), lies=unverified)
    assert made is not None
    assert not made.user_verified


async def test_what_is_backed_up_can_be(flows: WebAuthnFlows, db: Database) -> None:
    """W7.1-17: BS without BE."""
    assert await refused(flows, db, Lies(set_flags=BS)) == "backup_state"


async def test_synced_passkeys_are_known_and_can_be_kept_out(under: Making, db: Database) -> None:
    """W7.1-18: BE and BS are stored; policy may let in no synced passkeys."""
    made = await enrol(under(), Device(synced=True))
    lonely = await enrol(under(), Device(), "a2", lies=Lies(set_flags=BE))

    assert made is not None
    assert (made.backup_eligible, made.backed_up) == (True, True)
    assert lonely is not None
    assert (lonely.backup_eligible, lonely.backed_up) == (True, False)
    assert await enrol(under(allow_synced=False), Device(synced=True), "a3") is None
    assert await last_reason(db) == "synced"
    assert await enrol(under(allow_synced=False), Device(), "a4") is not None


EC_P384 = cose(ES384, ec.generate_private_key(ec.SECP384R1()).public_key())
EC_P256 = cose(ES256, ec.generate_private_key(ec.SECP256R1()).public_key())
RSA_2048 = rsa.generate_private_key(65537, 2048).public_key()
RSA_1024 = rsa.generate_private_key(65537, 1024).public_key()  # noqa: S505 to be refused
RS = cose(RS256, RSA_2048)
KEYS: list[tuple[str, Mapping[int, Any], str]] = [
    ("SHA-1", cose(RS1, RSA_2048), "algorithm"),
    ("ES384, which was not offered", EC_P384, "algorithm"),
    ("unknown", {1: 2, 3: -12345}, "algorithm"),
    ("no point", {1: 2, 3: -7}, "key"),
    ("an RSA key", {**RS, 3: -7}, "key"),
    ("P-384", {**EC_P384, 3: -7}, "key"),
    ("P-384 that calls itself P-256", {**EC_P384, 3: -7, -1: 1}, "key"),
    ("another curve's number", {**EC_P256, -1: 2}, "key"),
    ("another type of key", {**EC_P256, 1: 1}, "key"),
    ("off the curve", {**EC_P256, -3: bytes(31) + b"\1"}, "key"),
    ("the point at infinity", {**EC_P256, -2: bytes(32), -3: bytes(32)}, "key"),
    ("short coordinates", {**EC_P256, -2: EC_P256[-2][1:]}, "key"),
    ("compressed", {**EC_P256, -3: True}, "key"),
    ("more than a key", {**EC_P256, 4: [1]}, "key"),
    ("text for bytes", {**EC_P256, -2: "x" * 32}, "key"),
    ("RSA, e = 1", {**RS, -2: b"\1"}, "key"),
    ("RSA, e = 3", {**RS, -2: b"\3"}, "key"),
    ("RSA, an even exponent", {**RS, -2: b"\1\0\2"}, "key"),
    ("RSA, 1024 bits", cose(RS256, RSA_1024), "key"),
    ("RSA, 1024 bits, padded", {**RS, -1: bytes(128) + RS[-1][:128]}, "key"),
    ("RSA, 16384 bits", {**RS, -1: b"\xff" * 2048}, "key"),
    ("Ed25519, short", {1: 1, 3: -8, -1: 6, -2: bytes(31)}, "key"),
    ("X25519", {1: 1, 3: -8, -1: 4, -2: bytes(32)}, "key"),
    ("Ed25519 as an elliptic curve", {1: 2, 3: -8, -1: 6, -2: bytes(32)}, "key"),
]


@pytest.mark.parametrize(("key", "reason"), [key[1:] for key in KEYS], ids=[key[0] for key in KEYS])
async def test_keys_are_checked_when_they_are_registered(
    flows: WebAuthnFlows, db: Database, key: Mapping[int, Any], reason: str
) -> None:
    """W7.1-20: the algorithm is one that was offered, and the key is one of it."""
    assert await refused(flows, db, Lies(public_key=key)) == reason


@pytest.mark.parametrize("kind", ["ES256", "EdDSA", "RS256"])
async def test_the_algorithms_that_are_offered_work(flows: WebAuthnFlows, kind: str) -> None:
    """W7.1-20: ES256, EdDSA and RS256, unless configured."""
    device = Device(kind=kind)

    assert await enrol(flows, device) is not None
    assert (await prove(flows, device)).reason is None


@pytest.mark.parametrize("kind", ["ES384", "ES512", "Ed448"])
async def test_other_algorithms_can_be_offered(under: Making, db: Database, kind: str) -> None:
    """W7.1-20: algorithms are configurable."""
    flows, device = under(algorithms=(kind,)), Device(kind=kind)

    assert await enrol(flows, device) is not None
    assert (await prove(flows, device)).reason is None
    assert await enrol(flows, Device(kind="ES256"), "a2") is None
    assert await last_reason(db) == "algorithm"


@pytest.mark.parametrize("length", [1, 15, 1024, 2000])
async def test_ids_of_credentials_have_bounds(
    flows: WebAuthnFlows, db: Database, length: int
) -> None:
    """W7.1-25: 16 to 1023 bytes."""
    reason = await refused(flows, db, Lies(credential_id=os.urandom(length)))

    assert reason == ("credential_id" if length < 1024 else "unreadable")


@pytest.mark.parametrize("length", [16, 1023])
async def test_ids_of_credentials_may_reach_their_bounds(flows: WebAuthnFlows, length: int) -> None:
    """W7.1-25: 16 to 1023 bytes."""
    device = Device()

    made = await enrol(flows, device, lies=Lies(credential_id=os.urandom(length)))

    assert made is not None
    assert len(made.credential_id) == length
    assert (await prove(flows, device)).reason is None


async def test_the_id_is_the_one_that_was_attested(flows: WebAuthnFlows, db: Database) -> None:
    """W7.1-25: `id` and `rawId` are those of the attested credential."""
    other = websafe_encode(os.urandom(32))

    assert await refused(flows, db, Lies(id=other, raw_id=other)) == "credential_id"
    assert await refused(flows, db, Lies(id=other)) == "unreadable"


@pytest.mark.parametrize("user", ["ada", "eve"])
async def test_a_credential_is_registered_once(
    flows: WebAuthnFlows, db: Database, user: str
) -> None:
    """W7.1-26: not a second time, by whomever; and an answer, no error."""
    device = Device()
    assert await enrol(flows, device) is not None
    (taken,) = device.credentials

    assert await enrol(flows, Device(), "b1", user, Lies(credential_id=taken)) is None
    assert await last_reason(db) == "taken"
    assert [kept.id for kept in await flows.authenticators("ada")] == ["a1"]


async def test_what_the_standard_names_is_kept(flows: WebAuthnFlows, db: Database) -> None:
    """W7.1-27: the record; W7.1-28 beside it: credProps is told, and lets nobody in."""
    device = Device(aaguid=bytes(range(16)), synced=True)
    made = await enrol(
        flows, device, lies=Lies(transports=["hybrid", "internal", "hybrid", "new-one"], counter=7)
    )

    assert made is not None
    assert made.credential_id in device.credentials
    assert made.aaguid == "00010203-0405-0607-0809-0a0b0c0d0e0f"
    assert made.transports == ("hybrid", "internal", "new-one")
    assert made.discoverable is False
    assert (made.user_verified, made.backup_eligible, made.backed_up) == (True, True, True)
    assert made.serves_alone is False
    assert await flows.authenticators("ada") == [made]
    (row,) = await db.all(RECORD)
    (own,) = device.credentials.values()
    assert cbor.decode(row.public_key) == own.public()
    assert (row.sign_count, row.rp_id, row.attestation) == (7, "example.com", "none")


async def test_a_credential_stays_of_whom_it_was_made_for(under: Making, db: Database) -> None:
    """W7.1-27: when the RP ID is changed, for browsers to be told what is still theirs."""
    moved = under(RelyingParty(id="example.org", name="Example", origins=RP.origins))
    await enrol(under(), Device())
    await enrol(moved, Device(), "a2")

    kept = [each.rp_id for each in await moved.authenticators("ada")]

    assert kept == ["example.com", "example.org"]


@pytest.mark.parametrize("passwordless", [True, False])
@pytest.mark.parametrize(
    ("extensions", "discoverable"),
    [
        ({"credProps": {"rk": True}}, True),
        ({"credProps": {"rk": False}}, False),
        ({"credProps": {"rk": "true"}}, None),
        ({"credProps": {}}, None),
        ({"credProps": 1}, None),
        ({"unheard of": [1]}, None),
        ({}, None),
        ([], None),
        (1, None),
    ],
)
async def test_extensions_are_hints(
    flows: WebAuthnFlows, extensions: Any, discoverable: bool | None, passwordless: bool
) -> None:
    """W7.1-28: what was not asked for is tolerated; what is odd is as if it were not there.

    Whether it serves alone follows from what was asked for, and not from what is said here.
    """
    lies = Lies(extensions=extensions)
    made = await enrol(flows, Device(), lies=lies, passwordless=passwordless)

    assert made is not None
    assert made.discoverable is discoverable
    assert made.serves_alone is passwordless


async def test_policy_names_makes(under: Making, db: Database) -> None:
    """Allow and deny lists of AAGUIDs, at registration."""
    ours, theirs = bytes(range(16)), bytes(16)
    name = "00010203-0405-0607-0809-0a0b0c0d0e0f"

    allowing, denying = under(allowed_aaguids={name}), under(denied_aaguids={name})

    assert await enrol(allowing, Device(aaguid=theirs)) is None
    assert await last_reason(db) == "aaguid"
    assert await enrol(allowing, Device(aaguid=ours)) is not None
    assert await enrol(denying, Device(aaguid=ours), "a2") is None
    assert await enrol(denying, Device(aaguid=theirs), "a3") is not None


def mutated(credential: dict[str, Any], at: int, value: int, member: str) -> dict[str, Any]:
    """Return `credential` with one character of one member changed."""
    copy: dict[str, Any] = json.loads(json.dumps(credential))
    text = copy["response"][member]
    place = at % len(text)
    copy["response"][member] = text[:place] + chr(value) + text[place + 1 :]
    return copy


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_change_of_a_byte_breaks_anything(flows: WebAuthnFlows) -> None:
    """W7.1-3: whatever arrives, it is accepted or refused."""
    changes: list[tuple[int, int, str]] = []

    @given(
        st.integers(0, 10_000),
        st.integers(0, 0x10FFF),
        st.sampled_from(["clientDataJSON", "attestationObject"]),
    )
    @hypothesis_settings(
        max_examples=300, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    def collect(at: int, value: int, member: str) -> None:
        changes.append((at, value, member))

    collect()
    for n, (at, value, member) in enumerate(changes):
        place = Place(f"e{n}", "ada", "s1")
        offer = await flows.begin(place, "ada")
        await flows.complete(
            place, mutated(Device().create(dict(offer.options)), at, value, member), None
        )


async def test_refusals_are_told_to_the_trail_alone(flows: WebAuthnFlows, db: Database) -> None:
    await enrol(flows, Device(), lies=Lies(origin="https://evil.example"))
    await enrol(flows, Device())

    assert await recorded(db) == [
        "enrolment_started",
        "activation_failed: origin",
        "enrolment_started",
        "activated",
    ]
