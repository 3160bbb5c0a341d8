"""How the cookie of trust is set, and what cannot be set of it."""

from datetime import timedelta

import pytest
from pydantic import ValidationError
from starlette.responses import Response

from services.session.api.browser import Cookie
from services.session.main import edge_settings
from tests.session.test_api_settings import settings


def cookie(**values: object) -> Cookie:
    """Return the cookie of trust under these settings."""
    made = edge_settings(settings(mfa_trust_enabled=True, **values)).trust_cookie
    assert made is not None
    return made


def header(**values: object) -> str:
    """Return what a browser is told."""
    response = Response()
    cookie(**values).set(response, "a~b")
    return str(response.headers["set-cookie"])


def test_where_trust_is_not_enabled_there_is_no_cookie() -> None:
    assert edge_settings(settings()).trust_cookie is None


def test_by_default_the_cookie_is_out_of_reach_of_scripts_and_of_other_sites() -> None:
    """K1: with allauth's name and age."""
    assert header(public_url="https://login.example.org") == (
        "mfa_trusted=a~b; HttpOnly; Max-Age=1209600; Path=/; SameSite=lax; Secure"
    )
    assert "Secure" not in header(public_url="http://localhost:8000")


def test_what_is_not_said_of_it_is_as_with_the_session_cookie() -> None:
    session = cookie(
        session_cookie_domain="example.org",
        session_cookie_path="/a",
        session_cookie_secure=True,
        session_cookie_httponly=False,
        session_cookie_samesite="strict",
        session_cookie_age="1d",
        session_cookie_name="s",
    )

    assert session == Cookie(
        name="mfa_trusted",
        age=timedelta(days=14),
        domain="example.org",
        path="/a",
        secure=True,
        httponly=False,
        samesite="strict",
    )


def test_everything_can_be_said_of_it() -> None:
    own = cookie(
        session_cookie_domain="example.org",
        session_cookie_path="/a",
        session_cookie_httponly=False,
        mfa_trust_cookie_name="t",
        mfa_trust_cookie_age="30d",
        mfa_trust_cookie_domain="login.example.org",
        mfa_trust_cookie_path="/b",
        mfa_trust_cookie_secure=True,
        mfa_trust_cookie_httponly=True,
        mfa_trust_cookie_samesite="none",
    )

    assert own == Cookie(
        name="t",
        age=timedelta(days=30),
        domain="login.example.org",
        path="/b",
        secure=True,
        httponly=True,
        samesite="none",
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("mfa_trust_cookie_age", "31d"),
        ("mfa_trust_cookie_age", "0"),
        ("mfa_trust_cookie_name", "mfa trusted"),
        ("mfa_trust_cookie_samesite", "sometimes"),
        ("mfa_trust_cookie_samesite", "none"),
        ("mfa_trust_cookie_name", "__Secure-trusted"),
        ("recovery_url", "recovery:8002"),
    ],
)
def test_what_cannot_work_is_refused(name: str, value: str) -> None:
    """K2: no trust for longer than thirty days, and no cookie that browsers refuse."""
    with pytest.raises(ValidationError) as raised:
        settings(**{name: value})

    assert [error["loc"] for error in raised.value.errors()] == [(name,)]


def test_the_promise_of_a_name_may_be_kept_by_the_session_cookie() -> None:
    """RFC 6265bis 4.1.3: `__Host-` is for secure cookies of the path / and of no domain."""
    secure = {"session_cookie_secure": True}
    assert cookie(**secure, mfa_trust_cookie_name="__Host-trusted").name == "__Host-trusted"
    for change in ({"session_cookie_path": "/a"}, {"mfa_trust_cookie_domain": "example.org"}):
        with pytest.raises(ValidationError, match="__Host-trusted"):
            settings(**secure, **change, mfa_trust_cookie_name="__Host-trusted")
