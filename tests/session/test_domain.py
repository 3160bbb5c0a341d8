"""The rules of logins, methods and limits."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.session.domain.access import Access, allows
from services.session.domain.addresses import display_of, parse_address
from services.session.domain.codes import (
    ALPHABET,
    CodeFormat,
    CodeRules,
    MailedCode,
    new_code,
    normalise_code,
)
from services.session.domain.limits import (
    FOR_EVER,
    LAST_FAILURE,
    Limits,
    Per,
    Rate,
    counter_of,
    network_of,
    rest_after,
)
from services.session.domain.methods import (
    MAX_METHODS,
    Method,
    MethodKind,
    add_method,
    amr,
    assurance_level,
    reauthenticated_within,
)
from services.session.domain.register import Entry, Register
from services.session.domain.sessions import Account, Client, Session, is_live, pending_stage
from services.session.domain.signals import all_accepted_credentials
from services.session.domain.stages import STAGES, Facts, Login, Stage, next_stage, pass_stage

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
LOGIN = Login(id="l1", user_id="u1", email="ada@example.org", started_at=NOW)
PASSWORD = Method(kind=MethodKind.PASSWORD, at=NOW, amr=("pwd",), email="ada@example.org")
OTP = Method(kind=MethodKind.MFA, at=NOW, amr=("otp",), id="a1", type="totp")

logins = st.builds(
    lambda passed, by_passkey: replace(LOGIN, passed=tuple(passed), by_passkey=by_passkey),
    st.lists(st.sampled_from(Stage), unique=True),
    st.booleans(),
)
facts = st.builds(Facts, email_verified=st.booleans(), has_second_factor=st.booleans())


# Stages


def test_stages_are_in_the_order_of_the_contract() -> None:
    assert [step.stage for step in STAGES] == [
        "login_by_code",
        "verify_email",
        "mfa_authenticate",
        "mfa_trust",
        "mfa_signup_webauthn",
    ]


@pytest.mark.parametrize(
    ("verified", "protected", "passed", "stage"),
    [
        (True, False, (), None),
        (False, False, (), Stage.VERIFY_EMAIL),
        (False, True, (), Stage.VERIFY_EMAIL),
        (True, True, (), Stage.MFA_AUTHENTICATE),
        (False, True, (Stage.VERIFY_EMAIL,), Stage.MFA_AUTHENTICATE),
        (False, True, (Stage.MFA_AUTHENTICATE,), Stage.VERIFY_EMAIL),
        (True, True, (Stage.MFA_AUTHENTICATE,), None),
    ],
)
def test_the_next_stage_is_the_first_that_is_needed_and_not_passed(
    verified: bool, protected: bool, passed: tuple[Stage, ...], stage: Stage | None
) -> None:
    login = replace(LOGIN, passed=passed)

    assert next_stage(login, Facts(email_verified=verified, has_second_factor=protected)) is stage


@given(logins, facts)
def test_a_login_is_complete_only_with_every_needed_stage_passed(
    login: Login, about: Facts
) -> None:
    """O1: whatever was passed in whatever order, nothing that is needed is left out."""
    if next_stage(login, about) is None:
        assert about.email_verified or Stage.VERIFY_EMAIL in login.passed
        made = Stage.MFA_SIGNUP_WEBAUTHN in login.passed
        assert not about.has_second_factor or made or Stage.MFA_AUTHENTICATE in login.passed
        assert made or not login.by_passkey


@given(facts)
def test_passing_stage_after_stage_comes_to_an_end(about: Facts) -> None:
    login, rounds = LOGIN, 0
    while (stage := next_stage(login, about)) is not None:
        login = pass_stage(login, stage)
        rounds += 1

    assert rounds <= len(STAGES)


def test_a_passkey_that_logs_in_alone_is_both_factors() -> None:
    """O1: it skips the second factor and nothing else."""
    about = Facts(email_verified=True, has_second_factor=True)
    passkey = replace(OTP, passwordless=True)

    assert next_stage(replace(LOGIN, methods=(OTP,)), about) is Stage.MFA_AUTHENTICATE
    assert next_stage(replace(LOGIN, methods=(passkey,)), about) is None
    unverified = replace(about, email_verified=False)
    assert next_stage(replace(LOGIN, methods=(passkey,)), unverified) is Stage.VERIFY_EMAIL
    asked = replace(LOGIN, methods=(passkey,), by_passkey=True)
    assert next_stage(asked, about) is Stage.MFA_SIGNUP_WEBAUTHN


def test_passing_a_stage_records_how_and_spends_the_code() -> None:
    login = replace(LOGIN, code=MailedCode(hash=b"x", made_at=NOW), methods=(PASSWORD,))
    passed = pass_stage(login, Stage.MFA_AUTHENTICATE, OTP)

    assert passed.methods == (PASSWORD, OTP)
    assert passed.code is None
    assert login.passed == ()


@pytest.mark.parametrize("access", Access)
@pytest.mark.parametrize("authenticated", [True, False])
@pytest.mark.parametrize("pending", [None, *Stage])
def test_access_is_by_list(access: Access, authenticated: bool, pending: Stage | None) -> None:
    """O2: nothing is open to a login under way but its own stage, to nobody but what is."""
    allowed = allows(access, authenticated=authenticated, pending=pending)

    match access:
        case Access.ANYONE | Access.LOGGED_OUT:  # the flows of the latter refuse
            assert allowed
        case Access.LOGGED_IN:
            assert allowed is (authenticated and pending is None)
        case Access.ADDRESS_PROOF:
            assert allowed is (pending is (None if authenticated else Stage.VERIFY_EMAIL))
        case _:
            assert allowed is (not authenticated and pending == access.value)


# Sessions

ACCOUNT = Account(
    id="u1",
    email="ada@example.org",
    email_verified=True,
    password_hash="$argon2id$",
    factor_epoch=3,
    session_epoch=2,
    disabled=False,
    register=Register(),
    mfa_rests_until=NOW,
)
LOGGED_IN = Session(
    id="s1",
    client=Client.APP,
    version=1,
    user_id="u1",
    session_epoch=2,
    created_at=NOW,
    expires_at=NOW + timedelta(days=14),
    authenticated_at=NOW,
)
UNDER_WAY = replace(
    LOGGED_IN, authenticated_at=None, login=replace(LOGIN, factor_epoch=3, session_epoch=2)
)


@pytest.mark.parametrize("session", [LOGGED_IN, UNDER_WAY])
@pytest.mark.parametrize(
    "account", [replace(ACCOUNT, disabled=True), replace(ACCOUNT, session_epoch=3)]
)
def test_a_session_ends_with_its_epoch_and_its_account(session: Session, account: Account) -> None:
    """O6: pending or not."""
    assert is_live(session, ACCOUNT, NOW)
    assert not is_live(session, account, NOW)


def test_a_change_of_factors_ends_logins_under_way_and_no_sessions() -> None:
    """O6: the factor epoch is bound into logins."""
    changed = replace(ACCOUNT, factor_epoch=4)

    assert not is_live(UNDER_WAY, changed, NOW)
    assert is_live(LOGGED_IN, changed, NOW)


@pytest.mark.parametrize(
    ("session", "lifetime"),
    [(LOGGED_IN, timedelta(days=14)), (UNDER_WAY, timedelta(minutes=15))],
)
def test_a_session_ends_on_time(session: Session, lifetime: timedelta) -> None:
    """O9: fifteen minutes for a login, even if its row said otherwise."""
    assert is_live(session, ACCOUNT, NOW + lifetime - timedelta(microseconds=1))
    assert not is_live(session, ACCOUNT, NOW + lifetime)


def test_a_session_of_nobody_is_none_and_its_login_leads_nowhere() -> None:
    """The decoy of a sign-up with a known address waits for a code for as long as any other."""
    assert not is_live(LOGGED_IN, None, NOW)
    assert is_live(UNDER_WAY, None, NOW)
    assert pending_stage(UNDER_WAY, None) is Stage.VERIFY_EMAIL


def test_a_row_that_is_both_pending_and_authenticated_is_neither() -> None:
    """O1: such a row cannot be; if it were, it would not count."""
    assert not is_live(replace(UNDER_WAY, authenticated_at=NOW), ACCOUNT, NOW)


def test_a_login_of_another_account_does_not_count() -> None:
    """O3: its user is the session's, or it is none."""
    assert not is_live(UNDER_WAY, replace(ACCOUNT, id="u2"), NOW)


# Methods


@pytest.mark.parametrize(
    ("methods", "references", "level"),
    [
        ((), (), 1),
        ((PASSWORD,), ("pwd",), 1),
        ((PASSWORD, PASSWORD), ("pwd",), 1),
        ((PASSWORD, OTP), ("pwd", "otp", "mfa"), 2),
    ],
)
def test_two_kinds_of_proof_make_the_second_level(
    methods: tuple[Method, ...], references: tuple[str, ...], level: int
) -> None:
    assert amr(methods) == references
    assert assurance_level(methods) == level


def test_a_session_keeps_so_many_methods_and_always_those_of_the_login() -> None:
    methods: tuple[Method, ...] = (PASSWORD, OTP)
    for number in range(100):
        at = NOW + timedelta(minutes=number)
        methods = add_method(methods, replace(PASSWORD, at=at, reauthenticated=True))

    assert len(methods) == MAX_METHODS
    assert methods[:2] == (PASSWORD, OTP)
    assert methods[-1].at == NOW + timedelta(minutes=99)


@pytest.mark.parametrize(
    ("age", "reauthenticated", "counts"),
    [(0, True, True), (299, True, True), (300, True, False), (0, False, False), (-1, True, False)],
)
def test_reauthentication_counts_for_its_window(
    age: int, reauthenticated: bool, counts: bool
) -> None:
    """N6: a login is none, and neither is a record from the future."""
    method = replace(PASSWORD, at=NOW - timedelta(seconds=age), reauthenticated=reauthenticated)

    assert reauthenticated_within([method], timedelta(minutes=5), NOW) is counts


# Limits


def test_rests_grow_from_five_minutes_to_a_day() -> None:
    """L1: and never shrink."""
    rests = [rest_after(failures, Limits().second_factor) for failures in range(LAST_FAILURE)]

    assert rests[:5] == [timedelta(0)] * 5
    assert rests[5:8] == [timedelta(minutes=m) for m in (5, 10, 20)]
    assert rests == sorted(rests)
    assert rests[-1] == timedelta(days=1)
    assert NOW + timedelta(days=365 * 1000) < FOR_EVER


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("unknown", "unknown"),
        ("", ""),
    ],
)
def test_an_origin_is_an_address_or_a_network(address: str, network: str) -> None:
    """L7: IPv6 by /64."""
    assert network_of(address) == network


def test_counters_of_different_actions_are_apart() -> None:
    rate = Rate(5, timedelta(minutes=1), Per.IP)

    assert counter_of("signup", rate, "192.0.2.7") != counter_of("login", rate, "192.0.2.7")


# Mailed codes


@given(st.randoms(use_true_random=False))
def test_codes_are_two_groups_of_letters(random: object) -> None:
    code = new_code(choose=random.choice)  # type: ignore[attr-defined]

    assert len(code) == 9
    assert code[4] == "-"
    assert set(code.replace("-", "")) <= set(ALPHABET)


@pytest.mark.parametrize("typed", ["BCDF-GHJK", "bcdfghjk", " b c-d\tf\n-ghjk ", "BCDFGHJK--"])
def test_codes_are_compared_without_case_dashes_and_spaces(typed: str) -> None:
    assert normalise_code(typed) == "BCDFGHJK"


@pytest.mark.parametrize(
    ("format", "shown"),
    [
        (CodeFormat(), r"[B-Z]{4}-[B-Z]{4}"),
        (CodeFormat(numeric=True), r"\d{3}-\d{3}-\d{3}"),
        (CodeFormat(numeric=True, length=6, dashed=False), r"\d{6}"),
        (CodeFormat(length=10), r"[B-Z]{4}-[B-Z]{4}-[B-Z]{2}"),
    ],
)
def test_codes_have_the_format_that_is_configured(format: CodeFormat, shown: str) -> None:
    assert re.fullmatch(shown, new_code(format))


def test_a_code_sent_anew_keeps_its_age_and_failures() -> None:
    rules = CodeRules(lifetime=timedelta(minutes=3), max_resends=1)
    code = MailedCode(hash=b"x", made_at=NOW, failures=2)
    anew = code.resent(b"y")

    assert code.can_be_resent(rules)
    assert not anew.can_be_resent(rules)
    assert anew.failed(rules) is None
    assert not anew.is_over(NOW + timedelta(seconds=179), rules)
    assert anew.is_over(NOW + timedelta(seconds=180), rules)


def test_a_code_may_be_missed_three_times() -> None:
    code: MailedCode | None = MailedCode(hash=b"x", made_at=NOW)
    tries = 0
    while code is not None:
        code = code.failed()
        tries += 1

    assert tries == 3


# Addresses


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("Ada@Example.ORG", "ada@example.org"),
        ("  ada@example.org\n", "ada@example.org"),
        ("\N{FULLWIDTH LATIN SMALL LETTER A}da@example.org", "ada@example.org"),
        ("ada+tag@sub.example.co.uk", "ada+tag@sub.example.co.uk"),
        ("a.b'c@example.org", "a.b'c@example.org"),
        ("a" * 64 + "@example.org", "a" * 64 + "@example.org"),
    ],
)
def test_an_address_has_one_form(text: str, address: str) -> None:
    """L6: what is canonical is counted, stored and mailed to."""
    assert parse_address(text) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ada",
        "@example.org",
        "ada@",
        "ada@localhost",
        "ada@example.123",
        "ada@@example.org",
        "ada@-example.org",
        "ada@example..org",
        ".ada@example.org",
        "ada.@example.org",
        "a da@example.org",
        "ada@exam ple.org",
        "ada@example.org\nBcc: eve@example.org",
        "ada\x00@example.org",
        '"ada"@example.org',
        "ada@[192.0.2.1]",
        "a" * 65 + "@example.org",
        "ada@" + "x" * 64 + ".org",
        "ada@" + "x." * 130 + "org",
        "äda@example.org",
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    assert parse_address(text) is None


@given(st.text())
def test_canonical_addresses_are_fixed_points(text: str) -> None:
    """L6: no second spelling of the canonical form."""
    address = parse_address(text)
    if address is not None:
        assert parse_address(address) == address
        assert address == address.strip().lower()
        assert display_of(address) == address.split("@")[0]


# Signals


def test_browsers_are_told_of_the_passkeys_of_one_rp_id_alone() -> None:
    """A list without those of another RP ID is no reason to forget them: it is not theirs."""
    old, new, other = (
        Entry(
            id=named,
            type=kind,
            created_at=NOW,
            facts={"rp_id": rp_id, "user_handle": "h", "credential_id": named},
        )
        for named, kind, rp_id in (
            ("old", "webauthn", "example.com"),
            ("new", "webauthn", "example.org"),
            ("other", "totp", "example.org"),
        )
    )
    register = Register(entries=(old, new, other))

    for known in (old, new):
        signal = all_accepted_credentials(register, known)
        assert signal is not None
        assert signal["allAcceptedCredentials"] == {
            "rpId": known.facts["rp_id"],
            "userId": "h",
            "allAcceptedCredentialIds": [known.id],
        }
