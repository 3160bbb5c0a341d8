"""Pure rules: encodings, names, origins, and how fido2's own server judges the same answers."""

import pytest
from fido2.server import Fido2Server
from fido2.utils import websafe_decode, websafe_encode
from fido2.webauthn import PublicKeyCredentialRpEntity
from hypothesis import given
from hypothesis import strategies as st

from services.webauthn.domain import naming
from services.webauthn.domain.assertion import Assertion, has_regressed
from services.webauthn.domain.encoding import decode, encode
from services.webauthn.domain.origins import is_domain, is_exact, origin_of
from services.webauthn.domain.policy import Rules
from services.webauthn.domain.refusal import Reason, Refused
from services.webauthn.domain.registration import Enrolment, Registration, creation_options, judge
from tests.hands import START
from tests.webauthn.authenticator import AT, BE, ED, ORIGIN, UP, UV, Device, Lies
from tests.webauthn.ceremony import asserted
from tests.webauthn.conftest import RP, RULES


@given(st.binary(max_size=100))
def test_what_is_encoded_reads_back(raw: bytes) -> None:
    assert decode(encode(raw), at_most=100) == raw
    assert encode(raw) == websafe_encode(raw)


@given(st.text(alphabet="AZaz09-_=+/ \n!é", max_size=20))
def test_each_value_has_one_text(text: str) -> None:
    try:
        raw = decode(text, at_most=100)
    except Refused:
        return
    assert encode(raw) == text


@pytest.mark.parametrize("value", [None, 1, [], b"AAAA", "AAAA=", "AA A", "+/+/", "AB", "A", "é"])
def test_what_is_no_base64url_is_refused(value: object) -> None:
    with pytest.raises(Refused):
        decode(value, at_most=100)


def test_what_is_too_long_is_refused() -> None:
    assert len(decode(encode(bytes(100)), at_most=100)) == 100
    for length in (101, 10_000):
        with pytest.raises(Refused):
            decode(encode(bytes(length)), at_most=100)


@given(st.text())
def test_names_are_short_and_can_be_seen(name: str) -> None:
    cleaned = naming.clean(name)

    assert len(cleaned) <= naming.MAX_NAME
    assert cleaned == " ".join(cleaned.split()) == naming.clean(cleaned)
    assert all(character.isprintable() or character in naming.JOINERS for character in cleaned)


@pytest.mark.parametrize(
    "blank",
    [
        "\u3164",
        "\u2800",
        "\u115f",
        "\u1160",
        "\u034f",
        "\ufe0f",
        "\uffa0",
        "\u200d",
        "\ufe0f \u200d",
    ],
)
def test_what_cannot_be_seen_is_no_name(blank: str) -> None:
    assert naming.clean(blank) == naming.clean(f" {blank}\u200b{blank} ") == ""
    assert "Key" in naming.clean(f"{blank}Key")


def test_signs_that_are_part_of_emoji_stay() -> None:
    assert naming.clean("\u2764\ufe0f \U0001f469\u200d\U0001f680") == (
        "\u2764\ufe0f \U0001f469\u200d\U0001f680"
    )
    assert naming.clean("e\u034f\u0301") == "\u00e9"


@given(st.sets(st.sampled_from([f"Passkey{n}" for n in ("", *(f" {i}" for i in range(9)))])))
def test_a_prefilled_name_is_not_taken(taken: set[str]) -> None:
    assert naming.prefilled(None, is_passkey=True, taken=taken) not in taken


def test_long_names_are_numbered_within_their_bounds() -> None:
    long = "x" * 100

    name = naming.prefilled(long, is_passkey=False, taken={long})

    assert (len(name), name[-2:]) == (100, " 2")


def test_well_known_makes_have_names() -> None:
    names = naming.known_names()

    assert names["fbfc3007-154e-4ecc-8c0b-6e020557d7bd"] == "Apple Passwords"
    assert names["ea9b8d66-4d01-1d21-3ce4-b6b48cb575d4"] == "Google Password Manager"
    assert any(name.startswith("YubiKey 5") for name in names.values())
    assert len(names) > 300


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://Example.com", "https://example.com"),
        ("HTTPS://example.com:443/path?x", "https://example.com"),
        ("http://example.com:80", "http://example.com"),
        ("http://[::1]:8000/", "http://[::1]:8000"),
        ("https://example.com:444", "https://example.com:444"),
        ("ftp://example.com", None),
        ("https://", None),
        ("https://[::1", None),
        ("example.com", None),
    ],
)
def test_the_origin_of_an_address(url: str, origin: str | None) -> None:
    assert origin_of(url) == origin


@given(st.text())
def test_no_text_breaks_the_reading_of_origins(text: str) -> None:
    assert origin_of(text) is None or text.lower().lstrip().startswith("http")
    is_exact(text)
    is_domain(text)
    RP.expects(text)


@pytest.mark.parametrize("origin", ["http://localhost", "http://127.0.0.1:3000", "http://[::1]:1"])
def test_pages_of_this_machine_need_no_https(origin: str) -> None:
    assert is_exact(origin)


@given(st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1))
def test_a_counter_that_counts_grows(stored: int, received: int) -> None:
    """W7.2-22: stored or received other than 0: it has to grow."""
    assert has_regressed(stored, received) == (
        (stored != 0 or received != 0) and not received > stored
    )


LIES = st.builds(
    Lies,
    type=st.sampled_from([None, "webauthn.get"]),
    challenge=st.sampled_from([None, b"x" * 32]),
    origin=st.sampled_from([None, ORIGIN + ":444", "https://evil.example"]),
    rp_id=st.sampled_from([None, "evil.example"]),
    clear_flags=st.sampled_from([0, UP, UV, AT]),
    set_flags=st.sampled_from([0, BE, ED]),
    trailing=st.sampled_from([b"", b"\0"]),
)


@given(LIES, st.booleans())
def test_whatever_fido2s_own_server_refuses_is_refused(lies: Lies, passwordless: bool) -> None:
    """Nothing of the library's checks is lost by checking more than it does."""
    enrolment = Enrolment(b"c" * 32, passwordless)
    options = creation_options(
        enrolment, handle=bytes(64), account_name="ada", registered=[], rules=RULES
    )
    answer = Device().create(options, lies)
    server = Fido2Server(
        PublicKeyCredentialRpEntity(id=RP.id, name=RP.name), verify_origin=RP.expects
    )
    state = {
        "challenge": websafe_encode(enrolment.challenge),
        "user_verification": options["publicKey"]["authenticatorSelection"]["userVerification"],
    }
    try:
        theirs = server.register_complete(state, answer)
    except Exception:  # whatever it raises, it has refused
        theirs = None

    ours = judge(answer, enrolment, RULES, START)

    if theirs is None:
        assert not isinstance(ours, Registration)
    if isinstance(ours, Registration):
        assert theirs is not None
        assert websafe_decode(answer["rawId"]) == ours.credential_id


def test_a_question_for_somebody_is_none_for_anybody() -> None:
    """W7.2-11: a login answers what was asked of nobody in particular, whatever was kept."""
    assert isinstance(asserted(), Assertion)
    assert asserted(asked="ada") is Reason.NO_CHALLENGE


def test_rules_show_nothing_of_their_tables() -> None:
    assert "names" not in repr(Rules(RP, names={"x": "y"}))
