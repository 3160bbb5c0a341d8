"""What a person can begin a login with, and what is none of it."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from services.session.domain.register import Entry, Register
from services.session.domain.sessions import Account
from services.session.domain.ways_in import has_way_in

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
PASSKEY = {"is_passwordless": True, "user_verified": True, "serves_alone": True}


def entry(id: str, type: str = "webauthn", facts: Mapping[str, Any] = PASSKEY) -> Entry:
    return Entry(id=id, type=type, created_at=NOW, facts=facts)


def account(*entries: Entry, password: str | None = None) -> Account:
    return Account(
        id="u1",
        email="ada@example.org",
        email_verified=True,
        password_hash=password,
        factor_epoch=0,
        session_epoch=0,
        disabled=False,
        register=Register(entries=entries),
        mfa_rests_until=NOW,
    )


def test_a_password_is_one() -> None:
    assert has_way_in(account(password="$argon2id$"))
    assert has_way_in(account(entry("k1"), password="$argon2id$"), without=["k1"])


def test_without_a_password_a_passkey_has_to_stay() -> None:
    one, two = entry("k1"), entry("k2")

    assert has_way_in(account(one))
    assert not has_way_in(account(one), without=["k1"])
    assert has_way_in(account(one, two), without=["k1"])
    assert not has_way_in(account(one, two), without=["k1", "k2"])
    assert not has_way_in(account())


@pytest.mark.parametrize(
    ("other", "is_one"),
    [
        (entry("k2", facts={**PASSKEY, "is_passwordless": None}), True),
        (entry("k2", facts={}), False),
        (entry("k2", facts={**PASSKEY, "is_passwordless": False}), False),
        (entry("k2", facts={**PASSKEY, "serves_alone": False}), False),
        (entry("k2", facts={**PASSKEY, "serves_alone": None}), False),
        (entry("k2", facts={**PASSKEY, "is_passwordless": None, "serves_alone": False}), False),
        (entry("t1", "totp"), False),
        (entry("c1", "recovery_codes"), False),
        (entry("y1", "yubikey"), False),
    ],
    ids=[
        "untold",
        "nothing told",
        "not found",
        "not asked for",
        "not known",
        "neither",
        "totp",
        "codes",
        "of others",
    ],
)
def test_what_leads_in_beside_a_passkey(other: Entry, is_one: bool) -> None:
    """What browsers leave untold counts where a passkey was asked for; second factors do not."""
    assert has_way_in(account(entry("k1"), other), without=["k1"]) is is_one
