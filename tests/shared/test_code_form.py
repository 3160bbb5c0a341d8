"""A code is known by its form, however people write it, and by nothing else."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.code_form import SEPARATORS, Alphabet, CodeForm

forms = st.builds(CodeForm, st.sampled_from(Alphabet), st.integers(1, 99))
SIX = CodeForm(Alphabet.DIGITS, 6)
SIXTEEN = CodeForm(Alphabet.BASE32, 16)


@st.composite
def codes(draw: st.DrawFn) -> tuple[CodeForm, str]:
    """A form, and a normalised code of it."""
    form = draw(forms)
    return form, draw(st.text(form.alphabet.characters, min_size=form.length, max_size=form.length))


@given(codes(), st.data())
def test_every_way_to_write_a_code_is_one_code(
    some: tuple[CodeForm, str], data: st.DataObject
) -> None:
    """T3: case, spaces and dashes make no difference."""
    form, code = some
    gap = st.text(" \t\u00a0-\u2010\u2011\u2012\u2013\u2014\u2015", max_size=3)
    written = "".join(
        data.draw(gap) + data.draw(st.sampled_from([character, character.lower()]))
        for character in code
    )

    assert form.normalise(written + data.draw(gap)) == code


@given(codes())
def test_a_grouped_code_reads_back(some: tuple[CodeForm, str]) -> None:
    form, code = some

    assert form.normalise(form.grouped(code)) == code
    assert re.fullmatch(r"\w{1,4}(-\w{4})*(-\w{1,3})?|\d+", form.grouped(code), re.ASCII)


@given(forms, st.text())
def test_what_is_normalised_is_a_code_and_stays_as_it_is(form: CodeForm, text: str) -> None:
    """T3: whatever is typed is a code of the form, in its own characters, or none."""
    code = form.normalise(text)

    if code is not None:
        assert len(code) == form.length
        assert set(code) <= set(form.alphabet.characters)
        assert form.normalise(code) == code


@given(forms, codes())
def test_a_code_of_another_form_is_none(form: CodeForm, some: tuple[CodeForm, str]) -> None:
    other, code = some

    fits = form.normalise(code) == code

    assert fits == (len(code) == form.length and set(code) <= set(form.alphabet.characters))
    assert fits or form != other


@given(st.text(st.characters(categories=["Nd", "No", "Nl"]), min_size=6, max_size=6))
def test_only_ascii_digits_are_digits(text: str) -> None:
    """T3: digits of other scripts are none."""
    assert (SIX.normalise(text) == text) == text.isascii()


@pytest.mark.parametrize(
    "text",
    [
        "\u017f" * 16,  # a long s, which is S in capitals
        "\u00df" * 8,  # a sharp s, which is SS
        "\u0131" * 16,  # a dotless i, which is I
        "\ufb01" * 8,  # a ligature, which is FI
        "ABCDEFGHIJKLMNO0",  # 0, 1, 8 and 9 are not in base32
        "ABCDEFGHIJKLMNO1",
        "ABCDEFGHIJKLMNOP=",
        "ABCDEFGHIJKLMNO",
        "",
        "----------------",
    ],
)
def test_what_only_resembles_a_code_is_none(text: str) -> None:
    assert SIXTEEN.normalise(text) is None


@given(forms)
def test_a_form_is_read_as_it_is_written(form: CodeForm) -> None:
    assert CodeForm.parse(str(form)) == form


@pytest.mark.parametrize("written", ["digits:6", "digits:8", "base32:16", "base32:99", "digits:1"])
def test_a_form_is_written_as_it_is_read(written: str) -> None:
    assert str(CodeForm.parse(written)) == written


@pytest.mark.parametrize(
    "text",
    [
        "",
        "6",
        "digits",
        "digits:",
        "digits:0",
        "digits:06",
        "digits:-6",
        "digits:100",
        "digits:6.0",
        "digits:\uff16",
        "digits: 6",
        "digits:6\n",
        "Digits:6",
        "hex:16",
        "base32:16,digits:6",
    ],
)
def test_what_is_no_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a form"):
        CodeForm.parse(text)


@given(st.text())
def test_no_text_breaks_the_reading_of_forms(text: str) -> None:
    try:
        form = CodeForm.parse(text)
    except ValueError:
        return
    assert str(form) == text


def test_a_base32_code_is_shown_in_fours_and_digits_in_a_row() -> None:
    assert SIXTEEN.grouped("ABCDEFGHIJKLMNOP") == "ABCD-EFGH-IJKL-MNOP"
    assert CodeForm(Alphabet.BASE32, 10).grouped("ABCDEFGHIJ") == "ABCD-EFGH-IJ"
    assert CodeForm(Alphabet.DIGITS, 8).grouped("12345678") == "12345678"


def test_letters_that_are_taken_for_digits_are_in_no_code() -> None:
    assert not set("0189") & set(Alphabet.BASE32.characters)
    assert len(set(Alphabet.BASE32.characters)) == 32  # five bits each
    assert not SEPARATORS.search(Alphabet.BASE32.characters)
