"""The edge on its own: fields, hosts, addresses, cookies, and the proof that a page is ours."""

from datetime import timedelta
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request
from starlette.responses import Response

from services.session.api import fields
from services.session.api.address import client_address
from services.session.api.browser import (
    Cookie,
    is_csrf_token,
    is_own_request,
    new_csrf_token,
    origin_of,
)
from services.session.api.hosts import default_hosts, is_allowed

TOKEN = "a" * 32
ORIGIN = "https://login.example.org"

SESSION_COOKIE = Cookie(name="sessionid", age=timedelta(days=14), secure=True, httponly=True)
CSRF_COOKIE = Cookie(name="csrftoken", age=timedelta(days=364), secure=True, httponly=False)


def request(method: str = "POST", peer: str | None = "192.0.2.1", **headers: str) -> Request:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    client = None if peer is None else (peer, 1)
    return Request({"type": "http", "method": method, "headers": sent, "client": client})


def is_ours(made: Request, *, secure: bool = True) -> bool:
    return is_own_request(
        made, cookie="csrftoken", header="x-csrftoken", origins={ORIGIN}, secure=secure
    )


# Fields


@pytest.mark.parametrize("value", [None, "", "   ", "\t\n"])
@pytest.mark.parametrize("field", [fields.EMAIL, fields.CODE, fields.KEY])
def test_a_member_without_a_value_is_required(field: fields.Text, value: object) -> None:
    _, faults = fields.read((field,), {field.name: value})

    assert [(fault.code, fault.param) for fault in faults] == [("required", field.name)]


def test_missing_members_are_all_named_in_order() -> None:
    _, faults = fields.read((fields.EMAIL, fields.PASSWORD), {})

    assert [fault.param for fault in faults] == ["email", "password"]


@pytest.mark.parametrize("value", [0, 12, 1.5, True, False, [], ["a"], {}, {"a": 1}])
@pytest.mark.parametrize("field", [fields.EMAIL, fields.PASSWORD, fields.CODE, fields.KEY])
def test_a_value_of_another_type_is_not_coerced(field: fields.Text, value: object) -> None:
    """D7: JSON types are taken as they are."""
    values, faults = fields.read((field,), {field.name: value})

    assert values == {}
    assert [(fault.code, fault.param) for fault in faults] == [("invalid", field.name)]


def test_texts_have_bounds() -> None:
    """D7: strings are bounded field by field."""
    longest = {"password": "x" * fields.MAX_PASSWORD, "code": "1" * fields.MAX_TEXT}
    _, none = fields.read((fields.PASSWORD, fields.CODE), longest)
    longer = {name: value + "x" for name, value in longest.items()}
    _, faults = fields.read((fields.PASSWORD, fields.CODE), longer)

    assert none == []
    assert [(fault.code, fault.param) for fault in faults] == [
        ("max_length", "password"),
        ("max_length", "code"),
    ]


def test_passwords_keep_their_spaces_and_codes_lose_them() -> None:
    values, _ = fields.read(
        (fields.PASSWORD, fields.CODE), {"password": " open sesame ", "code": " 123456\n"}
    )

    assert values == {"password": " open sesame ", "code": "123456"}


def test_null_characters_are_refused_by_name() -> None:
    """D7: NUL is refused, and the field is named."""
    _, faults = fields.read((fields.PASSWORD,), {"password": "a\x00b"})

    assert faults[0].code == "null_characters_not_allowed"


def test_addresses_become_canonical() -> None:
    values, faults = fields.read((fields.EMAIL,), {"email": " Ada@Example.ORG "})

    assert (values, faults) == ({"email": "ada@example.org"}, [])


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=5))
def test_whatever_a_member_holds_is_a_text_or_a_fault(value: object) -> None:
    """D7: nothing that JSON can say gets past the fields as anything but text."""
    form = (fields.EMAIL, fields.PASSWORD, fields.CODE, fields.KEY)
    values, faults = fields.read(form, {field.name: value for field in form})

    assert len(values) + len(faults) == len(form)
    assert all(type(text) is str and text and "\x00" not in text for text in values.values())


# Hosts


@pytest.mark.parametrize(
    ("host", "allowed", "expected"),
    [
        ("login.example.org", ("login.example.org",), True),
        ("LOGIN.example.org:8443", ("login.example.org",), True),
        ("login.example.org.", ("login.example.org",), True),
        ("evil.org", ("login.example.org",), False),
        ("login.example.org.evil.org", ("login.example.org",), False),
        ("evil-login.example.org", (".login.example.org",), False),
        ("a.login.example.org", (".login.example.org",), True),
        ("login.example.org", (".login.example.org",), True),
        ("[::1]:8000", ("[::1]",), True),
        ("[::1]evil.org", ("[::1]",), False),
        ("[::1]:8000.evil.org", ("[::1]",), False),
        ("localhost:28000", ("localhost",), True),
        ("localhost:28000.evil.org", ("localhost",), False),
        ("localhost:evil.org", ("localhost",), False),
        ("localhost:", ("localhost",), False),
        ("localhost:1:2", ("localhost",), False),
        ("localhost:\N{ARABIC-INDIC DIGIT EIGHT}", ("localhost",), False),
        ("localhost:\N{SUPERSCRIPT TWO}", ("localhost",), False),
        ("", ("*",), False),
        ("anything", ("*",), True),
        ("login.example.org@evil.org", ("login.example.org",), False),
        ("login.example.org", (), False),
    ],
)
def test_a_host_is_on_the_list_or_refused(
    host: str, allowed: tuple[str, ...], expected: bool
) -> None:
    """N11: hosts go by an allow-list."""
    assert is_allowed(host, allowed) is expected


def test_without_a_list_the_public_url_is_the_list() -> None:
    """N11: what is not configured is not guessed from the request either."""
    assert default_hosts("https://login.example.org:8443/x", development=False) == (
        "login.example.org",
    )
    assert "localhost" in default_hosts("http://login.example.org", development=True)


# Addresses


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (0, "198.51.100.7", "192.0.2.1"),
        (1, "198.51.100.7", "198.51.100.7"),
        (1, "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        (2, "203.0.113.9, 198.51.100.7", "203.0.113.9"),
        (3, "203.0.113.9, 198.51.100.7", "192.0.2.1"),
        (1, "", "192.0.2.1"),
        (1, "not an address", "192.0.2.1"),
        (1, "198.51.100.7, not an address", "192.0.2.1"),
        (2, "198.51.100.7,, 203.0.113.9", "192.0.2.1"),
        (1, "198.51.100.7, ", "192.0.2.1"),
        (1, "198.51.100.7, 3325256711", "192.0.2.1"),
        (1, "198.51.100.7, 127.1", "192.0.2.1"),
        (1, "198.51.100.7, 203.0.113.\N{SUPERSCRIPT TWO}", "192.0.2.1"),
        (1, "198.51.100.7, 203.0.113.9/24", "192.0.2.1"),
        (1, "198.51.100.7, unknown", "192.0.2.1"),
        (1, "198.51.100.7:4711", "198.51.100.7"),
        (1, "[2001:db8::7]:4711", "2001:db8::7"),
        (1, "::ffff:198.51.100.7", "198.51.100.7"),
        (1, "2001:0DB8::0:7", "2001:db8::7"),
        (1, "fe80::1%eth0", "fe80::1"),
    ],
)
def test_forwarded_addresses_count_only_from_trusted_proxies(
    proxies: int, forwarded: str, expected: str
) -> None:
    """L7: that many from the right; with fewer, or what is no address, the peer itself counts."""
    made = request(x_forwarded_for=forwarded)

    assert client_address(made, proxies=proxies, header=None) == expected


def test_several_headers_of_proxies_are_one_list() -> None:
    """L7: what a client sends in a header of its own stays left of what the proxy appends."""
    made = request(x_forwarded_for="203.0.113.9")
    made.scope["headers"].append((b"x-forwarded-for", b"198.51.100.7"))

    assert client_address(made, proxies=1, header=None) == "198.51.100.7"
    assert client_address(made, proxies=2, header=None) == "203.0.113.9"
    assert client_address(made, proxies=3, header=None) == "192.0.2.1"


def test_a_proxy_may_name_the_client_in_a_header_of_its_own() -> None:
    """L7: X-Forwarded-For then counts for nothing, with as many proxies as there may be."""
    made = request(x_real_ip="198.51.100.7", x_forwarded_for="203.0.113.9")

    assert client_address(made, proxies=0, header="x-real-ip") == "198.51.100.7"
    assert client_address(made, proxies=1, header="x-real-ip") == "198.51.100.7"
    assert client_address(request(), proxies=0, header="x-real-ip") == "192.0.2.1"
    forged = request(x_forwarded_for="203.0.113.9")
    assert client_address(forged, proxies=1, header="x-real-ip") == "192.0.2.1"


@pytest.mark.parametrize(
    "values",
    [("203.0.113.9", "198.51.100.7"), ("198.51.100.7",) * 2, ("203.0.113.9, 198.51.100.7",), ()],
)
def test_a_header_that_does_not_name_one_client_names_none(values: tuple[str, ...]) -> None:
    """L7: of several, all but the proxy's own were written by the client."""
    made = request()
    made.scope["headers"] += [(b"x-real-ip", value.encode()) for value in values]

    assert client_address(made, proxies=0, header="x-real-ip") == "192.0.2.1"


@given(st.text(st.characters(codec="latin-1")))
def test_a_forged_address_never_breaks_anything(forwarded: str) -> None:
    """L7: whatever it holds, an address comes out."""
    made = request(peer=None)
    made.scope["headers"].append((b"x-forwarded-for", forwarded.encode("latin-1")))

    address = client_address(made, proxies=1, header=None)

    assert str(ip_address(address)) == address


# Browsers


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_reading_needs_no_csrf_token(method: str) -> None:
    assert is_ours(request(method))


def test_a_page_of_ours_may_write() -> None:
    made = request(cookie=f"csrftoken={TOKEN}", x_csrftoken=TOKEN, origin=ORIGIN)

    assert is_ours(made)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x_csrftoken": TOKEN},
        {"cookie": f"csrftoken={TOKEN}"},
        {"cookie": f"csrftoken={TOKEN}", "x_csrftoken": "b" * 32},
        {"cookie": f"csrftoken={TOKEN}", "x_csrftoken": TOKEN[:-1]},
        {"cookie": "csrftoken=", "x_csrftoken": ""},
        {"cookie": "csrftoken=short", "x_csrftoken": "short"},
        {"cookie": f"csrftoken={'-' * 32}", "x_csrftoken": "-" * 32},
    ],
)
def test_a_write_without_the_token_of_the_cookie_is_foreign(headers: dict[str, str]) -> None:
    """N9: writes need the CSRF token."""
    assert not is_ours(request(origin=ORIGIN, **headers))


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "http://login.example.org",
        "https://login.example.org:8443",
        "https://sub.login.example.org",
        "https://evil.org",
        "https://login.example.org.evil.org",
    ],
)
def test_origins_are_an_exact_list(origin: str) -> None:
    """N9: no subdomain, port or scheme passes by accident."""
    made = request(cookie=f"csrftoken={TOKEN}", x_csrftoken=TOKEN, origin=origin)

    assert not is_ours(made)
    assert not is_ours(made, secure=False)


@pytest.mark.parametrize(
    ("referer", "secure", "expected"),
    [
        (f"{ORIGIN}/account?x=1", True, True),
        ("https://login.example.org:443/", True, True),
        ("https://evil.org/login.example.org", True, False),
        ("http://login.example.org/", True, False),
        ("https://[broken", True, False),
        (None, True, False),
        (None, False, True),
        ("https://evil.org/", False, False),
    ],
)
def test_without_an_origin_the_referer_has_to_fit(
    referer: str | None, secure: bool, expected: bool
) -> None:
    """N9: over HTTPS a write has to say where it comes from."""
    headers = {"cookie": f"csrftoken={TOKEN}", "x_csrftoken": TOKEN}
    made = request(**headers, **({} if referer is None else {"referer": referer}))

    assert is_ours(made, secure=secure) is expected


def test_csrf_tokens_are_fresh_and_of_one_form() -> None:
    first, second = new_csrf_token(), new_csrf_token()

    assert first != second
    assert is_csrf_token(first)
    assert is_csrf_token(second)


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("http://localhost:8000", "http://localhost:8000"),
        ("https://Login.Example.org:443/path", "https://login.example.org"),
        ("http://[::1]:80", "http://[::1]"),
        ("ftp://login.example.org", None),
        ("login.example.org", None),
        ("https://login.example.org:x", None),
    ],
)
def test_an_origin_is_what_browsers_make_of_a_url(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin


def test_the_session_cookie_is_out_of_reach_of_scripts_and_other_sites() -> None:
    """N8: Secure, HttpOnly, SameSite."""
    response = Response()
    SESSION_COOKIE.set(response, "token")

    attributes = {part.strip().lower() for part in response.headers["set-cookie"].split(";")}

    assert {"secure", "httponly", "samesite=lax", "path=/"} <= attributes
    assert not any(attribute.startswith("domain") for attribute in attributes)
