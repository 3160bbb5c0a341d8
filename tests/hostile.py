"""Requests that nobody means well with, for every factor to stand."""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from shared.factor import Purpose

Json = st.SearchStrategy[Any]

BEGUN = b'{"session_id": "s1", "purpose": "authenticate", '
BODIES: list[tuple[bytes, str, str | None]] = [
    (b"", "invalid_json", None),
    (b"[]", "invalid", None),
    (b"null", "invalid", None),
    (b'"x"', "invalid", None),
    (b"{}", "required", "session_id"),
    (b"\xff", "invalid_utf8", None),
    (b"\xef\xbb\xbf{}", "invalid_json", None),
    (b'{"a": NaN}', "invalid_json", None),
    (b'{"a": -Infinity}', "invalid_json", None),
    (b'{"a": 1e999}', "number_out_of_range", "a"),
    (b'{"a": [9223372036854775808]}', "number_out_of_range", "a.0"),
    (b'{"a": ' + b"9" * 5000 + b"}", "number_out_of_range", "a"),
    (b'{"a": "\\u0000"}', "nul", "a"),
    (b'{"a": {"b": ["\\ud800"]}}', "lone_surrogate", "a.b.0"),
    (b'{"\\udc00": 1}', "lone_surrogate", None),
    (b'{"a": 1, "a": 2}', "duplicate_member", "a"),
    (b'{"a":' * 21 + b"1" + b"}" * 21, "too_deep", None),
    (b"[" * 60_000, "too_deep", None),
    (BEGUN + b'"authenticators": "a1", "proof": {}}', "invalid", "authenticators"),
    (BEGUN + b'"authenticators": [], "proof": 1}', "invalid", "proof"),
    (BEGUN + b'"authenticators": [], "proof": {}, "x": 1}', "unknown_member", "x"),
    (BEGUN + b'"purpose": "login", "proof": {}}', "duplicate_member", "purpose"),
    (b'{"session_id": "s1", "authenticators": [], "proof": {}}', "required", "purpose"),
    (b'{"session_id": "s1", "purpose": "x", "proof": {}}', "invalid", "purpose"),
    (b'{"session_id": "s 1", "purpose": "login", "proof": {}}', "invalid", "session_id"),
    (b'{"session_id": "' + b"s" * 65_536 + b'"}', "body_too_large", None),
]
"""Bodies of a verification, with the code and the field that are told of each."""

IDS = ["%00", "a%20b", "%F0%9F%98%80", "%ED%A0%80", "%ff", "a" * 65, "a%0a", "..%2f..", "a.b"]
"""What stands in a path in place of an id, and is none."""

json_values: Json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
segments = st.one_of(
    st.just("ada"),
    st.binary(min_size=1, max_size=70).map(lambda raw: "".join(f"%{byte:02x}" for byte in raw)),
)


async def endless() -> AsyncIterator[bytes]:
    """Yield a body that is too large, and does not say so beforehand."""
    for _ in range(100):
        yield b" " * 1000


def near_misses(proof: Mapping[str, Json], **members: Json) -> Json:
    """Return bodies that are nearly what the protocol asks for, and perhaps are.

    `proof` are the members of a proof, and `members` those of the body that this factor knows.
    """
    return st.fixed_dictionaries(
        {},
        optional={
            "session_id": st.just("s1") | json_values,
            "purpose": st.sampled_from(Purpose) | json_values,
            "account_name": st.just("ada") | json_values,
            "authenticators": st.just(["a1"]) | st.lists(json_values, max_size=3) | json_values,
            "proof": st.fixed_dictionaries({}, optional={**proof}) | json_values,
            "name": st.text() | json_values,
            "options": json_values,
            **members,
        },
    )


async def break_nothing(raw: httpx.AsyncClient, route: APIRoute, nearly: Json) -> None:
    """Fail if some path and body make a server error of `route`."""
    sent: list[tuple[str, bytes]] = []
    bodies = st.one_of(
        st.binary(max_size=200),
        json_values.map(lambda value: json.dumps(value).encode()),
        nearly.map(lambda value: json.dumps(value).encode()),
    )

    @given(user=segments, other=segments, body=bodies)
    @hypothesis_settings(
        max_examples=150,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
        database=None,
    )
    def collect(user: str, other: str, body: bytes) -> None:
        path = route.path.format(user_id=user, enrolment_id=other, authenticator_id=other)
        sent.append((path, body))

    collect()
    for path, body in sent:
        for method in route.methods or ():
            answer = await raw.request(method, path, content=body)
            assert answer.status_code < 500, (method, path, body)
