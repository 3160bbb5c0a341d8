"""What can be set of tokens, and how what cannot work is told."""

import pytest
from pydantic import ValidationError

from services.session.domain.token_strategy import Algorithm, TokenStrategy
from services.session.main import edge_settings
from services.session.settings import Settings
from shared.errors import ConfigurationError
from shared.settings import load
from tests.session.test_api_settings import settings
from tests.session.tokens import private_pem, public_pem, signing_key

ALLAUTH = "allauth.headless.tokens.strategies."


def with_jwt(**values: object) -> Settings:
    return settings(
        **{
            "headless_token_strategy": "jwt",
            "headless_jwt_private_key": private_pem(),
            **values,
        }
    )


def test_by_default_there_are_session_tokens_alone() -> None:
    """Also if a key is there: it is the strategy that decides."""
    for told in (settings(), settings(headless_jwt_private_key=private_pem())):
        assert told.headless_token_strategy is TokenStrategy.SESSIONS
        assert told.tokens is told.policy.tokens is None
        assert edge_settings(told).bearer_scheme is None


@pytest.mark.parametrize(
    ("name", "strategy"),
    [
        ("sessions", TokenStrategy.SESSIONS),
        (f"{ALLAUTH}sessions.SessionTokenStrategy", TokenStrategy.SESSIONS),
        ("allauth.headless.tokens.sessions.SessionTokenStrategy", TokenStrategy.SESSIONS),
        ("jwt", TokenStrategy.JWT),
        (f"{ALLAUTH}jwt.JWTTokenStrategy", TokenStrategy.JWT),
    ],
)
def test_a_strategy_is_called_as_here_or_as_by_allauth(
    monkeypatch: pytest.MonkeyPatch, name: str, strategy: TokenStrategy
) -> None:
    monkeypatch.setenv("HEADLESS_TOKEN_STRATEGY", name)

    assert settings(headless_jwt_private_key=private_pem()).headless_token_strategy is strategy


def test_the_rules_are_those_that_are_set() -> None:
    made = with_jwt(
        public_url="https://id.example.com/",
        headless_jwt_audience="api,files",
        headless_jwt_access_token_expires_in="10m",
        headless_jwt_refresh_token_expires_in="7d",
        headless_jwt_rotate_refresh_token=False,
        headless_jwt_stateful_validation_enabled=True,
        headless_jwt_authorization_header_scheme="Token",
        headless_jwt_public_keys=public_pem(Algorithm.RS256) + public_pem(number=3),
    )

    tokens = made.policy.tokens
    assert tokens is not None
    assert tokens.issuer == "https://id.example.com"
    assert tokens.audience == ("api", "files")
    assert tokens.access_lifetime.total_seconds() == 600
    assert tokens.refresh_lifetime.days == 7
    assert (tokens.rotates, tokens.stateful) == (False, True)
    assert edge_settings(made).bearer_scheme == "Token"
    assert [key.id for key in tokens.keys.others] == [
        signing_key(Algorithm.RS256).public.id,
        signing_key(number=3).public.id,
    ]


def test_the_defaults_are_allauths_but_for_the_algorithm() -> None:
    tokens = with_jwt().tokens

    assert tokens is not None
    assert tokens.keys.signing.public.algorithm is Algorithm.EDDSA
    assert tokens.access_lifetime.total_seconds() == 300
    assert tokens.refresh_lifetime.total_seconds() == 86400
    assert (tokens.rotates, tokens.stateful, tokens.audience) == (True, False, ())


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_each_algorithm_has_its_key(algorithm: Algorithm) -> None:
    told = {"headless_jwt_algorithm": algorithm.value}
    tokens = with_jwt(**told, headless_jwt_private_key=private_pem(algorithm)).tokens

    assert tokens is not None
    assert tokens.keys.signing.public.id == signing_key(algorithm).public.id


WRONG = {
    "HEADLESS_TOKEN_STRATEGY": ["tokens", f"{ALLAUTH}base.AbstractTokenStrategy", "JWT "],
    "HEADLESS_JWT_ALGORITHM": ["HS256", "HS512", "none", "RS512", "PS256", "eddsa", ""],
    "HEADLESS_JWT_ACCESS_TOKEN_EXPIRES_IN": ["0", "1s", "61m", "soon"],
    "HEADLESS_JWT_REFRESH_TOKEN_EXPIRES_IN": ["0", "30s", "366d"],
    "HEADLESS_JWT_AUTHORIZATION_HEADER_SCHEME": ["Bearer token", "Bearer:"],
    "HEADLESS_JWT_PUBLIC_KEYS": ["canary", "-----BEGIN PUBLIC KEY-----"],
    "HEADLESS_JWT_PRIVATE_KEY": ["canary", "-----BEGIN PRIVATE KEY-----canary"],
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in WRONG.items() for value in values if value],
)
def test_what_cannot_work_is_told_by_name_and_not_repeated(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError) as raised:
        load(Settings)

    told = [problem for problem in raised.value.problems if problem.startswith(f"{name}:")]
    assert len(told) == 1
    assert "canary" not in told[0]


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"headless_jwt_private_key": None}, "headless_jwt_private_key"),
        ({"headless_jwt_algorithm": "ES256"}, "headless_jwt_private_key"),
        ({"headless_clients": "browser"}, "headless_token_strategy"),
    ],
)
def test_what_does_not_fit_together_is_told(changes: dict[str, object], name: str) -> None:
    with pytest.raises(ValidationError) as raised:
        with_jwt(**changes)

    assert [error["loc"] for error in raised.value.errors()] == [(name,)]


def test_the_key_is_not_shown() -> None:
    made = with_jwt(headless_jwt_public_keys=public_pem(number=3))
    secret = private_pem().splitlines()[1]

    dumped = str(made.model_dump(include={"headless_jwt_private_key"}))
    for shown in (repr(made), dumped, repr(made.tokens), repr(made.policy)):
        assert secret not in shown
