"""Who may call: session, by its credential, and nobody else."""

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.cli.conformance.bench import ABSENT, NOBODY, Bench, with_bodies
from services.cli.conformance.calls import LIST, READY
from services.cli.conformance.verdicts import Skipped, expect
from shared.auth import ALGORITHM, LIFETIME, Caller, PrivateKey
from shared.context import HEADER, Context, to_header
from shared.factor import Enrolled

BROKEN = b"{"


async def session_is_let_in(bench: Bench) -> None:
    """With a good credential the factor says that it is ready, and knows nobody."""
    (await bench.call(READY)).is_done()
    enrolled = (await bench.call(LIST, bench.new_user())).holds(Enrolled)
    expect(not enrolled.authenticators, "somebody who has never been here has authenticators")


async def every_call_needs_a_credential(bench: Bench) -> None:
    """Without a credential every call is 401, whatever else is wrong with it."""
    await _refused(bench, {"no credential": NOBODY})


async def forged_credentials_are_refused(bench: Bench) -> None:
    """What session did not sign, for this factor, for this minute, is no credential."""
    now = int(bench.subject.clock().timestamp())
    headers = {
        name: {"authorization": value}
        for name, value in forgeries(bench.subject.key, bench.subject.audience, now).items()
    }
    await _refused(bench, headers)


async def two_credentials_are_none(bench: Bench) -> None:
    """A request with two credentials could be read differently by two readers."""
    good = bench.credential["authorization"]
    twice = [("authorization", good), ("authorization", "Bearer x")]
    (await bench.call(LIST, headers=twice)).is_refused(401, of="two credentials")


async def other_services_are_refused(bench: Bench) -> None:
    """A good credential of a service that is not session is 403."""
    stranger = bench.subject.stranger
    if stranger is None:
        raise Skipped("it takes the key of another service that the factor knows")
    token = Caller(stranger, bench.subject.clock).token_for(bench.subject.audience)
    headers = {"authorization": f"Bearer {token}"}
    for call, content in with_bodies():
        reply = await bench.call(call, content=content, headers=headers)
        if not (call.optional and reply.is_absence):
            reply.is_refused(403, of="another service")


async def the_context_decides_nothing(bench: Bench) -> None:
    """The header that tells on whose behalf a call is made may be absent, or nonsense."""
    good = to_header(Context(request_id="kit", address="192.0.2.1", session="0" * 64))
    for value in (good, "!!", "e30", "A" * 4000):
        (await bench.call(READY, extra={HEADER: value})).is_done()


async def _refused(bench: Bench, credentials: Mapping[str, Mapping[str, str]]) -> None:
    for call, content in with_bodies():
        for name, headers in credentials.items():
            for sent in (content, BROKEN) if content else (content,):
                reply = await bench.call(call, content=sent, headers=headers)
                if call.optional and reply.status in ABSENT:
                    continue
                reply.is_refused(401, of=name)
                challenge = reply.response.headers.get("www-authenticate", "")
                expect(
                    challenge.lower().startswith("bearer"),
                    f"{call} answered 401 without www-authenticate: Bearer (RFC 9110)",
                )


def forgeries(key: PrivateKey, audience: str, now: int) -> dict[str, str]:
    """Return headers that are nearly good, by what is wrong with them."""

    def token(signer: Ed25519PrivateKey = key.key, kid: str = key.id, **changes: Any) -> str:
        claims = {"iss": key.issuer, "aud": audience, "iat": now, "exp": now + 60} | changes
        present = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(present, signer, ALGORITHM, headers={"kid": kid})

    def unsigned(**header: Any) -> str:
        claims = {"iss": key.issuer, "aud": audience, "iat": now, "exp": now + 60}
        parts = (json.dumps(part).encode() for part in (header, claims))
        return ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), ""])

    public = b64encode(key.key.public_key().public_bytes_raw()).decode()
    with_public_key = jwt.encode(
        {"iss": key.issuer, "aud": audience, "iat": now, "exp": now + 60},
        public,
        "HS256",
        headers={"kid": key.id},
    )
    long_ago = now - 3600
    bearer = {
        "an expired token": token(iat=long_ago, exp=long_ago + LIFETIME.seconds),
        "a token that is good for an hour": token(exp=now + 3600),
        "a token that never expires": token(exp=None),
        "a token of the future": token(iat=now + 3600, exp=now + 3660),
        "a token for another service": token(aud=f"{audience}-2"),
        "a token for several services": token(aud=[audience]),
        "a token for nobody": token(aud=None),
        "a token of another issuer": token(iss="somebody"),
        "a token of no issuer": token(iss=None),
        "a token with more claims": token(sub="ada"),
        "a token of an unknown key": token(kid="kit-unknown"),
        "a token that a stranger signed": token(Ed25519PrivateKey.generate()),
        "a token without a signature": unsigned(alg="none", kid=key.id),
        "a token without a key id": unsigned(alg=ALGORITHM),
        "a token signed with the public key": with_public_key,
        "an altered token": token()[:-4] + "AAAA",
        "an empty token": "",
        "what is no token": "a.b.c",
    }
    others = {"another scheme": f"Basic {token()}", "a token without a scheme": token()}
    return {name: f"Bearer {value}".rstrip() for name, value in bearer.items()} | others


RULES = (
    session_is_let_in,
    every_call_needs_a_credential,
    forged_credentials_are_refused,
    two_credentials_are_none,
    other_services_are_refused,
    the_context_decides_nothing,
)
