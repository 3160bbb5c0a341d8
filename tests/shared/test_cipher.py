"""What is sealed opens in its place, with its key, unaltered; and else not at all."""

import json
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.cipher import CannotOpen, Cipher, KeyRing

RING = KeyRing(primary="new", keys={"new": b"n" * 32, "old": b"o" * 32})
PLACE = ("totp", "authenticators", "sealed_secret", "a1", "ada")
CIPHER = Cipher(RING, "totp.secret")


@given(st.binary(max_size=200), st.lists(st.text(max_size=20), max_size=5))
def test_what_is_sealed_opens_in_its_place(plain: bytes, place: list[str]) -> None:
    sealed = CIPHER.seal(plain, bound_to=place)

    assert CIPHER.open(sealed, bound_to=place) == plain
    assert not CIPHER.needs_resealing(sealed)
    assert plain not in sealed or len(plain) < 4


@given(st.integers(0, 400), st.integers(1, 255))
def test_an_altered_value_does_not_open(position: int, change: int) -> None:
    """D1: GCM notices every changed bit, the header's too."""
    sealed = bytearray(CIPHER.seal(b"secret" * 50, bound_to=PLACE))
    sealed[position % len(sealed)] ^= change

    with pytest.raises(CannotOpen):
        CIPHER.open(bytes(sealed), bound_to=PLACE)


@given(st.binary(max_size=100))
def test_no_bytes_break_it(sealed: bytes) -> None:
    with pytest.raises(CannotOpen):
        CIPHER.open(sealed, bound_to=PLACE)


@pytest.mark.parametrize("part", range(len(PLACE)))
def test_a_moved_value_does_not_open(part: int) -> None:
    """D1: bound to service, table, column, record and user, each of them."""
    sealed = CIPHER.seal(b"secret", bound_to=PLACE)
    elsewhere = [*PLACE]
    elsewhere[part] += "x"

    with pytest.raises(CannotOpen):
        CIPHER.open(sealed, bound_to=elsewhere)


def test_places_are_not_confused() -> None:
    """D1: the parts of a place are kept apart."""
    sealed = CIPHER.seal(b"secret", bound_to=("a", "bc"))

    for place in (("ab", "c"), ("abc",), ("a", "b", "c"), ("bc", "a"), ("a", "bc", "")):
        with pytest.raises(CannotOpen):
            CIPHER.open(sealed, bound_to=place)


def test_purposes_have_keys_of_their_own() -> None:
    """D1: keys are derived per purpose."""
    sealed = CIPHER.seal(b"secret", bound_to=PLACE)

    with pytest.raises(CannotOpen):
        Cipher(RING, "mail").open(sealed, bound_to=PLACE)


def test_the_same_secret_is_never_sealed_the_same() -> None:
    assert len({CIPHER.seal(b"secret", bound_to=PLACE) for _ in range(1000)}) == 1000


def test_old_keys_open_and_only_the_primary_seals() -> None:
    """D2: a ring is turned without anybody noticing."""
    before = Cipher(KeyRing(primary="old", keys={"old": b"o" * 32}), "totp.secret")
    sealed = before.seal(b"secret", bound_to=PLACE)

    assert CIPHER.open(sealed, bound_to=PLACE) == b"secret"
    assert CIPHER.needs_resealing(sealed)
    with pytest.raises(CannotOpen):
        before.open(CIPHER.seal(b"secret", bound_to=PLACE), bound_to=PLACE)


def test_a_ring_is_read_from_json() -> None:
    text = json.dumps({"primary": "k", "keys": {"k": b64encode(b"k" * 32).decode()}})

    assert KeyRing.parse(text) == KeyRing(primary="k", keys={"k": b"k" * 32})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"primary": "k"}',
        '{"primary": "k", "keys": []}',
        '{"primary": "k", "keys": {"k": 1}}',
        '{"primary": "k", "keys": {"k": "c2VjcmV0"}}',
        '{"primary": "k", "keys": {"k": "not base64!"}}',
        '{"primary": [], "keys": {}}',
        '{"primary": "k", "keys": {"other": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}',
        '{"primary": "", "keys": {"": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}',
    ],
)
def test_a_ring_that_cannot_work_is_refused_without_repeating_it(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|primary") as caught:
        KeyRing.parse(text)

    assert "c2VjcmV0" not in str(caught.value)


def test_keys_do_not_show() -> None:
    """D4: a ring in a log or a traceback gives nothing away."""
    assert "nnnn" not in repr(RING)
