"""The rules of recovery codes, and what people type."""

import string
from datetime import UTC, datetime
from itertools import cycle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.recovery.domain.codes import (
    LEAST_BITS,
    LONGEST,
    CodeSet,
    Policy,
    Use,
    bits_of,
    canonical,
    changed_by,
    check_form,
    facts_of,
    has_confirmed,
    is_low,
    may_be_shown,
    new_codes,
)
from shared.code_form import Alphabet, CodeForm

NOW = datetime(2026, 5, 4, tzinfo=UTC)

forms = st.one_of(
    st.builds(CodeForm, st.just(Alphabet.DIGITS), st.integers(7, LONGEST)),
    st.builds(CodeForm, st.just(Alphabet.BASE32), st.integers(4, LONGEST)),
)
separators = st.text(alphabet=" -\t\u00a0\u2010\u2013\u2014", max_size=2)


@st.composite
def code_sets(draw: st.DrawFn) -> CodeSet:
    total = draw(st.integers(1, 50))
    return CodeSet(
        id="a1",
        user_id="ada",
        session_id="s1",
        form=draw(forms),
        total=total,
        unused=draw(st.integers(0, total)),
        created_at=NOW,
        last_used_at=None,
        viewed_at=draw(st.none() | st.just(NOW)),
        confirmed_at=draw(st.none() | st.just(NOW)),
        has_copies=draw(st.booleans()),
    )


policies = st.builds(
    Policy,
    form=forms,
    count=st.integers(1, 50),
    show_once=st.booleans(),
    warn_at=st.integers(0, 50),
    confirm=st.booleans(),
)


@given(forms, st.integers(1, 50))
def test_codes_are_of_their_form_and_all_different(form: CodeForm, count: int) -> None:
    """R2: 20 bits and more, whatever the form; and one row for each code."""
    codes = new_codes(form, count)

    assert len(set(codes)) == count
    assert all(form.normalise(code) == code for code in codes)
    assert bits_of(form) >= LEAST_BITS


def test_codes_come_from_the_systems_generator() -> None:
    """R2: all characters come up, about equally often, in every place."""
    codes = new_codes(CodeForm.parse("digits:8"), 5000)

    for place in range(8):
        counts = [sum(code[place] == digit for code in codes) for digit in string.digits]
        assert min(counts) > 350  # of 500 expected: seven standard deviations
        assert max(counts) < 650


def test_a_code_that_comes_up_twice_is_made_anew() -> None:
    """R1: two equal codes in a set would be one that works twice."""
    characters = cycle("0000000" * 2 + "0000001" * 2 + "0000002")

    codes = new_codes(CodeForm.parse("digits:7"), 3, lambda _: next(characters))

    assert codes == ("0000000", "0000001", "0000002")


@pytest.mark.parametrize("text", ["digits:7", "digits:32", "base32:4", "base32:16"])
def test_forms_that_hold(text: str) -> None:
    check_form(CodeForm.parse(text))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("digits:6", "20 bits"),
        ("digits:1", "20 bits"),
        ("base32:3", "20 bits"),
        ("digits:33", "32 characters"),
        ("base32:99", "32 characters"),
    ],
)
def test_forms_that_do_not(text: str, why: str) -> None:
    """R2: codes of fewer than 20 bits are not made."""
    with pytest.raises(ValueError, match=why):
        check_form(CodeForm.parse(text))


@given(forms, st.data())
def test_a_code_is_the_same_in_every_notation(form: CodeForm, data: st.DataObject) -> None:
    (code,) = new_codes(form, 1)
    typed = "".join(
        data.draw(separators)
        + (character.lower() if data.draw(st.booleans()) else character)
        + data.draw(separators)
        for character in code
    )

    assert canonical(typed) == code
    assert canonical(form.grouped(code)) == code
    assert canonical(code) == form.normalise(typed)


@given(st.text(max_size=60) | st.text("aZ09-\u2010 \u0661\u00df\u017f", max_size=40))
def test_what_is_looked_up_is_plain(text: str) -> None:
    typed = canonical(text)

    if typed is None:
        return
    assert set(typed) <= set(string.ascii_uppercase + string.digits)
    assert canonical(typed) == typed
    assert 0 < len(typed) <= LONGEST


@pytest.mark.parametrize(
    "text",
    [
        "",
        " - ",
        "1234567\u0661",  # an Arabic digit
        "\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18",  # full-width digits
        "ABCD\u017fEFG",  # a long s, whose capital is an S
        "ABCD\u0131EFG",  # a dotless i, whose capital is an I
        "AB\u00df",  # a sharp s, whose capital is SS
        "12345678.0",
        "+12345678",
        "1" * 33,
    ],
)
def test_what_can_be_no_code(text: str) -> None:
    assert canonical(text) is None


@given(policies, code_sets())
def test_the_facts_are_what_session_may_know(policy: Policy, kept: CodeSet) -> None:
    """R6: the number that is left is visible."""
    facts = facts_of(policy, kept)

    assert facts["code_form"] == str(kept.form)
    assert (facts["total"], facts["unused"]) == (kept.total, kept.unused)
    assert facts["confirmed"] is not (policy.confirm and kept.confirmed_at is None)
    if kept.unused == kept.total:
        assert facts["low"] is False
    else:
        assert facts["low"] is (kept.unused <= policy.warn_at)


@given(policies, st.integers(1, 50), st.data())
def test_what_a_use_changes_agrees_with_the_facts(
    policy: Policy, total: int, data: st.DataObject
) -> None:
    unused = data.draw(st.integers(0, total - 1))
    use = Use("a1", unused, total)
    after = CodeSet("a1", "ada", "s1", policy.form, total, unused, NOW, NOW, None, NOW, True)

    facts = facts_of(policy, after)

    assert facts | changed_by(policy, use) == facts
    assert has_confirmed(policy, use) is (policy.confirm and unused == total - 1)


@pytest.mark.parametrize(
    ("unused", "total", "low"), [(10, 10, False), (4, 10, False), (3, 10, True), (0, 10, True)]
)
def test_few_is_what_the_setting_says(unused: int, total: int, low: bool) -> None:
    policy = Policy(CodeForm.parse("digits:8"))

    assert is_low(policy, unused=unused, total=total) is low
    assert not is_low(policy, unused=2, total=2)  # a whole set


@given(policies, code_sets())
def test_what_is_seen_once_is_not_seen_twice(policy: Policy, kept: CodeSet) -> None:
    if may_be_shown(policy, kept):
        assert kept.has_copies
        assert kept.viewed_at is None or not policy.show_once
    elif kept.has_copies:
        assert policy.show_once
        assert kept.viewed_at is not None


def test_nothing_shows_a_session_of_itself() -> None:
    kept = CodeSet(
        "a1", "ada", "s3cr3t", CodeForm.parse("digits:8"), 10, 10, NOW, None, None, None, True
    )

    assert "s3cr3t" not in repr(kept)
