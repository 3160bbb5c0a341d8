"""Which usernames there may be, and which are one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.session.domain.faults import Fault
from services.session.domain.identifiers import LoginMethod, by_address, by_username
from services.session.domain.signup_fields import SignupFields, parse_signup_fields
from services.session.domain.usernames import Alphabet, UsernameRules, key_of

RULES = UsernameRules(min_length=3, blacklist=frozenset({"admin", "stra\N{LATIN SMALL LETTER O}"}))


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("Ada", "Ada"),
        ("  ada.l+1@home-_ ", "ada.l+1@home-_"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER A}da", "Ada"),
        ("\N{GREEK SMALL LETTER ALPHA}33", "\N{GREEK SMALL LETTER ALPHA}33"),
        ("u\N{COMBINING DIAERESIS}ber", "\N{LATIN SMALL LETTER U WITH DIAERESIS}ber"),
        ("a" * 150, "a" * 150),
    ],
)
def test_a_username_is_kept_in_its_normal_form(text: str, kept: str) -> None:
    assert RULES.parse(text) == kept


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "min_length"),
        (" ab ", "min_length"),
        ("a" * 151, "max_length"),
        ("\N{ARABIC LIGATURE SALLALLAHOU ALAYHE WASALLAM}" * 9, "max_length"),
        ("a b c", "invalid"),
        ("ada!", "invalid"),
        ("ad\na", "invalid"),
        ("ad\N{ZERO WIDTH SPACE}a", "invalid"),
        ("\N{RIGHT-TO-LEFT OVERRIDE}ada", "invalid"),
        ("ada@example.org", "invalid"),
        ("aDMIN", "username_blacklisted"),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER A}DMIN", "username_blacklisted"),
    ],
)
def test_what_is_no_username_is_told_as_by_allauth(text: str, code: str) -> None:
    fault = RULES.parse(text)

    assert isinstance(fault, Fault)
    assert (fault.code, fault.param) == (code, "username")


def test_usernames_can_be_confined_to_ascii() -> None:
    ascii_only = UsernameRules(alphabet=Alphabet.ASCII)

    assert ascii_only.parse("ada") == "ada"
    refused = ascii_only.parse("\N{LATIN SMALL LETTER A WITH DIAERESIS}da")
    assert isinstance(refused, Fault)
    assert "a-z" in refused.message


def test_usernames_can_be_kept_in_lower_case() -> None:
    assert UsernameRules(preserves_casing=False).parse("ADA") == "ada"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ada", "aDA"),
        ("Ada", " \N{FULLWIDTH LATIN CAPITAL LETTER A}da"),
        ("STRASSE", "stra\N{LATIN SMALL LETTER SHARP S}e"),
        ("u\N{COMBINING DIAERESIS}", "\N{LATIN CAPITAL LETTER U WITH DIAERESIS}"),
        ("\N{KELVIN SIGN}", "k"),
        ("\N{LATIN SMALL LIGATURE FI}n", "FIN"),
        ("\N{GREEK SMALL LETTER FINAL SIGMA}", "\N{GREEK CAPITAL LETTER SIGMA}"),
    ],
)
def test_usernames_that_differ_by_case_or_form_are_one(one: str, other: str) -> None:
    """L6: by NFKC and case folding, which is stricter than allauth's comparison in SQL."""
    assert key_of(one) == key_of(other)


@given(st.text())
def test_the_key_of_a_key_is_the_key(text: str) -> None:
    key = key_of(text)

    assert key_of(key) == key.strip()


@given(st.text(max_size=200))
def test_any_text_is_a_username_or_a_fault(text: str) -> None:
    kept = UsernameRules().parse(text)

    if isinstance(kept, str):
        assert UsernameRules().parse(kept) == kept
        assert key_of(kept) == key_of(text)


@pytest.mark.parametrize(
    ("email", "name"),
    [
        ("ada@example.org", "ada"),
        ("ada.lovelace+x@example.org", "ada.lovelace+x"),
        ("!#$%@example.org", "user"),
        ("a'da@example.org", "ada"),
        ("admin@example.org", "user"),
        (None, "user"),
    ],
)
def test_a_username_is_made_of_an_address(email: str | None, name: str) -> None:
    assert RULES.made_up(email) == name


def test_a_name_is_counted_by_its_canonical_form() -> None:
    """L6: however it is written, and never as somebody's address."""
    assert by_username(" ADA ").canonical == by_username("ada").canonical
    assert by_username("ada@example.org").canonical != by_address("ada@example.org").canonical
    assert by_username("Ada@Example.org", or_address=True).address == "ada@example.org"
    assert by_username("Ada@Example.org", or_address=True).method is LoginMethod.USERNAME


@pytest.mark.parametrize(
    ("listed", "names", "required"),
    [
        ("email* password1*", "email", "email"),
        ("username* email password1* password2*", "username email", "username"),
        ("password1* username*", "username", "username"),
        ("email* username password1*", "email username", "email"),
    ],
)
def test_sign_up_fields_are_read_as_allauth_writes_them(
    listed: str, names: str, required: str
) -> None:
    fields = parse_signup_fields(listed.split())

    assert fields == SignupFields(names=tuple(names.split()), required=frozenset(required.split()))


@pytest.mark.parametrize(
    "listed",
    [
        "email*",
        "email* password1",
        "email* password*",
        "email* email2* password1*",
        "email* phone password1*",
        "email* email password1*",
        "email* nickname password1*",
        "password1*",
        "",
    ],
)
def test_sign_up_fields_that_make_no_sense_are_refused(listed: str) -> None:
    with pytest.raises(ValueError, match=r"has |needs "):
        parse_signup_fields(listed.split())
