"""The authentication ceremony, step by step (section 7.2): what a device may not get away with."""

import json
import os
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from fido2.utils import websafe_decode
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from services.webauthn.domain.policy import RelyingParty, Use, Verification
from services.webauthn.flows import WebAuthnFlows
from shared.database import Database
from tests.hands import Hands
from tests.webauthn.authenticator import AT, BE, BS, ED, ORIGIN, UP, UV, Device, Lies
from tests.webauthn.conftest import Making, enrol, last_reason, log_in, prove, recorded
from tests.webauthn.test_registration import FRAMED, mutated, without

USES = [Use.AUTHENTICATE, Use.REAUTHENTICATE, Use.LOGIN]


async def asserted(
    flows: WebAuthnFlows,
    device: Device,
    use: Use,
    lies: Lies = Lies(),  # noqa: B008 frozen
) -> str | None:
    """Return why an assertion with `lies` is refused, or None if it is accepted."""
    if use is Use.LOGIN:
        return (await log_in(flows, device, lies)).reason
    return (await prove(flows, device, lies, use=use)).reason


async def ready(flows: WebAuthnFlows, device: Device | None = None) -> Device:
    """Return a device that ada has enrolled to serve alone."""
    device = device or Device()
    assert await enrol(flows, device, passwordless=True) is not None
    return device


@pytest.mark.parametrize("use", USES)
async def test_an_honest_assertion_is_accepted(flows: WebAuthnFlows, use: Use) -> None:
    device = await ready(flows)

    assert await asserted(flows, device, use) is None


async def test_only_the_persons_own_credentials_count(flows: WebAuthnFlows, db: Database) -> None:
    """W7.2-5: the credential is one of those that were asked for, and of that person."""
    mine, hers = Device(), Device()
    await enrol(flows, mine)
    await enrol(flows, hers, "b1", "eve")

    for user, ids, device in (
        ("ada", ("a2",), mine),
        ("ada", (), mine),
        ("ada", ("a1", "b1"), hers),
        ("eve", ("b1",), mine),
        ("eve", ("a1",), mine),
    ):
        offer = await flows.challenge(user, ids, "s1", Use.AUTHENTICATE)
        answer = device.get(dict(offer.options), credential=next(iter(device.credentials.values())))
        judgement = await flows.verify(user, ids, "s1", Use.AUTHENTICATE, answer)
        assert judgement.reason == "not_allowed", (user, ids)
        assert judgement.credential is None
        assert judgement.signal is None
    assert (await prove(flows, mine, ids=("x", "a1"))).reason is None


async def test_options_list_the_persons_credentials(flows: WebAuthnFlows, clock: Hands) -> None:
    """W7.2-5: allowCredentials, with the ways to reach them; for a login, nothing."""
    first, second = Device(), Device()
    await enrol(flows, first, "a1", lies=Lies(transports=["usb", "nfc"]))
    clock.turn(seconds=1)
    await enrol(flows, second, "a2")
    await enrol(flows, Device(), "b1", "eve")

    listed = (await flows.challenge("ada", ["a2", "a1", "b1"], "s1", Use.AUTHENTICATE)).options
    some = (await flows.challenge("ada", ["a2"], "s1", Use.AUTHENTICATE)).options
    anybody = (await flows.challenge_anybody("s1")).options["publicKey"]

    named = listed["publicKey"]["allowCredentials"]
    assert [websafe_decode(one["id"]) for one in named] == [*first.credentials, *second.credentials]
    assert named[0]["transports"] == ["usb", "nfc"]
    assert len(some["publicKey"]["allowCredentials"]) == 1
    assert anybody["allowCredentials"] == []
    assert anybody["userVerification"] == "required"
    assert anybody["rpId"] == "example.com"


async def test_the_user_handle_is_the_owners(flows: WebAuthnFlows) -> None:
    """W7.2-6: for a login it has to be there; everywhere, it has to match."""
    device = await ready(flows)
    await enrol(flows, Device(), "b1", "eve")
    (hers,) = await flows.authenticators("eve")

    for lie in (Lies(user_handle=hers.handle), Lies(user_handle=b""), Lies(user_handle=bytes(64))):
        for use in USES:
            assert await asserted(flows, device, use, lie) == "user_handle"
    nothing = Lies(no_user_handle=True)
    assert await asserted(flows, device, Use.LOGIN, nothing) == "user_handle"
    assert await asserted(flows, device, Use.AUTHENTICATE, nothing) is None
    assert await asserted(flows, device, Use.LOGIN, Lies(user_handle=bytes(65))) == "unreadable"


async def test_a_user_handle_is_random_and_stays(flows: WebAuthnFlows) -> None:
    """W7.2-6: 64 random bytes, the same for all credentials of a person, and of nobody else."""
    handles = {}
    for n, user in enumerate(["ada", "ada", "eve"]):
        made = await enrol(flows, Device(), f"{user}{n}", user)
        assert made is not None
        handles[f"{user}{n}"] = made.handle

    assert {len(handle) for handle in handles.values()} == {64}
    assert handles["ada0"] == handles["ada1"] != handles["eve2"]


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "lies",
    [
        Lies(client_data=b""),
        Lies(client_data=b"\xef\xbb\xbf{}"),
        Lies(client_data=b"\xff"),
        Lies(client_data=b"[" * 4000),
        Lies(client_data=b"{}"),
        Lies(raw_id="!"),
        Lies(raw_id={}),
        Lies(credential_type=1),
        Lies(authenticator_data=b""),
        Lies(authenticator_data=bytes(36)),
        Lies(authenticator_data=bytes(4097)),
        Lies(trailing=b"\0"),
        Lies(set_flags=ED),
        Lies(set_flags=AT),
        Lies(signature=bytes(1025)),
    ],
    ids=lambda lies: repr(lies)[:60] if isinstance(lies, Lies) else None,
)
async def test_what_cannot_be_read_is_a_refusal(flows: WebAuthnFlows, use: Use, lies: Lies) -> None:
    """W7.2-8: not UTF-8, not JSON, too short, too long: refused, and nothing breaks."""
    device = await ready(flows)

    assert await asserted(flows, device, use, lies) == "unreadable"


@pytest.mark.parametrize(
    "path",
    [
        ("id",),
        ("rawId",),
        ("type",),
        ("response",),
        ("response", "clientDataJSON"),
        ("response", "authenticatorData"),
        ("response", "signature"),
    ],
)
async def test_what_is_missing_is_a_refusal(flows: WebAuthnFlows, path: tuple[str, ...]) -> None:
    """W7.2-8: a parser's exception of any kind is a refusal."""
    device = await ready(flows)
    offer = await flows.challenge_anybody("s1")
    answer = without(device.get(dict(offer.options)), *path)

    assert (await flows.verify_anybody("s1", answer)).reason == "unreadable"


@pytest.mark.parametrize("use", USES)
async def test_the_ceremony_is_an_assertion(flows: WebAuthnFlows, use: Use) -> None:
    """W7.2-10: type."""
    device = await ready(flows)

    assert await asserted(flows, device, use, Lies(type="webauthn.create")) == "type"


@pytest.mark.parametrize("use", USES)
async def test_the_challenge_is_the_one_that_was_made(flows: WebAuthnFlows, use: Use) -> None:
    """W7.2-11: another challenge is none."""
    device = await ready(flows)

    assert await asserted(flows, device, use, Lies(challenge=os.urandom(32))) == "challenge"
    assert await asserted(flows, device, use, Lies(challenge="")) == "challenge"


async def test_an_assertion_is_good_once(flows: WebAuthnFlows, db: Database) -> None:
    """W7.2-11: the statement that accepts it deletes the challenge."""
    device = await ready(flows)
    offer = await flows.challenge_anybody("s1")
    answer = device.get(dict(offer.options))

    first, second = [await flows.verify_anybody("s1", answer) for _ in range(2)]

    assert (first.reason, second.reason) == (None, "no_challenge")
    assert (await recorded(db))[-2:] == ["accepted", "failed: no_challenge"]


async def test_a_refusal_spends_the_challenge(flows: WebAuthnFlows) -> None:
    """W7.2-11: the right answer after a wrong one comes too late, even after one unreadable."""
    device = await ready(flows)
    for lies in (Lies(origin="https://evil.example"), Lies(signature=b""), Lies(raw_id="!")):
        offer = await flows.challenge("ada", ["a1"], "s1", Use.AUTHENTICATE)
        wrong, right = device.get(dict(offer.options), lies), device.get(dict(offer.options))

        assert (await flows.verify("ada", ["a1"], "s1", Use.AUTHENTICATE, wrong)).reason
        late = await flows.verify("ada", ["a1"], "s1", Use.AUTHENTICATE, right)
        assert late.reason == "no_challenge"


async def test_a_challenge_is_bound_to_its_session_and_use(flows: WebAuthnFlows) -> None:
    """W7.2-11: of another session, another use or another person, it is none."""
    device = await ready(flows)
    use = Use.AUTHENTICATE
    offer = await flows.challenge("ada", ["a1"], "s1", use)
    answer = device.get(dict(offer.options))
    elsewhere = [
        await flows.verify("ada", ["a1"], "s2", use, answer),
        await flows.verify("ada", ["a1"], "s1", Use.REAUTHENTICATE, answer),
        await flows.verify_anybody("s1", answer),
    ]

    assert {judgement.reason for judgement in elsewhere} == {"no_challenge"}
    assert (await flows.verify("ada", ["a1"], "s1", use, answer)).reason is None
    offer = await flows.challenge("eve", ["a1"], "s1", use)
    hers = device.get(dict(offer.options), credential=next(iter(device.credentials.values())))
    assert (await flows.verify("ada", ["a1"], "s1", use, hers)).reason == "no_challenge"


async def test_a_new_challenge_replaces_the_last(flows: WebAuthnFlows) -> None:
    """W7.2-11: of one session's challenges for one use, only the newest counts."""
    device = await ready(flows)
    old, new = [await flows.challenge_anybody("s1") for _ in range(2)]
    assert (await flows.verify_anybody("s1", device.get(dict(old.options)))).reason == "challenge"
    old, new = [await flows.challenge_anybody("s1") for _ in range(2)]

    assert (await flows.verify_anybody("s1", device.get(dict(new.options)))).reason is None
    assert old.options["publicKey"]["challenge"] != new.options["publicKey"]["challenge"]
    assert len(websafe_decode(new.options["publicKey"]["challenge"])) == 32


@pytest.mark.parametrize("use", [Use.AUTHENTICATE, Use.LOGIN])
async def test_a_challenge_lives_five_minutes(flows: WebAuthnFlows, clock: Hands, use: Use) -> None:
    """W7.2-11: what is answered too late is not asked for any more."""
    device = await ready(flows)
    early, late = "s1", "s2"
    offers = {
        session: await flows.challenge_anybody(session)
        if use is Use.LOGIN
        else await flows.challenge("ada", ["a1"], session, use)
        for session in (early, late)
    }
    reasons = {}
    for session, seconds in ((early, 299.999), (late, 0.001)):
        clock.turn(seconds=seconds)
        answer = device.get(dict(offers[session].options))
        judgement = (
            await flows.verify_anybody(session, answer)
            if use is Use.LOGIN
            else await flows.verify("ada", ["a1"], session, use, answer)
        )
        reasons[session] = judgement.reason

    assert reasons == {early: None, late: "no_challenge"}


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    "origin", ["https://sub.example.com", "https://example.com:8443", "http://example.com", "x"]
)
async def test_origins_are_an_exact_list(flows: WebAuthnFlows, use: Use, origin: str) -> None:
    """W7.2-12: no subdomain, no port, no other scheme."""
    device = await ready(flows)

    assert await asserted(flows, device, use, Lies(origin=origin)) == "origin"


@pytest.mark.parametrize(
    ("origin", "known"),
    [
        ("http://localhost:3000", True),
        ("https://localhost", True),
        ("http://app.localhost:8080", True),
        ("http://localhost:3000/", False),
        ("http://localhost:x", False),
        ("http://LOCALHOST", False),
        ("http://127.0.0.1:3000", False),
        ("http://localhost.evil.example", False),
        ("ftp://localhost", False),
        ("https://evil.example", False),
    ],
)
async def test_development_lets_in_the_pages_of_this_machine(
    under: Making, origin: str, known: bool
) -> None:
    """W7.2-12: with the setting for development, on every port, and still nobody else's."""
    party = RelyingParty("localhost", "x", frozenset({ORIGIN}), any_localhost=True)
    flows = under(party)
    device = await ready(flows)

    reason = await asserted(flows, device, Use.LOGIN, Lies(origin=origin))

    assert (reason is None) == known


@pytest.mark.parametrize("use", USES)
async def test_a_frame_may_not_ask_unless_it_is_allowed(under: Making, use: Use) -> None:
    """W7.2-13: crossOrigin is refused, unless configured."""
    device = await ready(under())

    assert await asserted(under(), device, use, Lies(cross_origin=True)) == "cross_origin"
    assert await asserted(under(FRAMED), device, use, Lies(cross_origin=True)) is None


@pytest.mark.parametrize("use", USES)
async def test_the_page_around_a_frame_is_known(under: Making, use: Use) -> None:
    """W7.2-14: topOrigin is refused, unless it is listed."""
    device = await ready(under())
    around = Lies(cross_origin=True, top_origin="https://partner.example")
    strange = Lies(cross_origin=True, top_origin="https://stranger.example")

    assert await asserted(under(), device, use, around) == "cross_origin"
    assert await asserted(under(FRAMED), device, use, strange) == "top_origin"
    assert await asserted(under(FRAMED), device, use, around) is None


@pytest.mark.parametrize("use", USES)
async def test_the_assertion_is_for_us(flows: WebAuthnFlows, use: Use) -> None:
    """W7.2-15: rpIdHash."""
    device = await ready(flows)

    assert await asserted(flows, device, use, Lies(rp_id="evil.example")) == "rp_id"


@pytest.mark.parametrize("use", USES)
async def test_somebody_is_there(flows: WebAuthnFlows, use: Use) -> None:
    """W7.2-16: UP."""
    device = await ready(flows)

    assert await asserted(flows, device, use, Lies(clear_flags=UP)) == "user_present"


async def test_the_user_is_verified_where_that_is_required(under: Making) -> None:
    """W7.2-17: for a login always, else as the settings say, for each use."""
    unverified = Lies(clear_flags=UV)
    device = await ready(under())
    strict = under(verification=Verification("required"))
    lax = under(verification=Verification("discouraged"))
    one = under(verification=Verification("preferred", frozenset({Use.REAUTHENTICATE})))

    for flows in (under(), lax, strict, one):
        assert await asserted(flows, device, Use.LOGIN, unverified) == "user_verified"
    for use in (Use.AUTHENTICATE, Use.REAUTHENTICATE):
        assert await asserted(strict, device, use, unverified) == "user_verified"
        for flows in (under(), lax):
            assert await asserted(flows, device, use, unverified) is None
    assert await asserted(one, device, Use.REAUTHENTICATE, unverified) == "user_verified"
    assert await asserted(one, device, Use.AUTHENTICATE, unverified) is None


async def test_what_is_asked_is_what_is_held_against(under: Making) -> None:
    """W7.2-17: settings that change between question and answer do not weaken the question."""
    strict, lax = under(verification=Verification("required")), under()
    device = await ready(lax)
    offer = await strict.challenge("ada", ["a1"], "s1", Use.AUTHENTICATE)
    answer = device.get(dict(offer.options), Lies(clear_flags=UV))

    judgement = await lax.verify("ada", ["a1"], "s1", Use.AUTHENTICATE, answer)

    assert offer.options["publicKey"]["userVerification"] == "required"
    assert judgement.reason == "user_verified"


@pytest.mark.parametrize("use", USES)
async def test_what_is_backed_up_can_be(flows: WebAuthnFlows, use: Use) -> None:
    """W7.2-18: BS without BE."""
    device = await ready(flows)

    assert await asserted(flows, device, use, Lies(set_flags=BS)) == "backup_state"


@pytest.mark.parametrize("use", USES)
async def test_whether_a_key_can_be_backed_up_does_not_change(
    flows: WebAuthnFlows, use: Use
) -> None:
    """W7.2-19: BE is what it was at registration."""
    bound = await ready(flows)
    assert await asserted(flows, bound, use, Lies(set_flags=BE)) == "backup_eligibility"
    await flows.remove("ada", "a1")
    synced = await ready(flows, Device(synced=True))

    assert await asserted(flows, synced, use, Lies(clear_flags=BE | BS)) == "backup_eligibility"
    assert await asserted(flows, synced, use) is None


@pytest.mark.parametrize("kind", ["ES256", "EdDSA", "RS256"])
async def test_the_signature_is_of_that_key_and_that_data(flows: WebAuthnFlows, kind: str) -> None:
    """W7.2-21: empty, zero, of other data, of another key: refused."""
    device = await ready(flows, Device(kind=kind))
    for lies in (
        Lies(signature=b""),
        Lies(signature=bytes(64)),
        Lies(signature=encode_dss_signature(0, 0)),
        Lies(signature=encode_dss_signature(1, 1)),
        Lies(signature=os.urandom(256)),
        Lies(signs=b"something else"),
    ):
        assert await asserted(flows, device, Use.LOGIN, lies) == "signature", lies
    other = Device(kind=kind)
    await enrol(flows, other, "a2", passwordless=True)
    (own,), (foreign,) = device.credentials.values(), other.credentials.values()
    own.key, foreign.key = foreign.key, own.key

    assert await asserted(flows, device, Use.LOGIN) == "signature"


async def test_a_counter_has_to_grow(flows: WebAuthnFlows, db: Database) -> None:
    """W7.2-22: a regression is refused, and an event tells of it."""
    device = await ready(flows, Device(counts=True))
    assert await asserted(flows, device, Use.AUTHENTICATE) is None
    for counter in (1, 0):
        assert await asserted(flows, device, Use.LOGIN, Lies(counter=counter)) == "counter"

    assert (await recorded(db))[-2:] == ["clone_suspected", "failed: counter"]
    (kept,) = await flows.authenticators("ada")
    assert await asserted(flows, device, Use.LOGIN, Lies(counter=2)) is None
    assert await asserted(flows, device, Use.LOGIN, Lies(counter=2**32 - 1)) is None
    assert await asserted(flows, device, Use.LOGIN, Lies(counter=2**32 - 1)) == "counter"
    assert kept.last_used_at is not None


async def test_a_counter_that_stays_at_zero_is_none(flows: WebAuthnFlows, db: Database) -> None:
    """W7.2-22: passkeys do not count."""
    device = await ready(flows)

    assert [await asserted(flows, device, Use.LOGIN) for _ in range(3)] == [None] * 3
    assert "clone_suspected" not in await recorded(db)


async def test_a_regression_can_be_flagged_alone(under: Making, db: Database) -> None:
    """W7.2-22: as configured, it is accepted, and the trail tells."""
    flows = under(refuse_counter_regression=False)
    device = await ready(flows, Device(counts=True))
    await prove(flows, device, Lies(counter=9))

    judgement = await prove(flows, device, Lies(counter=5))
    again = await prove(flows, device, Lies(counter=9))

    assert judgement.reason is None
    assert judgement.assertion is not None
    assert judgement.assertion.clone_suspected
    assert again.assertion is not None
    assert again.assertion.clone_suspected  # the counter does not go back
    assert (await recorded(db))[-2:] == ["accepted", "clone_suspected"]


async def test_what_has_changed_is_stored(flows: WebAuthnFlows, clock: Hands) -> None:
    """W7.2-24: the counter, BS and the time; and nothing of it by what is refused."""
    device = await ready(flows, Device(synced=True, backed_up=False))
    clock.turn(minutes=1)
    wrong = Lies(set_flags=BS, signs=b"something else")
    assert await asserted(flows, device, Use.AUTHENTICATE, wrong) == "signature"
    (before,) = await flows.authenticators("ada")
    device.backed_up = True

    assert await asserted(flows, device, Use.AUTHENTICATE) is None
    (after,) = await flows.authenticators("ada")

    assert (before.backed_up, before.last_used_at) == (False, None)
    assert (after.backed_up, after.last_used_at) == (True, clock())


@pytest.mark.parametrize("verifies", [False, True])
@pytest.mark.parametrize("says", [True, None])
async def test_a_second_factor_does_not_serve_alone(
    flows: WebAuthnFlows, verifies: bool, says: bool | None
) -> None:
    """W7.2-24: what no passkey was asked for never does, whatever its browser said of it.

    It is no matter whether its user was verified then, or is now.
    """
    device = Device(verifies=verifies)
    told = {} if says is None else {"credProps": {"rk": says}}
    made = await enrol(flows, device, lies=Lies(extensions=told))
    assert made is not None
    assert (made.discoverable, made.user_verified) == (says, verifies)
    device.verifies = True

    assert await asserted(flows, device, Use.AUTHENTICATE) is None
    assert await asserted(flows, device, Use.LOGIN) == "not_alone"


async def test_a_credential_that_nobody_has_is_named_to_the_browser(
    flows: WebAuthnFlows, db: Database
) -> None:
    """The Signal API: the page can have the browser forget it."""
    device = await ready(flows)
    await flows.remove("ada", "a1")

    judgement = await log_in(flows, device)

    (gone,) = device.credentials
    assert judgement.reason == "unknown_credential"
    assert judgement.signal is not None
    named = judgement.signal["unknown_credential"]
    assert websafe_decode(named["credentialId"]) == gone
    assert named["rpId"] == "example.com"
    assert (await recorded(db))[-1] == "failed: unknown_credential"
    offer = await flows.challenge_anybody("s1")
    late = await flows.verify_anybody("s2", device.get(dict(offer.options)))
    assert late.signal is None  # without a challenge, nobody learns anything


async def test_policy_holds_at_each_use_unless_configured(under: Making) -> None:
    """AAGUIDs and synced passkeys: what is not let in any more does not work any more."""
    make = "00010203-0405-0607-0809-0a0b0c0d0e0f"
    device = await ready(under(), Device(aaguid=bytes(range(16)), synced=True))
    policies: list[tuple[dict[str, Any], str]] = [
        ({"denied_aaguids": frozenset({make})}, "aaguid"),
        ({"allowed_aaguids": frozenset({"00000000-0000-0000-0000-000000000000"})}, "aaguid"),
        ({"allow_synced": False}, "synced"),
    ]

    for policy, reason in policies:
        for use in USES:
            assert await asserted(under(**policy), device, use) == reason
            assert await asserted(under(**policy, at_use=False), device, use) is None
    assert await asserted(under(allowed_aaguids={make}), device, Use.LOGIN) is None


async def test_the_trail_knows_whose_credential_it_was(flows: WebAuthnFlows, db: Database) -> None:
    device = await ready(flows)
    await asserted(flows, device, Use.LOGIN, Lies(signs=b""))
    await log_in(flows, Device(credentials=dict(device.credentials)), Lies(raw_id="!"))

    assert await last_reason(db) == "unreadable"
    assert (await recorded(db))[-2] == "failed: signature"


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_no_change_of_a_byte_is_accepted(flows: WebAuthnFlows) -> None:
    """W7.2-21: whatever is changed in what was signed, or in the signature, is refused."""
    device = await ready(flows)
    changes: list[tuple[int, int, str]] = []

    @given(
        st.integers(0, 10_000),
        st.integers(0, 0x10FFF),
        st.sampled_from(["clientDataJSON", "authenticatorData", "signature", "userHandle"]),
    )
    @hypothesis_settings(
        max_examples=300, database=None, suppress_health_check=[HealthCheck.too_slow]
    )
    def collect(at: int, value: int, member: str) -> None:
        changes.append((at, value, member))

    collect()
    for change in changes:
        offer = await flows.challenge_anybody("s1")
        answer = device.get(dict(offer.options))
        changed = mutated(answer, *change)
        judgement = await flows.verify_anybody("s1", changed)
        assert (judgement.reason is None) == (json.dumps(answer) == json.dumps(changed))
