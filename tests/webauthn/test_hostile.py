"""What nobody would send by mistake: it is refused like all else, and costs no more.

Nothing that is sent gets through as an exception: the challenge would outlive it.
"""

import json
import logging
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from fido2 import cbor
from fido2.utils import websafe_encode
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from services.webauthn.domain import refusal
from services.webauthn.domain.assertion import Assertion
from services.webauthn.domain.attested import FORMATS
from services.webauthn.domain.metadata import Entry, Metadata
from services.webauthn.domain.policy import Conveyance, Policy
from services.webauthn.domain.refusal import Reason
from services.webauthn.domain.registration import Registration
from shared.database import Database
from tests.webauthn.authenticator import AT, ED, HONEST, ORIGIN, Device, Lies
from tests.webauthn.ceremony import CHALLENGE, asserted, registered
from tests.webauthn.conftest import EVENTS, RULES, recorded
from tests.webauthn.maker import AAGUID, MAKE, Authority, batch

ROOT = Authority("Root", unit="Authority")
MANY = 4 * 10**8
DIRECT = replace(
    RULES,
    policy=Policy(conveyance=Conveyance.DIRECT),
    metadata=Metadata({MAKE: Entry(None, (ROOT.der,))}),
)
HALF = json.dumps({"type": "webauthn.create", "challenge": "\ud800", "origin": ORIGIN}).encode()
HALF_GET = HALF.replace(b"create", b"get")


def cost(lies: Lies, **changes: Any) -> tuple[object, int]:
    """Return the judgement of a registration, and how many bytes it took at once."""
    tracemalloc.start()
    try:
        judged = registered(lies, **changes)
        return judged, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def made_of(**members: Any) -> Lies:
    """Return a lie whose attestation object has these members, and all else that it needs."""
    return Lies(
        attestation_object=cbor.encode({"fmt": "none", "attStmt": {}, "authData": b""} | members)
    )


@pytest.mark.parametrize("number", [MANY, 2**63, True, -1])
def test_a_number_for_bytes_is_not_that_many_bytes(number: int) -> None:
    """W7.1-13: whatever is short to send is short to judge."""
    for member in ("authData", "attStmt", "fmt"):
        judged, taken = cost(made_of(**{member: number}))

        assert judged is Reason.UNREADABLE
        assert taken < 10**6


@pytest.mark.parametrize("member", ["x5c", "sig", "alg", "certInfo", "pubArea", "ver"])
@pytest.mark.parametrize("name", ["packed", "fido-u2f", "tpm", "apple"])
def test_a_number_within_a_statement_is_not_that_many_bytes(name: str, member: str) -> None:
    """W7.1-21: in each place of each format, alone and where certificates are listed."""
    whole = batch(ROOT).attest()

    for value in (MANY, [MANY], True, {1: 2}):
        judged, taken = cost(
            HONEST,
            rules=DIRECT,
            device=Device(aaguid=AAGUID),
            format=name,
            statement=lambda *told, value=value: whole(*told) | {member: value},
        )
        irrelevant = name == "packed" and member in ("certInfo", "pubArea", "ver")
        assert judged is Reason.ATTESTATION or irrelevant
        assert taken < 10**6


def test_a_chain_of_numbers_is_refused() -> None:
    whole = batch(ROOT).attest()

    def statement(*told: Any) -> dict[str, Any]:
        signed = whole(*told)
        return signed | {"x5c": [*signed["x5c"], MANY]}

    judged, taken = cost(
        HONEST, rules=DIRECT, device=Device(aaguid=AAGUID), format="packed", statement=statement
    )

    assert judged is Reason.ATTESTATION
    assert taken < 10**6


@pytest.mark.parametrize("raw", [b"\x81" * 16000 + b"\0", b"\x99\x3f\xf0" + bytes(16368), b"\x05"])
def test_what_is_no_map_is_refused(raw: bytes) -> None:
    """W7.1-13: nor does it nest without end."""
    judged, taken = cost(Lies(attestation_object=raw))

    assert judged is Reason.UNREADABLE
    assert taken < 30 * 10**6


@pytest.mark.parametrize("name", [[1], {}, 1, b"none", True])
def test_a_format_is_a_word(name: Any) -> None:
    """W7.1-21: with and without somebody who has to vouch."""
    assert registered(format=name) is Reason.UNREADABLE
    assert registered(rules=DIRECT, format=name) is Reason.UNREADABLE


@pytest.mark.parametrize(
    "name", ["", "NONE", "none ", "\0", "line\n\u202e<b>", "x" * 33, "unheard-of"]
)
def test_a_format_is_one_that_is_registered(name: str) -> None:
    """W7.1-21: of IANA's registry, so that events tell none of a stranger's words."""
    assert registered(format=name) is Reason.ATTESTATION


@pytest.mark.parametrize("name", sorted(FORMATS))
def test_every_registered_format_is_let_in_where_nobody_has_to_vouch(name: str) -> None:
    made = registered(format=name)

    assert isinstance(made, Registration)
    assert made.format == name


@pytest.mark.parametrize("algorithm", [[1], {1: 1}, True, b"x", "ES256", 7])
def test_an_algorithm_is_a_number(algorithm: Any) -> None:
    """W7.1-20: a list or a map is one that was not offered."""
    key = {1: 2, 3: algorithm, -1: 1, -2: b"x" * 32, -3: b"y" * 32}

    assert registered(Lies(public_key=key)) is Reason.ALGORITHM


def test_true_is_no_number_in_a_key() -> None:
    """W7.1-20: Python has it for 1."""
    key = dict(registered_key())

    assert registered(Lies(public_key={**key, -1: True})) is Reason.KEY
    del key[1]
    assert registered(Lies(public_key={**key, True: 2})) is Reason.KEY


def registered_key() -> dict[int, Any]:
    """Return a key that is taken."""
    device = Device()
    made = registered(device=device)
    assert isinstance(made, Registration)
    decoded = cbor.decode(made.public_key)
    assert isinstance(decoded, dict)
    return decoded


@pytest.mark.parametrize("challenge", ["\ud800", "é", "\0", "٣"])
def test_a_challenge_is_base64url(challenge: str) -> None:
    """W7.1-8: half a character has no encoding to be compared in."""
    told = {"challenge": challenge, "origin": ORIGIN}
    made = json.dumps({"type": "webauthn.create"} | told).encode()
    got = json.dumps({"type": "webauthn.get"} | told).encode()
    expected = Reason.UNREADABLE if not challenge.isascii() else Reason.CHALLENGE

    assert registered(Lies(client_data=made)) is expected
    assert asserted(Lies(client_data=got)) is expected


@pytest.mark.parametrize("word", ["\ud800", "\0", "usb\n", "", "x" * 33, "é"])
def test_transports_are_words(word: str) -> None:
    """W7.1-27: they are given back to the browser, which half a character would never reach."""
    assert registered(Lies(transports=[word])) is Reason.UNREADABLE


class Astray(dict[str, Any]):
    """A table that fails as nobody expects."""

    def get(self, key: str, default: Any = None) -> Any:
        raise RuntimeError(f"c4n4ry {key} {default}")


def test_an_exception_that_nobody_expects_is_a_refusal(caplog: pytest.LogCaptureFixture) -> None:
    """W7.1-3, W7.2-8: we are told its kind, and nothing that it says."""
    assert registered(rules=replace(RULES, names=Astray())) is Reason.UNREADABLE
    assert asserted(rules=replace(RULES, metadata=Metadata(Astray()))) is Reason.UNREADABLE

    assert caplog.text.count("could not be judged: RuntimeError") == 2
    assert "c4n4ry" not in caplog.text


async def test_whatever_is_sent_spends_the_challenge(raw: httpx.AsyncClient, db: Database) -> None:
    """W7.1-8, W7.2-11: an answer, and the challenge is gone."""
    path = "/v1/users/ada/enrolments/a1"
    for lies in (
        Lies(client_data=HALF),
        Lies(public_key={1: 2, 3: [1]}),
        Lies(attestation_object=cbor.encode({"fmt": [1], "attStmt": {}, "authData": MANY})),
    ):
        began = await raw.put(path, json={"session_id": "s1", "account_name": "ada"})
        options = began.json()["display"]["creation_options"]
        for sent in (lies, HONEST):
            proof = {"credential": Device().create(options, sent)}
            told = await raw.post(f"{path}/complete", json={"session_id": "s1", "proof": proof})
            if sent is lies:
                assert told.json()["accepted"] is False
            else:
                assert told.status_code == 404
    for text in (HALF_GET, b"[" * 4000, b"1"):
        asked = {"session_id": "s2", "purpose": "login"}
        began = await raw.post("/v1/challenges", json=asked)
        challenge = began.json()["display"]["request_options"]["publicKey"]["challenge"]
        for client in (text, client_data(challenge)):
            proof = {"credential": assertion_of(client)}
            told = await raw.post("/v1/verifications", json=asked | {"proof": proof})
            assert told.json()["accepted"] is False
    reasons = [told for told in await recorded(db) if told.startswith("failed")]
    assert reasons == ["failed: unreadable", "failed: no_challenge"] * 3


async def test_events_tell_nothing_as_it_was_sent(raw: httpx.AsyncClient, db: Database) -> None:
    path = "/v1/users/ada/enrolments/a1"
    began = await raw.put(path, json={"session_id": "s1", "account_name": "ada"})
    options = began.json()["display"]["creation_options"]
    proof = {"credential": Device().create(options, format="c4n4ry\u202e")}

    await raw.post(f"{path}/complete", json={"session_id": "s1", "proof": proof})

    assert "c4n4ry" not in " ".join([row.data for row in await db.all(EVENTS)])


def client_data(challenge: str) -> bytes:
    """Return honest client data of a login."""
    members = {"type": "webauthn.get", "challenge": challenge, "origin": ORIGIN}
    return json.dumps(members).encode()


def assertion_of(client: bytes, data: bytes = b"", **members: Any) -> dict[str, Any]:
    """Return the JSON of an assertion with these parts."""
    named = websafe_encode(b"i" * 32)
    response = {
        "clientDataJSON": websafe_encode(client),
        "authenticatorData": websafe_encode(data),
        "signature": websafe_encode(b"s"),
        "userHandle": websafe_encode(b"h" * 64),
    }
    told = {"id": named, "rawId": named, "type": "public-key", "response": response | members}
    return json.loads(json.dumps(told))  # type: ignore[no-any-return]


class Kept(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(record.getMessage())


@contextmanager
def kept_log() -> Iterator[list[str]]:
    """Yield a list of what the backstop logs meanwhile."""
    kept, log = Kept(), logging.getLogger(refusal.__name__)
    log.addHandler(kept)
    try:
        yield kept.told
    finally:
        log.removeHandler(kept)


SCALARS = (
    st.integers(-(2**64), 2**64 - 1)
    | st.booleans()
    | st.binary(max_size=40)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
)
CBOR = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(SCALARS, inner, max_size=4),
    max_leaves=8,
)
LABELS = st.sampled_from([1, 3, -1, -2, -3])
KEYS = st.dictionaries(LABELS, CBOR | st.sampled_from([-7, -8, -257, 1, 2, 3, 6]), max_size=6)
STATEMENTS = st.dictionaries(
    st.sampled_from(["alg", "sig", "x5c", "ver", "certInfo", "pubArea", "ecdaaKeyId"]),
    CBOR | st.sampled_from([-7, "2.0", [batch(ROOT).der], [ROOT.der, ROOT.der]]),
    max_size=7,
)
TEXTS = st.text(max_size=20) | st.sampled_from(["webauthn.create", "webauthn.get", ORIGIN])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS | st.just("\ud800"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
CLIENT_DATA = st.dictionaries(
    st.sampled_from(["type", "challenge", "origin", "crossOrigin", "topOrigin"]),
    JSON | st.just(websafe_encode(CHALLENGE)),
).map(lambda members: json.dumps(members).encode()) | st.binary(max_size=60)


@hypothesis_settings(max_examples=400)
@given(
    name=st.sampled_from(sorted(FORMATS)) | CBOR,
    statement=STATEMENTS | CBOR,
    data=CBOR | st.binary(max_size=120),
    key=KEYS | CBOR,
    what=st.sets(st.sampled_from(["object", "data", "key", "client"])),
    client=CLIENT_DATA,
    trailing=st.binary(max_size=10),
    extra=JSON,
)
def test_no_registration_leads_to_anything_but_a_judgement(
    *,
    name: Any,
    statement: Any,
    data: Any,
    key: Any,
    what: set[str],
    client: bytes,
    trailing: bytes,
    extra: Any,
) -> None:
    """W7.1-3: of whatever shape, and the backstop is not what catches it."""
    broken = cbor.encode({"fmt": name, "attStmt": statement, "authData": data})
    lies = Lies(
        attestation_object=broken if "object" in what else None,
        authenticator_data=data if "data" in what and isinstance(data, bytes) else None,
        public_key=key if "key" in what else None,
        client_data=client if "client" in what else None,
        trailing=trailing,
        transports=extra,
        extensions=extra,
    )
    for rules in (RULES, DIRECT):
        with kept_log() as log:
            judged = registered(
                lies,
                rules,
                Device(aaguid=AAGUID),
                format=name,
                statement=lambda *_: statement,
            )
        assert isinstance(judged, Registration | Reason)
        assert log == []


@hypothesis_settings(max_examples=400)
@given(
    client=CLIENT_DATA,
    data=st.binary(max_size=120),
    flags=st.integers(0, 255),
    extension=CBOR,
    members=st.dictionaries(
        st.sampled_from(["clientDataJSON", "authenticatorData", "signature", "userHandle"]), JSON
    ),
    outer=st.dictionaries(st.sampled_from(["id", "rawId", "type", "response"]), JSON),
    what=st.sets(st.sampled_from(["client", "data", "extension", "members", "outer"])),
)
def test_no_assertion_leads_to_anything_but_a_judgement(
    *,
    client: bytes,
    data: bytes,
    flags: int,
    extension: Any,
    members: dict[str, Any],
    outer: dict[str, Any],
    what: set[str],
) -> None:
    """W7.2-8: likewise."""
    lies = Lies(
        client_data=client if "client" in what else None,
        authenticator_data=data if "data" in what else None,
        set_flags=flags if "extension" in what else 0,
        trailing=cbor.encode(extension) if "extension" in what else b"",
    )
    broken = assertion_of(client, data, **(members if "members" in what else {}))
    with kept_log() as log:
        judged = [asserted(lies), asserted(credential=broken)]
        if "outer" in what:
            judged.append(asserted(credential=broken | outer))
    assert all(isinstance(each, Assertion | Reason) for each in judged)
    assert log == []


def test_flags_that_promise_more_than_there_is_are_refused() -> None:
    """W7.2-15: a credential within an assertion, and extensions that are no map."""
    assert asserted(Lies(set_flags=AT)) is Reason.UNREADABLE
    assert asserted(Lies(set_flags=ED, trailing=cbor.encode([1]))) is Reason.UNREADABLE
    assert isinstance(asserted(Lies(set_flags=ED, trailing=cbor.encode({}))), Assertion)
    assert registered(Lies(set_flags=ED, trailing=b"\x05")) is Reason.UNREADABLE
