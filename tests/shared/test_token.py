"""Tokens are long, and their hashes mistake nothing for anything else."""

import hashlib
import hmac

from hypothesis import given
from hypothesis import strategies as st

from shared.token import hash_token, join_parts, keyed_hash, new_token


def test_tokens_have_256_random_bits() -> None:
    """N1: at least 128 bits from the system's generator, safe in a URL."""
    tokens = {new_token() for _ in range(1000)}

    assert len(tokens) == 1000
    assert all(
        len(token) == 43 and token.replace("-", "").replace("_", "").isalnum() for token in tokens
    )
    assert len(new_token(16)) == 22


def test_a_token_is_kept_as_its_sha_256() -> None:
    """N1: what lies in the database does not log in."""
    assert hash_token("abc") == hashlib.sha256(b"abc").digest()


def test_a_keyed_hash_is_hmac_over_the_joined_parts() -> None:
    expected = hmac.new(b"key", b"\0\0\0\x02ab\0\0\0\x01c", "sha256").digest()

    assert keyed_hash(b"key", "ab", b"c") == expected
    assert keyed_hash(b"key", "a", "bc") != expected
    assert keyed_hash(b"other", "ab", "c") != expected


@given(st.lists(st.binary()), st.lists(st.binary()))
def test_different_parts_join_differently(first: list[bytes], second: list[bytes]) -> None:
    assert (join_parts(*first) == join_parts(*second)) == (first == second)
