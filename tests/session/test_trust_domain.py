"""When a login asks whether its browser is to be trusted, and what a trusted one stands in for."""

from dataclasses import replace
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.session.api.browser import SEPARATOR, trust_tokens_of
from services.session.domain.access import Access, allows
from services.session.domain.stages import Facts, Login, Stage, next_stage, pass_stage
from shared.trust import MAX_TOKENS

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
LOGIN = Login(id="l1", user_id="u1", email="ada@example.org", started_at=NOW)
PROTECTED = Facts(email_verified=True, has_second_factor=True)
logins = st.builds(
    lambda passed, asks, wants, trusts, trusted: replace(
        LOGIN,
        passed=tuple(passed),
        asks_trust=asks,
        wants_code=wants,
        code_trusts=trusts,
        trusted_browser=trusted,
    ),
    st.lists(st.sampled_from(Stage), unique=True),
    st.booleans(),
    st.booleans(),
    st.booleans(),
    st.sampled_from([None, "b1"]),
)
facts = st.builds(Facts, email_verified=st.booleans(), has_second_factor=st.booleans())


def test_trust_is_asked_for_last_and_once() -> None:
    """K4: after a second factor that was given in this very login."""
    login = replace(LOGIN, asks_trust=True)
    assert next_stage(login, PROTECTED) is Stage.MFA_AUTHENTICATE
    login = pass_stage(login, Stage.MFA_AUTHENTICATE)
    assert next_stage(login, PROTECTED) is Stage.MFA_TRUST
    assert next_stage(pass_stage(login, Stage.MFA_TRUST), PROTECTED) is None


@given(logins, facts)
def test_nobody_is_asked_who_gave_nothing_that_trust_stands_in_for(
    login: Login, about: Facts
) -> None:
    """K4: nor anybody whose login was not to be asked when it began."""
    by_factor = Stage.MFA_AUTHENTICATE in login.passed and login.asks_trust
    by_code = Stage.LOGIN_BY_CODE in login.passed and login.code_trusts
    if not by_factor and not by_code:
        assert next_stage(login, about) is not Stage.MFA_TRUST


def test_trust_is_asked_for_after_a_code_that_was_required() -> None:
    """Once, however many there are to be asked after."""
    login = replace(LOGIN, asks_trust=True, wants_code=True, code_trusts=True)
    alone = Facts(email_verified=True, has_second_factor=False)
    assert next_stage(login, alone) is Stage.LOGIN_BY_CODE
    login = pass_stage(login, Stage.LOGIN_BY_CODE)
    assert next_stage(login, alone) is Stage.MFA_TRUST
    assert next_stage(login, PROTECTED) is Stage.MFA_AUTHENTICATE
    login = pass_stage(pass_stage(login, Stage.MFA_AUTHENTICATE), Stage.MFA_TRUST)
    assert next_stage(login, PROTECTED) is None


@given(logins, facts)
def test_a_trusted_browser_skips_what_trust_is_for_and_nothing_else(
    login: Login, about: Facts
) -> None:
    """K3: every other stage is as it is without."""
    trusted = replace(login, trusted_browser="b1")
    stage = next_stage(replace(login, trusted_browser=None), about)
    spared = {Stage.MFA_AUTHENTICATE: login.asks_trust, Stage.LOGIN_BY_CODE: login.code_trusts}

    if stage is not None and spared.get(stage):
        assert next_stage(trusted, about) is not stage
    else:
        assert next_stage(trusted, about) is stage


def test_the_question_is_answered_only_where_it_is_asked() -> None:
    """O2, K4."""
    assert allows(Access.MFA_TRUST, authenticated=False, pending=Stage.MFA_TRUST)
    for stage in (None, Stage.VERIFY_EMAIL, Stage.MFA_AUTHENTICATE):
        assert not allows(Access.MFA_TRUST, authenticated=False, pending=stage)
    assert not allows(Access.MFA_TRUST, authenticated=True, pending=None)
    assert not allows(Access.MFA_AUTHENTICATE, authenticated=False, pending=Stage.MFA_TRUST)


TOKENS = [f"{'s' * 21}{n}.{'t' * 21}{n}" for n in "0123456789ab"]


def test_tokens_are_read_strictly() -> None:
    """K5: what is no token is not there."""
    good = TOKENS[0]
    for bad in (
        "",
        "~",
        "x",
        good[:-1],
        f"{good}x",
        f" {good}",
        f"{good}\n",
        good.replace(".", "-"),
    ):
        assert trust_tokens_of(bad) == ()
        assert trust_tokens_of(SEPARATOR.join((bad, good))) == (good,)


def test_of_too_many_tokens_the_newest_are_read() -> None:
    twice = SEPARATOR.join([*TOKENS, *TOKENS])

    assert trust_tokens_of(twice) == tuple(TOKENS[-MAX_TOKENS:])


@given(st.text(max_size=200))
def test_no_cookie_is_too_strange(text: str) -> None:
    assert len(trust_tokens_of(text)) <= MAX_TOKENS
