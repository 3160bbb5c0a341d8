"""Which passwords are too weak."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.session.domain.passwords import (
    PasswordRules,
    is_common,
    is_similar,
    password_faults,
)
from services.session.gateway.common_passwords import common_passwords

RULES = PasswordRules(common=common_passwords())


def codes(password: str, email: str | None = "ada@example.org") -> list[str]:
    return [fault.code for fault in password_faults(password, RULES, email=email)]


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("correct-horse-9", []),
        ("e5Kp0w8sZq", []),
        ("x9!", ["password_too_short"]),
        ("123", ["password_too_short", "password_too_common", "password_entirely_numeric"]),
        ("8203916475", ["password_entirely_numeric"]),
        ("password", ["password_too_common"]),
        ("ada@example.org", ["password_too_similar"]),
    ],
)
def test_everything_that_is_wrong_is_told_in_order(password: str, expected: list[str]) -> None:
    assert codes(password) == expected


@pytest.mark.parametrize(
    "password",
    [
        "password",
        "Password1",
        "p@ssw0rd!",
        "PASSWORD2026",
        "qwerty123",
        "1q2w3e4r5t",
        "1qaz2wsx",
        "letmein99",
        "iloveyou",
        "trustno1",
        "abcdefgh",
        "87654321",
        "zxcvbnm1",
        "aaaaaaaa",
        "abababab",
        "Sunshine!",
        "welcome2024!",
        "football123",
        "qwertyuiop",
        "Administrator",
        "1jennifer1",
        "passwordpassword",
        "PasswordPassword1!",
    ],
)
def test_what_guessers_try_first_is_common(password: str) -> None:
    assert is_common(password, RULES.common)


@pytest.mark.parametrize(
    ("password", "why"),
    [
        ("harbour", "it is listed"),
        ("HARBOUR", "in capitals"),
        ("h4r80ur", "8 looks like nothing else here"),
        ("h@rb0ur", "look-alikes"),
        ("harbour010226", "a date"),
        ("2026harbour!!", "on both sides"),
        ("harbourharbour", "twice"),
        ("harbour8301649", "longer than a date"),
        ("harbours", "another word"),
        ("harbour-lights", "more than the word"),
        ("harbour\n", "a line feed is a sign like others"),
    ],
)
def test_what_is_made_of_a_listed_word_is_common(password: str, why: str) -> None:
    """Up to six digits and signs around it are no secret; more of them, or more words, are."""
    made_otherwise = {"h4r80ur", "harbour8301649", "harbours", "harbour-lights"}

    assert is_common(password, frozenset({"harbour"})) is (password not in made_otherwise), why


def test_without_a_list_rows_of_keys_are_common_all_the_same() -> None:
    assert [is_common(p) for p in ("qwertyuiop", "aaaaaaaa", "harbour")] == [True, True, False]


@pytest.mark.parametrize(
    "password",
    [
        "correct-horse-9",
        "sunflower-lamp-77",
        "tr4m.window.Oslo",
        "vK3n-quartz",
        "my cat eats at nine",
        "monkey-piano-dragon",
        "Zürich-im-Regen",
        "\N{SNOWMAN} frost \N{SNOWMAN}",
    ],
)
def test_what_nobody_would_guess_is_not(password: str) -> None:
    assert not is_common(password, RULES.common)


@pytest.mark.parametrize(
    ("password", "email", "similar"),
    [
        ("ada.lovelace", "ada.lovelace@example.org", True),
        ("lovelace1", "ada.lovelace@example.org", True),
        ("ADA.Lovelace9", "ada.lovelace@example.org", True),
        ("example.org", "ada@example.org", True),
        ("correct-horse-9", "ada@example.org", False),
        ("lovely-lace-curtains", "ada.lovelace@example.org", False),
    ],
)
def test_passwords_like_the_address_are_found(password: str, email: str, similar: bool) -> None:
    assert is_similar(password, email) is similar


@given(st.text(max_size=200))
def test_any_text_can_be_judged(password: str) -> None:
    assert all(fault.param == "password" for fault in password_faults(password, RULES, email=None))


@pytest.mark.parametrize("password", ["a" * 4096, "abcd" * 1024, "a@1$" * 1024, "é" * 4096])
def test_long_passwords_take_no_time(password: str) -> None:
    """D7: the longest that are let in are judged at once."""
    started = time.process_time()
    password_faults(password, RULES, email="a" * 64 + "@" + "example." * 20 + "org")

    assert time.process_time() - started < 0.5
