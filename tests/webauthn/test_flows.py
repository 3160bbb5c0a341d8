"""Use cases on a real database: names, repetition, removal, what the trail is told."""

import json
from dataclasses import replace
from typing import Any

import pytest

from services.webauthn.domain.assertion import amr
from services.webauthn.domain.metadata import Entry, Metadata
from services.webauthn.domain.naming import known_names
from services.webauthn.domain.policy import Conveyance, Rules, Use, Verification
from services.webauthn.flows import WebAuthnFlows
from services.webauthn.store import CredentialStore, Place
from shared import context
from shared.database import Database
from shared.errors import Conflict, Malformed, NotFound
from tests.hands import Hands
from tests.webauthn.authenticator import BE, HONEST, Device, Lies
from tests.webauthn.conftest import (
    EVENTS,
    RP,
    RULES,
    Making,
    counted,
    enrol,
    log_in,
    prove,
    recorded,
    spent_since,
)
from tests.webauthn.maker import AAGUID, MAKE, Authority, batch

PLACE = Place("a1", "ada", "s1")


async def test_options_are_as_allauth_gives_them(flows: WebAuthnFlows, under: Making) -> None:
    """The members and values that a client of allauth knows, and none that a browser minds."""
    device = Device()
    await enrol(flows, device, lies=Lies(transports=["usb"]))
    place = Place("a2", "ada", "s1")
    offer = await flows.begin(place, "ada@example.com", registered=["a1", "x"])
    alone = await flows.begin(place, "ada@example.com", passwordless=True)
    hinting = await under(hints=("security-key",)).begin(place, "ada@example.com")

    options, passwordless = offer.options["publicKey"], alone.options["publicKey"]
    assert options["rp"] == {"name": "Example", "id": "example.com"}
    assert options["user"]["name"] == options["user"]["displayName"] == "ada@example.com"
    assert options["pubKeyCredParams"] == [
        {"type": "public-key", "alg": alg} for alg in (-7, -8, -257)
    ]
    assert options["authenticatorSelection"] == {
        "residentKey": "discouraged",
        "requireResidentKey": False,
        "userVerification": "preferred",
    }
    assert passwordless["authenticatorSelection"] == {
        "residentKey": "required",
        "requireResidentKey": True,
        "userVerification": "required",
    }
    (excluded,) = options["excludeCredentials"]
    assert (excluded["type"], excluded["transports"]) == ("public-key", ["usb"])
    assert passwordless["excludeCredentials"] == []
    assert options["extensions"] == {"credProps": True}
    assert options["attestation"] == "none"
    assert "hints" not in options
    assert hinting.options["publicKey"]["hints"] == ["security-key"]


async def test_hints_are_for_logins_too(under: Making) -> None:
    flows = under(hints=("hybrid", "client-device"))

    assert (await flows.challenge_anybody("s1")).options["publicKey"]["hints"] == [
        "hybrid",
        "client-device",
    ]


async def test_verification_is_asked_for_as_set(under: Making) -> None:
    lax = under(verification=Verification("discouraged", frozenset({Use.ENROL})))

    creation = (await lax.begin(PLACE, "ada")).options["publicKey"]
    request = (await lax.challenge("ada", ["a1"], "s1", Use.AUTHENTICATE)).options["publicKey"]

    assert creation["authenticatorSelection"]["userVerification"] == "required"
    assert request["userVerification"] == "discouraged"


@pytest.mark.parametrize(
    ("wished", "name"),
    [
        ("My key", "My key"),
        ("  My\tkey \n", "My key"),
        ("a\u202eb\u0007c", "abc"),
        ("x" * 101, "x" * 100),
        (
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
            "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
        ),
    ],
)
async def test_names_are_cleaned(flows: WebAuthnFlows, wished: str, name: str) -> None:
    made = await enrol(flows, Device(), name=wished)
    assert made is not None

    assert made.name == name
    assert (await flows.rename("ada", "a1", wished)).name == name


async def test_a_key_without_a_name_gets_one(flows: WebAuthnFlows) -> None:
    names = []
    untold = Lies(extensions={})
    for n, (device, alone, lies) in enumerate(
        [
            (Device(), False, HONEST),
            (Device(), False, untold),
            (Device(), True, HONEST),
            (Device(synced=True), False, HONEST),
            (Device(), True, untold),
            (Device(), False, Lies(extensions={"credProps": {"rk": True}})),
        ]
    ):
        wished = (None, "", " \u200d ", "\u202e", None, None)[n]
        made = await enrol(flows, device, f"a{n}", lies=lies, passwordless=alone, name=wished)
        assert made is not None
        names.append(made.name)
    other = await enrol(flows, Device(), "b1", "eve", name=None)

    assert names == [
        "Security key",
        "Security key 2",
        "Passkey",
        "Passkey 2",
        "Passkey 3",
        "Passkey 4",
    ]
    assert other is not None
    assert other.name == "Security key"


async def test_a_known_make_gives_its_name(
    store: CredentialStore, clock: Hands, under: Making
) -> None:
    apple = bytes.fromhex("fbfc3007154e4ecc8c0b6e020557d7bd")
    flows = WebAuthnFlows(store, clock, Rules(RP, names=known_names()))

    made = [
        await enrol(flows, Device(aaguid=apple, synced=True), f"a{n}", name=None) for n in (1, 2)
    ]

    assert [one.provider for one in made if one] == ["Apple Passwords"] * 2
    assert [one.name for one in made if one] == ["Apple Passwords", "Apple Passwords 2"]


async def test_renaming(flows: WebAuthnFlows, db: Database) -> None:
    await enrol(flows, Device())

    for _ in range(2):
        assert (await flows.rename("ada", "a1", "Blue")).name == "Blue"
    assert [kept.name for kept in await flows.authenticators("ada")] == ["Blue"]
    for user, named in (("eve", "a1"), ("ada", "a2")):
        with pytest.raises(NotFound):
            await flows.rename(user, named, "Red")
    for blank in (" ", "\u202e", "\u200d"):
        with pytest.raises(Malformed):
            await flows.rename("ada", "a1", blank)
    assert (await recorded(db)).count("renamed") == 2


async def test_completing_is_repeatable(flows: WebAuthnFlows, db: Database, clock: Hands) -> None:
    device = Device()
    offer = await flows.begin(PLACE, "ada")
    credential = device.create(dict(offer.options))
    first = await flows.complete(PLACE, credential, "key")
    clock.turn(minutes=4)

    again = await flows.complete(PLACE, credential, "key")

    assert again == first
    assert first is not None
    assert (await recorded(db)).count("activated") == 1
    other = Device().create(dict(offer.options))
    for place, proof in (
        (PLACE, other),
        (Place("a1", "ada", "s2"), credential),
        (Place("a1", "eve", "s1"), credential),
    ):
        with pytest.raises(NotFound):
            await flows.complete(place, proof, "key")
    clock.turn(minutes=1)
    with pytest.raises(NotFound):
        await flows.complete(PLACE, credential, "key")


async def test_asking_again_replaces_the_challenge(flows: WebAuthnFlows) -> None:
    old = await flows.begin(PLACE, "ada")
    new = await flows.begin(PLACE, "ada", passwordless=True)

    assert old.options["publicKey"]["challenge"] != new.options["publicKey"]["challenge"]
    assert old.options["publicKey"]["user"]["id"] == new.options["publicKey"]["user"]["id"]
    assert await flows.complete(PLACE, Device().create(dict(new.options)), None)


async def test_a_new_enrolment_replaces_the_sessions_last(flows: WebAuthnFlows) -> None:
    old = await flows.begin(PLACE, "ada")
    newer = Place("a2", "ada", "s1")
    new = await flows.begin(newer, "ada")

    with pytest.raises(NotFound):
        await flows.complete(PLACE, Device().create(dict(old.options)), None)
    assert await flows.complete(newer, Device().create(dict(new.options)), None)


async def test_an_enrolment_id_belongs_to_one(flows: WebAuthnFlows) -> None:
    await flows.begin(PLACE, "ada")

    for place in (Place("a1", "ada", "s2"), Place("a1", "eve", "s1")):
        with pytest.raises(Conflict):
            await flows.begin(place, "eve")


async def test_what_is_enrolled_already_is_told(flows: WebAuthnFlows) -> None:
    first = await enrol(flows, Device())

    with pytest.raises(Conflict) as caught:
        await flows.begin(PLACE, "ada")

    assert caught.value.code == "enrolment_completed"
    assert await flows.authenticators("ada") == [first]


async def test_removing_is_repeatable_and_recorded_once(flows: WebAuthnFlows, db: Database) -> None:
    device = Device()
    await enrol(flows, device)

    await flows.remove("eve", "a1")
    assert len(await flows.authenticators("ada")) == 1
    await flows.remove("ada", "a1")
    await flows.remove("ada", "a1")

    assert await flows.authenticators("ada") == []
    assert (await recorded(db)).count("removed") == 1
    assert await enrol(
        flows, Device(), "a2", lies=Lies(credential_id=next(iter(device.credentials)))
    )


async def test_removing_ends_a_pending_enrolment_too(flows: WebAuthnFlows) -> None:
    offer = await flows.begin(PLACE, "ada")
    await flows.remove("ada", "a1")

    with pytest.raises(NotFound):
        await flows.complete(PLACE, Device().create(dict(offer.options)), None)


async def test_forgetting_leaves_nothing_of_a_person(flows: WebAuthnFlows) -> None:
    mine, hers = Device(), Device()
    await enrol(flows, mine, passwordless=True)
    await enrol(flows, Device(), "a2")
    await enrol(flows, hers, "b1", "eve", passwordless=True)
    pending = await flows.begin(Place("a3", "ada", "s1"), "ada")
    asked = await flows.challenge("ada", ["a1"], "s1", Use.AUTHENTICATE)
    before = pending.options["publicKey"]["user"]["id"]

    await flows.forget("ada")
    await flows.forget("ada")

    assert await flows.authenticators("ada") == []
    assert (await log_in(flows, hers)).reason is None
    with pytest.raises(NotFound):
        await flows.complete(Place("a3", "ada", "s1"), mine.create(dict(pending.options)), None)
    answer = mine.get(dict(asked.options))
    late = await flows.verify("ada", ["a1"], "s1", Use.AUTHENTICATE, answer)
    assert late.reason == "no_challenge"
    anew = await flows.begin(PLACE, "ada")
    assert anew.options["publicKey"]["user"]["id"] != before


async def test_the_sweep_takes_only_what_has_expired(flows: WebAuthnFlows, clock: Hands) -> None:
    device = Device()
    await enrol(flows, device, "k1", "eve", passwordless=True)
    await flows.begin(PLACE, "ada")
    await flows.challenge_anybody("s1")
    clock.turn(minutes=4)
    alive, login = (
        await flows.begin(Place("b1", "bob", "s2"), "bob"),
        await flows.challenge_anybody("s2"),
    )
    clock.turn(minutes=1)

    await flows.sweep()

    await flows.begin(Place("a1", "eve", "s3"), "eve")  # the id is free again
    assert await flows.complete(
        Place("b1", "bob", "s2"), Device().create(dict(alive.options)), None
    )
    assert (await flows.verify_anybody("s2", device.get(dict(login.options)))).reason is None


@pytest.mark.parametrize(
    ("device", "lies", "told"),
    [
        (Device(), Lies(), ["pop", "user", "mfa"]),
        (Device(verifies=False), Lies(), ["pop", "user"]),
        (Device(synced=True), Lies(), ["pop", "swk", "user", "mfa"]),
        (Device(), Lies(set_flags=BE), ["pop", "swk", "user", "mfa"]),
    ],
)
async def test_methods_are_told_in_the_words_of_rfc_8176(
    flows: WebAuthnFlows, device: Device, lies: Lies, told: list[str]
) -> None:
    await enrol(flows, device, lies=lies)

    judgement = await prove(flows, device, lies)

    assert judgement.credential is not None
    assert judgement.assertion is not None
    assert amr(judgement.credential, judgement.assertion) == told


@pytest.mark.parametrize(
    ("protection", "synced", "told"),
    [
        ({"hardware", "secure_element"}, False, ["hwk"]),
        ({"tee"}, False, ["hwk"]),
        ({"software"}, False, ["swk"]),
        ({"remote_handle"}, False, []),
        (set(), False, []),
        ({"hardware"}, True, ["swk"]),
    ],
)
async def test_where_a_key_lies_is_what_fido_says_of_its_make(
    under: Making, protection: set[str], synced: bool, told: list[str]
) -> None:
    """That its maker vouches for it is not enough: makers vouch for software too."""
    root, device = Authority("Root", unit="Authority"), Device(aaguid=AAGUID, synced=synced)
    known = Entry(None, (root.der,), key_protection=frozenset(protection))
    flows = under(
        rules=replace(RULES, metadata=Metadata({MAKE: known})), conveyance=Conveyance.DIRECT
    )
    assert await enrol(flows, device, format="packed", statement=batch(root).attest())

    judgement = await prove(flows, device)

    assert judgement.credential is not None
    assert judgement.assertion is not None
    assert amr(judgement.credential, judgement.assertion) == ["pop", *told, "user", "mfa"]


async def test_where_a_key_lies_is_not_known_of_a_make_that_is_only_claimed(under: Making) -> None:
    known = Entry(None, (), key_protection=frozenset({"hardware"}))
    flows, device = (
        under(rules=replace(RULES, metadata=Metadata({MAKE: known}))),
        Device(aaguid=AAGUID),
    )
    await enrol(flows, device)

    judgement = await prove(flows, device)

    assert judgement.credential is not None
    assert judgement.assertion is not None
    assert amr(judgement.credential, judgement.assertion) == ["pop", "user", "mfa"]


async def test_events_tell_who_and_which_but_no_secret(
    flows: WebAuthnFlows, db: Database, under: Making
) -> None:
    """D4: no challenge, signature or name is told, nor the id of a credential."""
    context.enter(context.Context(request_id="r1", address="192.0.2.1"))
    device = Device(counts=True)
    offer = await flows.begin(PLACE, "ada@example.com")
    answer: dict[str, Any] = device.create(dict(offer.options))
    await flows.complete(PLACE, answer, "Canary")
    await prove(flows, device)
    await prove(flows, device, Lies(counter=0))
    await flows.rename("ada", "a1", "Parrot")
    await flows.remove("ada", "a1")

    rows = await db.all(EVENTS)

    told = json.dumps([dict(row) for row in rows])
    assert [row.type.rpartition(".")[2] for row in rows] == [
        "enrolment_started",
        "activated",
        "accepted",
        "clone_suspected",
        "failed",
        "renamed",
        "removed",
    ]
    assert {row.subject for row in rows} == {"ada"}
    assert all(json.loads(row.context)["request_id"] == "r1" for row in rows)
    challenge = offer.options["publicKey"]["challenge"]
    for secret in (challenge, answer["id"], "Canary", "Parrot", "ada@example.com"):
        assert secret not in told


async def test_a_challenge_is_one_write(flows: WebAuthnFlows, db: Database) -> None:
    await enrol(flows, Device())
    before, told = counted(), await recorded(db)
    await flows.challenge("ada", ["a1"], "s1", Use.AUTHENTICATE)
    await flows.challenge_anybody("s1")

    spent = spent_since(before)

    assert (spent["write"], spent["commit"]) == (2, 2)
    assert spent["read"] == 1  # of the events, by this test
    assert await recorded(db) == told


async def test_a_verification_is_one_read_and_one_write(flows: WebAuthnFlows) -> None:
    device = Device()
    await enrol(flows, device, passwordless=True)
    for lies, reason in (
        (Lies(), None),
        (Lies(signs=b""), "signature"),
        (Lies(raw_id="!"), "unreadable"),
    ):
        offer = await flows.challenge_anybody("s1")
        answer = device.get(dict(offer.options), lies)
        before = counted()
        assert (await flows.verify_anybody("s1", answer)).reason == reason
        reads = 0 if reason == "unreadable" else 1
        assert spent_since(before) == {"read": reads, "write": 1, "commit": 1}


async def test_an_enrolment_is_three_statements(flows: WebAuthnFlows) -> None:
    before = counted()
    offer = await flows.begin(PLACE, "ada", registered=["a1"])
    assert spent_since(before) == {"read": 0, "write": 1, "commit": 1}

    answer, before = Device().create(dict(offer.options)), counted()
    assert await flows.complete(PLACE, answer, "key")
    assert spent_since(before) == {"read": 1, "write": 1, "commit": 1}
