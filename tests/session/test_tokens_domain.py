"""Tokens and their keys: held against the standards, and against two libraries of others."""

import json
import warnings
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import joserfc.jwt
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_ec
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import (
    RSAPublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import KeySet

from services.session.domain.methods import Method, MethodKind
from services.session.domain.sessions import Client, Session, recorded_id
from services.session.domain.token_keys import (
    MAX_TOKEN,
    TokenKeys,
    VerifyingKey,
    parse_signing_key,
    parse_verifying_keys,
)
from services.session.domain.token_strategy import Algorithm
from services.session.domain.tokens import Claims, TokenRules, Use
from tests.session.tokens import ISSUER, private_pem, public_pem, rules, signing_key

NOW = datetime(2026, 3, 14, 12, tzinfo=UTC)
SECONDS = int(NOW.timestamp())
ALGORITHMS = list(Algorithm)
PASSWORD = Method(kind=MethodKind.PASSWORD, at=NOW, amr=("pwd",))
CODE = Method(kind=MethodKind.MFA, at=NOW, amr=("otp",))
SESSION = Session(
    id="the-session",
    client=Client.APP,
    version=0,
    user_id="ada",
    session_epoch=3,
    created_at=NOW,
    expires_at=NOW + timedelta(days=14),
    authenticated_at=NOW,
    methods=(PASSWORD, CODE),
)


def read_by_pyjwt(token: str, keys: TokenKeys, **options: Any) -> dict[str, Any]:
    """Return the claims as a resource server reads them with PyJWT, from the JWK set alone."""
    jwks = jwt.PyJWKSet.from_dict(json.loads(json.dumps(keys.jwks)))
    key = jwks[jwt.get_unverified_header(token)["kid"]]
    claims: dict[str, Any] = jwt.decode(
        token, key, algorithms=[key.algorithm_name], options={"verify_exp": False}, **options
    )
    return claims


def read_by_joserfc(token: str, keys: TokenKeys) -> dict[str, Any]:
    """Return the same by joserfc, which knows EdDSA as the name of before RFC 9864."""
    jwks = KeySet.import_key_set(json.loads(json.dumps(keys.jwks)))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        return dict(joserfc.jwt.decode(token, jwks, algorithms=[str(a) for a in Algorithm]).claims)


def header_of(token: str) -> dict[str, Any]:
    header: dict[str, Any] = jwt.get_unverified_header(token)
    return header


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


# Keys


def test_an_rsa_key_is_called_as_in_rfc_7638() -> None:
    """RFC 7638 section 3.1."""
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJE"
        "CPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q"
        "vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6"
        "WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    modulus = int.from_bytes(urlsafe_b64decode(n + "=="), "big")
    key = VerifyingKey(Algorithm.RS256, RSAPublicNumbers(65537, modulus).public_key())

    assert key.id == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert key.jwk["n"] == n


def test_an_ed25519_key_is_called_as_in_rfc_8037() -> None:
    """RFC 8037 appendix A.3."""
    x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    raw = urlsafe_b64decode(x + "=")
    key = VerifyingKey(Algorithm.EDDSA, Ed25519PublicKey.from_public_bytes(raw))

    assert key.id == "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    assert key.jwk["x"] == x


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_another_library_calls_the_keys_the_same(algorithm: Algorithm) -> None:
    public = signing_key(algorithm).public

    (theirs,) = KeySet.import_key_set({"keys": [dict(public.jwk)]}).keys

    assert theirs.thumbprint() == public.id == public.jwk["kid"]


def test_the_set_has_public_halves_and_nothing_else() -> None:
    others = parse_verifying_keys("\n".join(public_pem(a) for a in ALGORITHMS[1:]))
    keys = TokenKeys(signing_key(), others)

    listed: Any = keys.jwks["keys"]

    assert [key["alg"] for key in listed] == ["EdDSA", "ES256", "RS256"]
    assert [sorted(key) for key in listed] == [
        ["alg", "crv", "kid", "kty", "use", "x"],
        ["alg", "crv", "kid", "kty", "use", "x", "y"],
        ["alg", "e", "kid", "kty", "n", "use"],
    ]
    assert {key["use"] for key in listed} == {"sig"}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_may_be_told_in_one_line(algorithm: Algorithm) -> None:
    folded = private_pem(algorithm).replace("\n", "\\n")

    assert parse_signing_key(folded, algorithm).public.id == signing_key(algorithm).public.id


def pem(key: PrivateKeyTypes, password: bytes | None = None) -> str:
    locked = BestAvailableEncryption(password) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, locked).decode()


UNFIT: Mapping[str, Callable[[], str]] = {
    "empty": lambda: "",
    "no PEM": lambda: "canary",
    "no key": lambda: "-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----",
    "public": public_pem,
    "Ed448": lambda: pem(Ed448PrivateKey.generate()),
    "P-384": lambda: pem(generate_ec(SECP384R1())),
    "short": lambda: pem(generate_rsa(65537, 1024)),  # noqa: S505
    "locked": lambda: pem(signing_key().key, b"canary"),
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("text", UNFIT)
def test_what_signs_by_no_algorithm_of_ours_is_refused(algorithm: Algorithm, text: str) -> None:
    with pytest.raises(ValueError, match="must be") as raised:
        parse_signing_key(UNFIT[text](), algorithm)

    assert "canary" not in str(raised.value)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("other", ALGORITHMS)
def test_a_key_signs_by_its_own_algorithm_alone(algorithm: Algorithm, other: Algorithm) -> None:
    if algorithm is other:
        assert parse_signing_key(private_pem(algorithm), other).public.algorithm is algorithm
        return
    with pytest.raises(ValueError, match=other):
        parse_signing_key(private_pem(algorithm), other)


NOT_PUBLIC: Mapping[str, Callable[[], str]] = {
    "no PEM": lambda: "canary",
    "private": private_pem,
    "one private": lambda: public_pem() + private_pem(),
    "text": lambda: public_pem() + "canary",
    "no key": lambda: "-----BEGIN PUBLIC KEY-----\ncanary\n-----END PUBLIC KEY-----",
    "Ed448": lambda: (
        Ed448PrivateKey.generate()
        .public_key()
        .public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        .decode()
    ),
}


@pytest.mark.parametrize("text", NOT_PUBLIC)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|has a key") as raised:
        parse_verifying_keys(NOT_PUBLIC[text]())

    assert "canary" not in str(raised.value)


def test_without_other_keys_there_are_none() -> None:
    assert parse_verifying_keys("") == parse_verifying_keys(" \n") == ()


# What tokens say


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_two_libraries_read_access_tokens_by_the_published_keys(algorithm: Algorithm) -> None:
    made = rules(keys=TokenKeys(signing_key(algorithm)))
    token = made.access_token(SESSION, NOW, id="t1")

    assert header_of(token) == {
        "alg": algorithm.value,
        "typ": "at+jwt",
        "kid": made.keys.signing.public.id,
    }
    assert read_by_pyjwt(token, made.keys) == read_by_joserfc(token, made.keys)
    assert read_by_pyjwt(token, made.keys) == {
        "iss": ISSUER,
        "sub": "ada",
        "iat": SECONDS,
        "exp": SECONDS + 300,
        "jti": "t1",
        "sid": recorded_id("the-session"),
        "token_use": "access",
        "epoch": 3,
        "amr": ["pwd", "otp", "mfa"],
        "acr": "aal2",
        "auth_time": SECONDS,
    }


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_two_libraries_find_out_what_was_altered(algorithm: Algorithm) -> None:
    made = rules(keys=TokenKeys(signing_key(algorithm)))
    header, payload, signature = made.access_token(SESSION, NOW, id="t1").split(".")
    claims = claims_of(f"{header}.{payload}.{signature}") | {"sub": "mallory"}
    forged = f"{header}.{encoded(claims)}.{signature}"

    with pytest.raises(jwt.InvalidSignatureError):
        read_by_pyjwt(forged, made.keys)
    with pytest.raises(JoseError):
        read_by_joserfc(forged, made.keys)
    assert made.read(forged, Use.ACCESS, NOW) is None


def test_the_audience_is_that_which_is_configured() -> None:
    one, two = rules(audience=("api",)), rules(audience=("api", "files"))

    assert claims_of(one.access_token(SESSION, NOW, id="t"))["aud"] == "api"
    assert claims_of(two.access_token(SESSION, NOW, id="t"))["aud"] == ["api", "files"]
    for made in (one, two):
        token = made.access_token(SESSION, NOW, id="t")
        assert read_by_pyjwt(token, made.keys, audience="api")["sub"] == "ada"
        with pytest.raises(jwt.InvalidAudienceError):
            read_by_pyjwt(token, made.keys, audience="mail")


def test_a_later_proof_is_told_with_its_time() -> None:
    """For resource servers that want one of the last minutes (RFC 9470)."""
    again = Method(
        kind=MethodKind.PASSWORD, at=NOW + timedelta(hours=1), amr=("pwd",), reauthenticated=True
    )
    later = replace(SESSION, methods=(PASSWORD, again))

    claims = claims_of(rules().access_token(later, NOW + timedelta(hours=2), id="t"))

    assert (claims["auth_time"], claims["amr"], claims["acr"]) == (SECONDS + 3600, ["pwd"], "aal1")


def test_a_refresh_token_is_for_the_issuer_alone() -> None:
    """A resource server that looks at the signature and at no type does not take it either."""
    token = rules().refresh_token(SESSION, NOW, id="r1")
    claims = claims_of(token)

    assert header_of(token)["typ"] == "rt+jwt"
    assert (claims["token_use"], claims["aud"], claims["jti"]) == ("refresh", ISSUER, "r1")
    assert claims["exp"] == SECONDS + 86400
    assert not claims.keys() & {"amr", "acr", "auth_time"}
    with pytest.raises(jwt.InvalidAudienceError):
        read_by_pyjwt(token, rules().keys)
    for audience in ({}, {"aud": "api"}, {"aud": [ISSUER, "api"]}):
        others = {name: value for name, value in claims.items() if name != "aud"} | audience
        assert rules().read(rules().keys.sign(others, "rt+jwt"), Use.REFRESH, NOW) is None


def test_no_token_outlives_its_session() -> None:
    ending = replace(SESSION, expires_at=NOW + timedelta(seconds=90))

    for token in (
        rules().access_token(ending, NOW, id="t"),
        rules().refresh_token(ending, NOW, id="r"),
    ):
        assert claims_of(token)["exp"] == SECONDS + 90


def test_no_token_has_what_opens_the_session() -> None:
    for token in (
        rules().access_token(SESSION, NOW, id="t"),
        rules().refresh_token(SESSION, NOW, id="r"),
    ):
        assert SESSION.id not in json.dumps(claims_of(token))


# What is read


NEEDED = ("iss", "sub", "exp", "jti", "sid", "token_use", "epoch")
CLAIMS = Claims(id="t1", session=recorded_id("the-session"), user_id="ada", epoch=3)


def access(made: TokenRules) -> str:
    return made.access_token(SESSION, NOW, id="t1")


def refresh(made: TokenRules) -> str:
    return made.refresh_token(SESSION, NOW, id="t1")


def test_what_was_signed_here_is_read() -> None:
    made = rules()

    assert made.read(access(made), Use.ACCESS, NOW) == CLAIMS
    assert made.read(refresh(made), Use.REFRESH, NOW) == CLAIMS


def test_neither_token_is_taken_for_the_other() -> None:
    made = rules()

    assert made.read(refresh(made), Use.ACCESS, NOW) is None
    assert made.read(access(made), Use.REFRESH, NOW) is None


def test_a_token_is_good_until_its_second() -> None:
    made = rules()
    end = NOW + timedelta(minutes=5)

    assert made.read(access(made), Use.ACCESS, end - timedelta(milliseconds=1)) == CLAIMS
    assert made.read(access(made), Use.ACCESS, end) is None


def test_keys_are_changed_without_a_break() -> None:
    """What the old key signed is read as long as it is on the ring; the new one signs."""
    old, new = signing_key(number=1), signing_key(Algorithm.ES256, number=2)
    before = rules(keys=TokenKeys(old, (new.public,)))
    after = rules(keys=TokenKeys(new, (old.public,)))
    done = rules(keys=TokenKeys(new))

    for maker in (before, after):
        for reader in (before, after):
            assert reader.read(access(maker), Use.ACCESS, NOW) == CLAIMS
            assert read_by_joserfc(access(maker), reader.keys)["sub"] == "ada"
    assert header_of(access(after))["kid"] == new.public.id
    assert done.read(access(before), Use.ACCESS, NOW) is None


def encoded(part: object) -> str:
    return urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode()


def signed(claims: object = None, key: Any = None, **header: Any) -> str:
    """Return a token that our own key has signed, with whatever header and claims."""
    own = key or signing_key()
    good = claims_of(access(rules()))
    head = {"kid": own.public.id, "typ": "at+jwt", **header}
    if head["kid"] is None:
        del head["kid"]
    return jwt.encode(
        good if claims is None else claims,  # type: ignore[arg-type]
        own.key,
        own.public.algorithm,
        headers=head,
    )


GOOD = claims_of(access(rules()))
BAD: Mapping[str, Callable[[], str]] = {
    "nothing": lambda: "",
    "a letter": lambda: "a",
    "no parts": lambda: "..",
    "no JSON": lambda: "a.b.c",
    "no ASCII": lambda: "é.é.é",
    "a NUL": lambda: "\x00",
    "no signature": lambda: f"{encoded({'alg': 'none', 'typ': 'at+jwt'})}.{encoded(GOOD)}.",
    "a header that is a list": lambda: f"{encoded([])}.{encoded(GOOD)}.x",
    "a deep header": lambda: f"{urlsafe_b64encode(b'[' * 2000).decode()}.{encoded(GOOD)}.x",
    "a key that is a list": lambda: (
        f"{encoded({'alg': 'EdDSA', 'kid': ['a'], 'typ': 'at+jwt'})}.{encoded(GOOD)}.x"
    ),
    "a key of others": lambda: signed(key=signing_key(number=9)),
    "a key of others under our name": lambda: signed(
        key=signing_key(number=9), kid=signing_key().public.id
    ),
    "no name of a key": lambda: signed(kid=None),
    "an unknown key": lambda: signed(kid="elsewhere"),
    "no type": lambda: signed(typ=None),
    "another type": lambda: signed(typ="JWT"),
    "a type in capitals": lambda: signed(typ="AT+JWT"),
    "keys from elsewhere": lambda: signed(jku="https://evil.example/keys"),
    "what has to be understood": lambda: signed(crit=["exp"], exp=1),
    "no claims": lambda: signed({}),
    **{f"no {left}": partial(lambda left: signed(without(left)), left) for left in NEEDED},
    "another issuer": lambda: signed({**GOOD, "iss": "https://evil.example"}),
    "another use": lambda: signed({**GOOD, "token_use": "refresh"}),
    "an end in letters": lambda: signed({**GOOD, "exp": str(GOOD["exp"])}),
    "an end that is true": lambda: signed({**GOOD, "exp": True}),
    "an epoch in letters": lambda: signed({**GOOD, "epoch": "3"}),
    "a session that is a number": lambda: signed({**GOOD, "sid": 7}),
    "an id that is a list": lambda: signed({**GOOD, "jti": ["t1"]}),
    "a length beyond all": lambda: signed({**GOOD, "more": "x" * MAX_TOKEN}),
}


def without(name: str) -> dict[str, Any]:
    return {claim: value for claim, value in GOOD.items() if claim != name}


@pytest.mark.parametrize("token", BAD)
def test_what_is_no_good_token_is_none(token: str) -> None:
    assert rules().read(BAD[token](), Use.ACCESS, NOW) is None


def test_what_is_signed_here_as_it_should_be_is_good() -> None:
    """Or the test above would prove nothing."""
    assert rules().read(signed(), Use.ACCESS, NOW) == CLAIMS


def test_a_public_key_is_no_secret_of_hmac() -> None:
    """RFC 8725 section 2.1: a token that chooses HMAC would have everybody know the key."""
    header = {"alg": "HS256", "typ": "at+jwt", "kid": signing_key().public.id}
    signing_input = f"{encoded(header)}.{encoded(GOOD)}"
    for secret in (public_pem(), public_pem().strip()):
        hmac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
        signature = hmac.sign(signing_input.encode(), secret.encode())
        forged = f"{signing_input}.{urlsafe_b64encode(signature).rstrip(b'=').decode()}"

        assert rules().read(forged, Use.ACCESS, NOW) is None


def test_claims_fit_the_session_of_the_epoch_and_the_person() -> None:
    assert CLAIMS.fit(SESSION)
    assert not CLAIMS.fit(replace(SESSION, session_epoch=4))
    assert not CLAIMS.fit(replace(SESSION, user_id="bob"))
