"""Logins: only the engine moves them, every stage is passed once, and everything fails closed."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import update

from services.session.domain.access import Access
from services.session.domain.addresses import parse_address
from services.session.domain.identifiers import by_address
from services.session.domain.limits import CONFIRM_EMAIL, Limits
from services.session.domain.password_reset import PasswordResets
from services.session.domain.sessions import Client, is_live
from services.session.domain.stages import Stage, pass_stage
from services.session.flows import Flows, Policy
from services.session.flows.outcomes import (
    Gone,
    LoginNeeded,
    Misfit,
    Refused,
    StageNeeded,
    Standing,
    Visit,
)
from services.session.flows.signup import Applicant
from services.session.store.tables import emails
from shared.database import Statement, step
from shared.factor import Verification
from shared.token import hash_token
from tests.session.house import (
    ADA,
    HOME,
    PASSWORD,
    Cut,
    House,
    Visitor,
    change_user,
    counted,
    faults_of,
    kinds,
    second_replica,
    unavailable,
)

NEW = Applicant(email="new@example.org")
NINES = "\N{FULLWIDTH DIGIT NINE}" * 6
WIDE = "\N{FULLWIDTH LATIN SMALL LETTER A}da@example.org"


def standing(outcome: object) -> Standing:
    assert isinstance(outcome, Standing), outcome
    return outcome


# Sessions


async def test_tokens_are_long_random_and_only_their_hash_is_kept(house: House) -> None:
    """N1: tokens have 256 bits, are stored as SHA-256, and looked up by it."""
    ada = await house.visitor().join()
    (row,) = await house.session_rows()

    assert ada.token is not None
    assert len(ada.token) == 43  # 32 bytes in base64url
    assert row.token_hash == hash_token(ada.token)
    assert ada.token not in str(dict(row))


async def test_every_step_of_a_login_has_a_token_of_its_own(house: House) -> None:
    """N2: a new token at the password stage and at completion; the one before is dead."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    tokens = [await _token_after(ada.log_in(), ada)]
    house.clock.turn(seconds=30)
    tokens.append(await _token_after(ada.log_in(), ada))
    tokens.append(await _token_after(ada.authenticate(ada.otp()), ada))

    assert len(set(tokens)) == 3
    for dead in tokens[:-1]:
        with pytest.raises(Gone):
            await replace_token(ada, dead).visit()
    assert (await ada.visit()).authenticated


async def _token_after(outcome: object, visitor: Visitor) -> str:
    await outcome  # type: ignore[misc]
    assert visitor.token is not None
    return visitor.token


def replace_token(visitor: Visitor, token: str | None) -> Visitor:
    return Visitor(visitor.house, address=visitor.address, client=visitor.client, token=token)


async def test_a_token_that_the_client_chose_is_never_adopted(house: House) -> None:
    """N2: fixation is impossible, for both clients."""
    await house.visitor().join()
    chosen = "x" * 43
    browser = Visitor(house, client=Client.BROWSER, token=chosen)
    await browser.log_in()

    assert browser.token != chosen
    with pytest.raises(Gone):
        await Visitor(house, token=chosen).log_in()


@pytest.mark.parametrize("token", ["unknown", "x" * 43, "x" * 5000, "ünbekannt", " "])
async def test_an_unknown_token_is_gone_for_an_app_and_nothing_for_a_browser(
    house: House, token: str
) -> None:
    with pytest.raises(Gone):
        await Visitor(house, token=token).visit()
    assert (await Visitor(house, client=Client.BROWSER, token=token).visit()).session is None


async def test_the_session_of_one_kind_of_client_is_none_for_the_other(house: House) -> None:
    """N8: app tokens and cookies are not interchangeable."""
    ada = await house.visitor().join()
    browser = Visitor(house, client=Client.BROWSER, token=ada.token)

    assert (await browser.visit()).session is None


async def test_a_browser_gets_a_new_token_when_it_reauthenticates(house: House) -> None:
    """N2: at reauthentication too; an app keeps its token."""
    app = await house.visitor().join()
    kept = app.token
    await app.reauthenticate()
    browser = Visitor(house, client=Client.BROWSER)
    await browser.log_in()
    before = browser.token
    await browser.reauthenticate()

    assert app.token == kept
    assert browser.token != before
    assert (await replace_token(browser, before).visit()).session is None


async def test_a_logout_is_final(house: House) -> None:
    """N3: the session is gone on the server, and its token with it."""
    ada = await house.visitor().join()
    token = ada.token
    await ada.log_out()

    assert await house.session_rows() == []
    with pytest.raises(Gone):
        await replace_token(ada, token).visit()


async def test_what_was_in_flight_does_not_revive_a_session(house: House) -> None:
    """N3: every late write finds the session gone, whatever step it belongs to."""
    ada = await (await house.visitor().join()).protect()
    visit = await ada.visit()
    await ada.log_out()
    flows = house.flows

    late_code = await flows.reauthenticate.by_code(visit, ada.otp())
    late_password = await flows.reauthenticate.by_password(visit, PASSWORD)

    assert isinstance(late_code, LoginNeeded)
    assert isinstance(late_password, LoginNeeded)
    assert await house.session_rows() == []


async def test_a_login_in_flight_does_not_outlive_its_logout(house: House) -> None:
    """N3: neither the password nor the second factor revives a login that was abandoned."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    await ada.log_in()
    visit = await ada.visit()
    await ada.log_out()

    assert isinstance(await house.flows.authenticate.authenticate(visit, ada.otp()), StageNeeded)
    assert await unavailable(house.flows.login.log_in(visit, by_address(ADA), PASSWORD))
    assert await house.session_rows() == []


async def test_a_session_has_an_end(house: House) -> None:
    ada = await house.visitor().join()
    house.clock.turn(days=14)

    with pytest.raises(Gone):
        await ada.visit()


# Stages


async def test_a_login_under_way_lives_fifteen_minutes(house: House) -> None:
    """O9: and passing a stage does not prolong it."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    await ada.log_in()
    house.clock.turn(minutes=14, seconds=59)
    assert (await ada.visit()).pending == "mfa_authenticate"
    house.clock.turn(seconds=1)

    with pytest.raises(Gone):
        await ada.visit()


RESETS = Policy(password_resets=PasswordResets(by_code=True))
STATES = (
    "nobody",
    "login_by_code",
    "verify_email",
    "mfa_authenticate",
    "mfa_trust",
    "mfa_signup_webauthn",
    "password_reset",
    "logged_in",
    "empty",
)
OPEN = {
    Access.ANYONE: set(STATES),
    Access.LOGGED_OUT: set(STATES),  # its flows refuse: see below
    Access.LOGIN_BY_CODE: {"login_by_code"},
    Access.ADDRESS_PROOF: {"verify_email", "logged_in"},
    Access.PASSWORD_RESET: {"password_reset"},
    Access.MFA_AUTHENTICATE: {"mfa_authenticate"},
    Access.MFA_TRUST: {"mfa_trust"},
    Access.MFA_SIGNUP_WEBAUTHN: {"mfa_signup_webauthn"},
    Access.LOGGED_IN: {"logged_in"},
}


async def visits_of(house: House) -> dict[str, Visit]:
    """Return a visit in each state that there is."""
    ada = await (await house.visitor().join()).protect()
    pending, unverified, empty = house.visitor(), house.visitor(), house.visitor()
    by_code, forgetful = house.visitor(), house.under(RESETS).visitor()
    await by_code.request_code()
    await forgetful.request_reset()
    await pending.log_in()
    await unverified.sign_up("bob@example.org")
    await empty.sign_up("eve@example.org")
    for _ in range(3):
        await empty.verify("wrong")
    visitors = {
        "nobody": house.visitor(),
        "login_by_code": by_code,
        "verify_email": unverified,
        "mfa_authenticate": pending,
        "password_reset": forgetful,
        "logged_in": ada,
        "empty": empty,
    }
    visits = {state: await visitor.visit() for state, visitor in visitors.items()}
    waiting = visits["mfa_authenticate"]
    return {
        **visits,
        "mfa_trust": asked_for_trust(waiting),
        "mfa_signup_webauthn": owing_a_passkey(waiting),
    }


def asked_for_trust(visit: Visit) -> Visit:
    """Return a visit as it is once the second factor has been given, in a browser."""
    assert visit.session is not None
    assert visit.session.login is not None
    login = pass_stage(replace(visit.session.login, asks_trust=True), Stage.MFA_AUTHENTICATE)
    return replace(visit, session=replace(visit.session, login=login))


def owing_a_passkey(visit: Visit) -> Visit:
    """Return a visit as it is once a sign-up without a password has come to its last stage."""
    assert visit.session is not None
    assert visit.session.login is not None
    login = pass_stage(replace(visit.session.login, by_passkey=True), Stage.MFA_AUTHENTICATE)
    return replace(visit, session=replace(visit.session, login=login))


async def test_each_state_is_admitted_to_its_own_endpoints_only(house: House) -> None:
    """O2: an allow-list; a login under way may call what its stage needs, and nothing else."""
    visits = await visits_of(house)

    for access in Access:
        admitted = {s for s, visit in visits.items() if not house.flows.visits.admit(visit, access)}
        assert admitted == OPEN[access], access


async def refuse_other_stages(flows: Flows, state: str, visit: Visit) -> None:
    """Ask for every stage but the one that `visit` is in."""
    if state != "login_by_code":
        assert await flows.login_by_code.confirm(visit, "BCDF-GHJK") == Misfit()
        assert await flows.login_by_code.resend(visit) == Misfit()
    if state != "verify_email":
        assert await flows.verify_email.verify(visit, "BCDF-GHJK") == Misfit()
    if state != "mfa_authenticate":
        refused = await flows.authenticate.authenticate(visit, "123456")
        assert isinstance(refused, StageNeeded)
    if state != "password_reset":
        assert await flows.reset_password.show(visit, "BCDF-GHJK") == Misfit()
        assert await flows.reset_password.reset(visit, "BCDF-GHJK", PASSWORD) == Misfit()
    if state != "mfa_trust":
        refused = await flows.trust.decide(visit, trusts=False)
        assert isinstance(refused, StageNeeded)
    if state != "mfa_signup_webauthn":
        assert await flows.passkey_signup.options(visit) == Misfit()
        assert await flows.passkey_signup.complete(visit, None, {"id": "a"}) == Misfit()


async def test_flows_refuse_what_the_edge_should_not_have_let_through(house: House) -> None:
    """O2: no flow relies on having been admitted."""
    visits = await visits_of(house)
    flows = house.under(RESETS).flows
    for state, visit in visits.items():
        await refuse_other_stages(flows, state, visit)
        if state == "logged_in":
            assert await flows.login.log_in(visit, by_address(ADA), PASSWORD) == Misfit()
            assert await flows.signup.sign_up(visit, NEW, PASSWORD) == Misfit()
            assert await flows.signup.sign_up_by_passkey(visit, NEW) == Misfit()
            continue
        for refused in (
            await flows.reauthenticate.by_password(visit, PASSWORD),
            await flows.reauthenticate.by_code(visit, "123456"),
            await flows.authenticators.list(visit),
            await flows.totp.show(visit),
            await flows.totp.activate(visit, "123456"),
            await flows.totp.deactivate(visit),
            await flows.webauthn.options(visit, passwordless=True),
            await flows.webauthn.add(visit, None, {"id": "a"}),
            await flows.webauthn.rename(visit, "a", "b"),
            await flows.webauthn.remove(visit, ["a"]),
            await flows.trusted_browsers.list(visit),
            await flows.trusted_browsers.revoke(visit, ["b1"]),
            await flows.trusted_browsers.revoke_all(visit),
        ):
            assert isinstance(refused, LoginNeeded), state


async def test_a_stage_is_passed_once(house: House) -> None:
    """O1: each move is conditional on the version that was read."""
    ada = house.visitor()
    await ada.sign_up()
    code = await house.code()
    visit = await ada.visit()
    first = await house.flows.verify_email.verify(visit, code)
    second = await house.flows.verify_email.verify(visit, code)

    assert standing(first).visit.authenticated
    assert second == Misfit()


async def test_a_new_login_takes_the_place_of_the_one_under_way(house: House) -> None:
    """O3: what the old one had proved is dropped, and a result meant for it counts for nothing."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    await ada.log_in()
    old = await ada.visit()
    again = standing(await ada.log_in())
    late = await house.flows.authenticate.authenticate(old, ada.otp())
    house.clock.turn(seconds=30)
    done = standing(await ada.authenticate(ada.otp()))

    assert again.visit.session is not None
    assert old.session is not None
    assert again.visit.session.login != old.session.login
    assert isinstance(late, StageNeeded)
    assert kinds(done) == ["password", "mfa"]


async def test_a_login_of_another_person_does_not_inherit_anything(house: House) -> None:
    """O3: the second factor of one login does not serve another in the same session."""
    ada = await (await house.visitor().join()).protect()
    bob = await (await house.visitor().join("bob@example.org")).protect()
    stranger = house.visitor()
    await stranger.log_in()
    visit = await stranger.visit()
    await stranger.log_in("bob@example.org")

    refused = await house.flows.authenticate.authenticate(visit, ada.otp())
    assert isinstance(refused, StageNeeded)
    wrong_person = await stranger.authenticate(bob.wrong_otp())
    assert faults_of(wrong_person) == ["incorrect_code"]


@pytest.mark.parametrize("cut", Cut)
async def test_a_login_waits_while_its_factor_is_away(house: House, cut: Cut) -> None:
    """O4: a factor that is down leaves the login pending, and nothing is counted."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    await ada.log_in()
    house.wire.cut("POST", "verifications", cut)

    assert await unavailable(ada.authenticate(ada.otp()))
    assert (await ada.visit()).pending == "mfa_authenticate"
    assert (await house.user()).mfa_failures == 0
    house.clock.turn(seconds=30)
    assert standing(await ada.authenticate(ada.otp())).visit.authenticated


@pytest.mark.parametrize("code", ["", " ", "0", "true", "null", NINES, "1" * 1000, "\x00", "[]"])
async def test_odd_input_never_passes_a_stage(house: House, code: str) -> None:
    """O4: an empty or odd code is a wrong code."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    await ada.log_in()

    assert faults_of(await ada.authenticate(code)) == ["incorrect_code"]
    assert (await ada.visit()).pending == "mfa_authenticate"
    unverified = house.visitor()
    await unverified.sign_up("bob@example.org")
    assert faults_of(await unverified.verify(code)) == ["incorrect_code"]


class Liar:
    """A factor whose answers make no sense."""

    def __init__(self, **answer: object) -> None:
        self._answer = {"accepted": True, "user_id": None, "authenticator_id": None, **answer}

    async def verify(self, user_id: str, **_: object) -> Verification:
        return Verification.model_validate({"user_id": user_id, **self._answer})


@pytest.mark.parametrize(
    "answer",
    [
        {"accepted": False, "authenticator_id": "REGISTERED"},
        {"accepted": True, "authenticator_id": None},
        {"accepted": True, "authenticator_id": "of-somebody-else"},
    ],
)
async def test_the_answer_of_a_factor_is_looked_at(house: House, answer: dict[str, object]) -> None:
    """O5: refused, or accepted for an authenticator that is not registered: no."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    await ada.log_in()
    if answer["authenticator_id"] == "REGISTERED":
        answer = {**answer, "authenticator_id": (await house.registered())[0]}
    house.factors["totp"] = Liar(**answer)  # type: ignore[assignment]

    assert faults_of(await ada.authenticate("123456")) == ["incorrect_code"]
    assert (await ada.visit()).pending == "mfa_authenticate"


@pytest.mark.parametrize(
    "change", [{"factor_epoch": 99}, {"session_epoch": 99}, {"disabled_at": 1}]
)
async def test_a_changed_or_disabled_account_ends_logins_under_way(
    house: House, change: dict[str, int]
) -> None:
    """O6: a change of the password or of factors and disabling, before or during the last step."""
    ada = await (await house.visitor().join()).protect()
    await ada.log_out()
    await ada.log_in()
    visit = await ada.visit()
    await change_user(house, **change)

    with pytest.raises(Gone):
        await ada.visit()
    late = await house.flows.authenticate.authenticate(visit, ada.otp())
    assert isinstance(late, StageNeeded)


@pytest.mark.parametrize("change", [{"session_epoch": 99}, {"disabled_at": 1}])
async def test_a_change_of_the_account_ends_its_sessions(
    house: House, change: dict[str, int]
) -> None:
    """O6: disabled accounts have no sessions, and cannot log in."""
    ada = await house.visitor().join()
    await change_user(house, **change)

    with pytest.raises(Gone):
        await ada.visit()


async def test_a_disabled_account_is_refused_like_a_wrong_password(house: House) -> None:
    """O6: nor is it told that it is disabled."""
    await house.visitor().join()
    await change_user(house, disabled_at=1)

    assert faults_of(await house.visitor().log_in()) == ["email_password_mismatch"]


async def test_every_way_in_asks_for_the_second_factor(house: House) -> None:
    """O8: the password of a protected account, and verification by mail, run the same engine."""
    ada = await (await house.visitor().join()).protect()
    for client in Client:
        visitor = Visitor(house, client=client)
        assert standing(await visitor.log_in()).visit.pending == "mfa_authenticate"
    await change_email_to_unverified(house)
    mailed = house.visitor()
    assert standing(await mailed.log_in()).visit.pending == "verify_email"
    after = standing(await mailed.verify(await house.code()))

    assert after.visit.pending == "mfa_authenticate"
    assert not after.visit.authenticated
    mailed.secret = ada.secret
    assert standing(await mailed.authenticate(mailed.otp())).visit.authenticated


async def test_a_mailed_code_does_not_pass_by_a_second_factor_of_meanwhile(house: House) -> None:
    """O6, O8: TOTP is turned on between what the stage reads and what it writes."""
    ada = house.visitor()
    await ada.sign_up()
    code = await house.code()
    async with second_replica(house) as replica:
        late = replica.visitor()
        house.clock.turn(seconds=10)  # so that another code is mailed
        await late.log_in()
        late_code = await house.code()
        visit = await late.visit()
        assert visit.pending == "verify_email"
        await ada.verify(code)
        await ada.protect()

        assert await replica.flows.verify_email.verify(visit, late_code) == Misfit()
        with pytest.raises(Gone):
            await late.visit()
    authenticated = [r for r in await house.session_rows() if r.authenticated_at is not None]
    assert len(authenticated) == 1


@pytest.mark.parametrize("change", [{"session_epoch": 99}, {"disabled_at": 1}])
async def test_a_mailed_code_in_flight_does_not_outlive_a_change_of_the_account(
    house: House, change: dict[str, int]
) -> None:
    """O6: neither a change of the password nor disabling."""
    ada = house.visitor()
    await ada.sign_up()
    visit = await ada.visit()
    await change_user(house, **change)

    assert await house.flows.verify_email.verify(visit, await house.code()) == Misfit()


async def change_email_to_unverified(house: House) -> None:
    await house.db.apply(step(Statement(update(emails).values(verified_at=None))))


async def test_a_right_code_of_another_session_proves_no_address(house: House) -> None:
    one, other = house.visitor(), house.visitor()
    await one.sign_up()
    code = await house.code()
    await other.sign_up("bob@example.org")

    assert faults_of(await other.verify(code)) == ["incorrect_code"]


async def test_the_third_wrong_code_ends_the_process(house: House) -> None:
    ada = house.visitor()
    await ada.sign_up()
    code = await house.code()
    for _ in range(3):
        assert faults_of(await ada.verify("BCDF-GHJK")) == ["incorrect_code"]

    assert await ada.verify(code) == Misfit()
    assert (await ada.visit()).pending is None


async def test_parallel_guesses_of_a_mailed_code_are_judged_three_times(pg_house: House) -> None:
    """O1: the attempt is part of the state that each move is conditional on."""
    ada = pg_house.visitor()
    await ada.sign_up()
    guesses = await asyncio.gather(*(ada.verify(f"BCDF-GHJ{c}") for c in "BCDFGHJKLMNPQRSTVWXZ"))

    judged = [guess for guess in guesses if isinstance(guess, Refused)]
    assert 1 <= len(judged) <= 3
    assert all(guess == Misfit() for guess in guesses if guess not in judged)


async def test_codes_are_compared_without_case_dashes_and_spaces(house: House) -> None:
    ada = house.visitor()
    await ada.sign_up()
    code = await house.code()

    sloppy = f" {code[:2]} {code[2:].lower().replace('-', ' ')} "
    assert standing(await ada.verify(sloppy)).visit.authenticated


async def test_a_known_address_gets_the_same_answer_and_no_code(house: House) -> None:
    await house.visitor().join()
    house.clock.turn(seconds=10)
    stranger, newcomer = house.visitor(), house.visitor()
    known = standing(await stranger.sign_up(ADA, "another-horse-9"))
    (mail,) = await house.mails()
    unknown = standing(await newcomer.sign_up("bob@example.org", "another-horse-9"))
    (other,) = await house.mails()

    assert (mail.kind, mail.to, mail.facts) == ("account_exists", ADA, {})
    assert other.kind == "verification_code"
    assert known.visit.pending == unknown.visit.pending == "verify_email"
    for _ in range(3):
        assert faults_of(await stranger.verify("BCDF-GHJK")) == ["incorrect_code"]
    assert await stranger.verify("BCDF-GHJK") == Misfit()
    assert faults_of(await house.visitor().log_in(ADA, "another-horse-9")) == [
        "email_password_mismatch"
    ]


async def test_of_two_sign_ups_with_one_address_one_has_the_account(pg_house: House) -> None:
    limits = Limits(account={**Limits().account, CONFIRM_EMAIL: ()})
    pg_house = pg_house.under(Policy(limits=limits))
    visitors = [pg_house.visitor() for _ in range(4)]
    outcomes = await asyncio.gather(*(visitor.sign_up() for visitor in visitors))
    kinds = [mail.kind for mail in await pg_house.mails()]

    assert all(standing(outcome).visit.pending == "verify_email" for outcome in outcomes)
    assert kinds == ["verification_code"] * 4
    assert await pg_house.user() is not None


async def test_of_two_who_have_codes_for_one_address_one_has_the_account(pg_house: House) -> None:
    """O6: whether it is the first to sign up, who made it, or another who takes it over."""
    limits = Limits(account={**Limits().account, CONFIRM_EMAIL: ()})
    pg_house = pg_house.under(Policy(limits=limits))
    visits, codes = [], []
    for _ in range(4):
        visitor = pg_house.visitor()
        await visitor.sign_up()
        visits.append(await visitor.visit())
        codes.append(await pg_house.code())
    flow = pg_house.flows.verify_email
    outcomes = await asyncio.gather(*map(flow.verify, visits, codes))

    (winner,) = [outcome for outcome in outcomes if isinstance(outcome, Standing)]
    assert [outcome for outcome in outcomes if outcome is not winner] == [Misfit()] * 3
    session = await pg_house.store.find_session(hash_token(str(winner.token)), Client.APP)
    assert session is not None
    assert is_live(session.session, session.account, pg_house.clock())


# Addresses that an account without a way in does not hold


async def test_who_owns_the_address_takes_an_account_that_was_never_verified(house: House) -> None:
    """The password of whoever was first goes with that, and so does their login."""
    squatter = house.visitor()
    await squatter.sign_up(ADA, "squatters-horse-9")
    await house.mails()
    house.clock.turn(seconds=10)
    ada = house.visitor()
    asked = standing(await ada.sign_up())

    assert (asked.visit.pending, asked.visit.account) == ("verify_email", None)
    assert faults_of(await house.visitor().log_in()) == ["email_password_mismatch"]
    opened = standing(await ada.verify(await house.code()))

    assert opened.visit.authenticated
    assert (await ada.visit()).authenticated
    with pytest.raises(Gone):
        await squatter.visit()
    assert faults_of(await house.visitor().log_in(ADA, "squatters-horse-9")) == [
        "email_password_mismatch"
    ]
    assert standing(await house.visitor().log_in()).visit.authenticated
    assert (await house.events())[:5] == [
        "signed_up",
        "signup_repeated",
        "login_failed",
        "account_reclaimed",
        "email_verified",
    ]


async def test_an_account_is_not_taken_without_the_code_or_once_it_is_verified(
    house: House,
) -> None:
    ada, squatter = house.visitor(), house.visitor()
    await ada.sign_up()
    code = await house.code()
    house.clock.turn(seconds=10)
    await squatter.sign_up(ADA, "squatters-horse-9")
    theirs = await house.code()

    assert faults_of(await squatter.verify(code)) == ["incorrect_code"]
    assert standing(await ada.verify(code)).visit.authenticated
    assert standing(await ada.elsewhere().log_in()).visit.authenticated
    assert (await squatter.visit()).pending is Stage.VERIFY_EMAIL
    assert await squatter.verify(theirs) == Misfit()
    assert (await ada.visit()).authenticated


async def test_a_disabled_account_holds_its_address(house: House) -> None:
    await house.visitor().sign_up()
    await change_user(house, disabled_at=1)
    await house.mails()
    house.clock.turn(seconds=10)

    await house.visitor().sign_up()

    (told,) = await house.mails()
    assert told.kind == "account_exists"


async def test_a_sign_up_costs_the_same_whoever_has_the_address(house: House) -> None:
    """Be it nobody, somebody, or somebody who never got into the account."""
    await house.visitor().join("known@example.org")
    await house.visitor().sign_up("unfinished@example.org")
    spent = []
    for name in ("new", "known", "unfinished"):
        house.clock.turn(minutes=10)
        before = counted()
        await house.visitor().sign_up(f"{name}@example.org")
        spent.append({kind: total - before[kind] for kind, total in counted().items()})

    assert spent[0] == spent[1] == spent[2]


async def test_sign_ups_from_one_origin_are_limited(house: House) -> None:
    outcomes = [await house.visitor().sign_up(f"p{n}@example.org") for n in range(21)]

    assert sum(isinstance(outcome, Standing) for outcome in outcomes) == 20
    assert getattr(outcomes[-1], "retry_after", None) == timedelta(minutes=1)


async def test_an_address_has_one_account_in_every_spelling(house: House) -> None:
    """L6: the edge hands on canonical addresses; the account is the one of that form."""
    await house.visitor().join()
    for spelling in (
        "ADA@example.org",
        " ada@EXAMPLE.org ",
        WIDE,
    ):
        canonical = parse_address(spelling)
        assert canonical is not None
        assert standing(await house.visitor(HOME).log_in(canonical)).visit.authenticated
