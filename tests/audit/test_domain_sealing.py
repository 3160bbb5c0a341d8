"""An event is split into what is kept in the clear and what is sealed, and joined again exactly."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.audit.domain.sealing import (
    facts_of,
    join,
    sealed_form,
    sealed_part,
    split,
    without_personal,
)
from tests import trail

CONTEXT = {
    "request_id": "r1",
    "session": "ab" * 32,
    "address": "192.0.2.1",
    "user_agent": "Navigator 4",
    "client": "app",
}
VALUES = st.one_of(st.integers(-9, 9), st.text(max_size=3), st.lists(st.integers(0, 9), max_size=2))
NAMES = st.sampled_from(
    ["address", "client", "email", "request_id", "session", "number", "user_agent", "x"]
)
MEMBERS = st.dictionaries(NAMES, VALUES, max_size=5)


def test_what_is_personal_is_not_in_the_clear() -> None:
    """Section 3, audit: address, user agent and e-mail are sealed."""
    text = trail.signed(context=CONTEXT, data={"number": 1, "email": "ada@example.org"}).decode()

    event, personal = split(text)

    assert event["data"] == {
        "number": 1,
        "context": {"request_id": "r1", "session": "ab" * 32},
    }
    assert personal is not None
    for canary in ("192.0.2.1", "Navigator 4", "ada@example.org"):
        assert canary in personal
        assert canary not in json.dumps(event)


def test_an_event_with_nothing_personal_is_kept_as_it_is() -> None:
    text = trail.signed(context={"request_id": "r1"}).decode()

    event, personal = split(text)

    assert personal is None
    assert sealed_form(event, None) == text
    assert sealed_part(text) is None


@given(
    context=st.none() | MEMBERS | VALUES,
    data=MEMBERS,
    extra=st.dictionaries(st.sampled_from(["sealed", "a"]), VALUES),
)
def test_what_was_split_and_is_joined_is_what_was_signed(
    context: Any, data: dict[str, Any], extra: dict[str, Any]
) -> None:
    """Else the signature of the source would be worth nothing any more."""
    whole = {**data, **({} if context is None else {"context": context})}
    text = json.dumps(
        {"id": "e1", "type": "mfa.demo.happened", "data": whole, **extra},
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )

    event, personal = split(text)

    if personal is None:
        assert sealed_form(event, None) == text
    else:
        assert join(sealed_form(event, "c2VhbGVk"), personal) == text


def test_without_its_seal_an_event_says_what_happened_and_not_from_where() -> None:
    event, personal = split(trail.signed(context=CONTEXT).decode())
    assert personal is not None

    facts, context = facts_of(without_personal(sealed_form(event, "x")))

    assert facts == {"number": 1}
    assert context == {"request_id": "r1", "session": "ab" * 32}


@pytest.mark.parametrize("data", [None, "text", ["a"], {"context": "text"}])
def test_an_event_of_another_shape_is_split_too(data: object) -> None:
    text = json.dumps({"data": data, "id": "e1"}, separators=(",", ":"))

    event, personal = split(text)

    assert (sealed_form(event, None), personal) == (text, None)
    assert facts_of(text)[1] == {}
