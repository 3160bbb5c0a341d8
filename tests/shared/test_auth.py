"""A caller's token is good for its audience, for a minute; and checking it again costs nothing."""

import json
from base64 import b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.requests import Request

from shared.auth import (
    MAX_REMEMBERED,
    Caller,
    Credentials,
    PrivateKey,
    PublicKey,
    PublicKeys,
    require_caller,
)
from shared.errors import Forbidden, Unauthenticated

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
KEY = PrivateKey(id="session-1", issuer="session", key=Ed25519PrivateKey.generate())
KEYS = {"session-1": PublicKey("session", KEY.key.public_key())}


class Hands:
    """A clock that stands still until it is turned."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now

    def turn(self, seconds: float) -> None:
        """Let time pass."""
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> Hands:
    return Hands()


@pytest.fixture
def verifications(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tokens whose signature has been checked so far."""
    checked: list[str] = []
    decode: Callable[..., object] = jwt.decode

    def counting(token: str, *args: object, **options: object) -> object:
        checked.append(token)
        return decode(token, *args, **options)

    monkeypatch.setattr(jwt, "decode", counting)
    return checked


def request(authorization: str) -> Request:
    return Request({"type": "http", "headers": [(b"authorization", authorization.encode())]})


async def test_a_good_token_tells_who_calls(clock: Hands) -> None:
    guard = require_caller(KEYS, "totp", clock=clock)

    assert await guard(request(f"Bearer {Caller(KEY, clock).token_for('totp')}")) == "session"


async def test_whoever_is_not_listed_is_forbidden(clock: Hands) -> None:
    guard = require_caller(KEYS, "totp", {"operator"}, clock)

    with pytest.raises(Forbidden):
        await guard(request(f"Bearer {Caller(KEY, clock).token_for('totp')}"))


def test_a_token_is_for_one_audience(clock: Hands) -> None:
    """Section 3: a factor that is breached cannot call another with what it was sent."""
    token = Caller(KEY, clock).token_for("totp")

    assert Credentials(KEYS, "totp", clock).issuer_of(token) == "session"
    with pytest.raises(Unauthenticated):
        Credentials(KEYS, "recovery", clock).issuer_of(token)


def test_a_token_lives_for_a_minute_remembered_or_not(clock: Hands) -> None:
    """Section 3: 60 seconds at most, and the cache does not lengthen it."""
    token = Caller(KEY, clock).token_for("totp")
    credentials = Credentials(KEYS, "totp", clock)
    credentials.issuer_of(token)
    clock.turn(59.9)
    credentials.issuer_of(token)
    clock.turn(0.1)

    for judge in (credentials, Credentials(KEYS, "totp", clock)):
        with pytest.raises(Unauthenticated):
            judge.issuer_of(token)


def test_a_caller_signs_again_before_its_token_dies(clock: Hands) -> None:
    caller = Caller(KEY, clock)
    first = caller.token_for("totp")
    clock.turn(44)
    same = caller.token_for("totp")
    clock.turn(1)
    renewed = caller.token_for("totp")

    assert first == same
    assert renewed != first
    assert caller.token_for("recovery") != renewed


def test_a_token_is_verified_once(clock: Hands, verifications: list[str]) -> None:
    token = Caller(KEY, clock).token_for("totp")
    credentials = Credentials(KEYS, "totp", clock)

    for _ in range(10):
        credentials.issuer_of(token)

    assert verifications == [token]


def test_a_bad_token_is_not_remembered(clock: Hands, verifications: list[str]) -> None:
    token = Caller(KEY, clock).token_for("recovery")
    credentials = Credentials(KEYS, "totp", clock)

    for _ in range(2):
        with pytest.raises(Unauthenticated):
            credentials.issuer_of(token)

    assert len(verifications) == 2


def test_a_token_like_a_remembered_one_is_verified_itself(
    clock: Hands, verifications: list[str]
) -> None:
    token = Caller(KEY, clock).token_for("totp")
    credentials = Credentials(KEYS, "totp", clock)
    credentials.issuer_of(token)

    with pytest.raises(Unauthenticated):
        credentials.issuer_of(token[:-2] + ("AA" if token[-2:] != "AA" else "BB"))


def test_the_memory_has_a_bound(clock: Hands) -> None:
    credentials = Credentials(KEYS, "totp", clock)
    for _ in range(MAX_REMEMBERED + 10):
        clock.turn(0.001)
        claims = {
            "iss": "session",
            "aud": "totp",
            "iat": int(clock().timestamp()),
            "exp": int(clock().timestamp()) + 60,
        }
        # PyJWT's signatures are deterministic, so the header makes the difference.
        header = {"kid": "session-1", "typ": str(clock().microsecond)}
        credentials.issuer_of(jwt.encode(claims, KEY.key, "EdDSA", headers=header))

    assert 0 < len(credentials._verified) <= MAX_REMEMBERED


def test_keys_are_read_from_json() -> None:
    raw = KEY.key.private_bytes_raw()
    private = PrivateKey.parse(
        json.dumps({"kid": "session-1", "issuer": "session", "key": b64encode(raw).decode()})
    )
    public = b64encode(KEY.key.public_key().public_bytes_raw()).decode()
    keys = PublicKeys.parse(json.dumps({"session-1": {"issuer": "session", "key": public}}))

    assert (private.id, private.issuer) == ("session-1", "session")
    assert keys["session-1"].issuer == "session"
    assert Credentials(keys, "totp", lambda: NOW).issuer_of(
        Caller(private, lambda: NOW).token_for("totp")
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "1",
        '{"kid": "k"}',
        '{"kid": 1, "issuer": "s", "key": "c2VjcmV0"}',
        '{"k": "c2VjcmV0"}',
        '{"k": {"issuer": "s", "key": "c2VjcmV0"}}',
        '{"k": {"issuer": "", "key": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}',
    ],
)
def test_keys_that_cannot_be_read_are_refused_without_repeating_them(text: str) -> None:
    for kind in (PrivateKey, PublicKeys):
        with pytest.raises(ValueError, match="must be JSON of the form") as caught:
            kind.parse(text)
        assert "c2VjcmV0" not in str(caught.value)


def test_keys_do_not_show() -> None:
    """D4: a private key in a log or a traceback gives nothing away."""
    assert repr(KEY) == "PrivateKey(id='session-1', issuer='session')"
