"""Access and refresh tokens: given at a login, renewed one by one, and dead with their session."""

from datetime import timedelta
from typing import Any

import jwt
import pytest
from sqlalchemy import select

from services.session.domain.mails import MailKind
from services.session.domain.sessions import Client, recorded_id
from services.session.flows import Policy, Tracking
from services.session.flows.outcomes import Gone, Refreshed, Refused, Standing
from services.session.flows.tokens import REFUSED
from services.session.store.tables import refresh_tokens
from shared.clock import to_micros
from shared.database import Row, Statement
from tests.session.house import ADA, PASSWORD, House, change_user, counted
from tests.session.tokens import App, join, rules, tokens_of

NEW_PASSWORD = "battery-staple-12"
ROWS = Statement(select(*refresh_tokens.c))


@pytest.fixture
def jwt_house(house: House) -> House:
    """A house that gives tokens."""
    return house.under(Policy(tokens=rules()))


@pytest.fixture
async def ada(jwt_house: House) -> App:
    """The app of somebody who is logged in, and has been told everything so far."""
    app = await join(jwt_house)
    await jwt_house.notices()
    return app


def claims_of(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


async def rows(house: House) -> list[Row]:
    return await house.db.all(ROWS)


async def is_over(app: App) -> bool:
    """Tell whether the session of an app is over, by the token that only that has."""
    try:
        return not (await app.visitor.visit()).authenticated
    except Gone:
        return True


async def is_gone(app: App) -> bool:
    """Tell whether the access token is told to be that of a session that is over."""
    try:
        await app.visit()
    except Gone:
        return True
    return False


# Given


async def test_tokens_are_given_when_somebody_is_logged_in(jwt_house: House) -> None:
    visitor = jwt_house.visitor()

    waiting = await visitor.sign_up()
    assert isinstance(waiting, Standing)
    assert waiting.tokens is None
    tokens = tokens_of(await visitor.verify(await jwt_house.code()))

    session = (await visitor.visit()).session
    assert session is not None
    for token in (tokens.access, tokens.refresh):
        claims = claims_of(token or "")
        assert claims["sub"] == (await jwt_house.user()).id
        assert claims["sid"] == recorded_id(session.id)


async def test_no_token_is_given_before_the_second_factor(jwt_house: House) -> None:
    """O8: an access token is a login, so it takes all stages."""
    ada = await (await jwt_house.visitor().join()).protect()
    other = ada.elsewhere()

    pending = await other.log_in()
    assert isinstance(pending, Standing)
    assert pending.tokens is None
    assert len(await rows(jwt_house)) == 1
    claims = claims_of(tokens_of(await other.authenticate(other.otp())).access)

    assert (claims["acr"], claims["amr"]) == ("aal2", ["pwd", "otp", "mfa"])


async def test_a_browser_is_given_none(jwt_house: House) -> None:
    """N8: what an app holds is no cookie, and the other way round."""
    visitor = jwt_house.visitor(client=Client.BROWSER)
    await visitor.sign_up()

    outcome = await visitor.verify(await jwt_house.code())

    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated
    assert outcome.tokens is None
    assert await rows(jwt_house) == []


async def test_with_sessions_alone_none_is_given_and_none_taken(house: House) -> None:
    given = await join(house.under(Policy(tokens=rules())))
    app = App(house.visitor(), given.access, given.refresh)
    visitor = house.visitor()

    outcome = await visitor.log_in()

    assert isinstance(outcome, Standing)
    assert outcome.tokens is None
    assert await app.renew() == REFUSED
    assert not (await app.visit()).authenticated
    assert len(await rows(house)) == 1


async def test_no_token_is_kept(ada: App) -> None:
    """D1: of refresh tokens there are hashes, of access tokens nothing."""
    (row,) = await rows(ada.house)

    assert row.previous_hash is None
    for token in (ada.access, ada.refresh):
        kept = str(dict(row)).encode() + row.current_hash
        assert token.encode() not in kept
        assert claims_of(token)["jti"].encode() not in kept


async def test_tokens_cost_no_statement_at_a_login(house: House) -> None:
    costs = []
    await house.visitor().join()
    for here in (house, house.under(Policy(tokens=rules()))):
        before = counted()
        await here.visitor().log_in()
        costs.append({kind: total - before[kind] for kind, total in counted().items()})

    assert costs[0] == costs[1] == {"read": 1, "write": 1, "commit": 1}


# Access tokens


async def test_an_access_token_stands_for_its_session(ada: App) -> None:
    """By one statement."""
    before = counted()

    visit = await ada.visit()

    after = counted()
    assert visit.authenticated
    assert visit == await ada.visitor.visit()
    assert after["read"] - before["read"] == 1
    assert (after["write"], after["commit"]) == (before["write"], before["commit"])


async def log_out(app: App) -> None:
    await app.visitor.log_out()


async def end_all(app: App) -> None:
    other = app.visitor.elsewhere()
    await other.log_in()
    await other.end_all_sessions()


async def disable(app: App) -> None:
    await change_user(app.house, disabled_at=1)


async def change_elsewhere(app: App) -> None:
    other = app.visitor.elsewhere()
    await other.log_in()
    await other.change_password(PASSWORD, NEW_PASSWORD)


async def change_here(app: App) -> None:
    await app.visitor.change_password(PASSWORD, NEW_PASSWORD)


async def grow_old(app: App) -> None:
    """Let the session be over by age, with tokens that would be good for longer."""
    app.house.clock.turn(days=14)


ENDINGS = [log_out, end_all, disable, change_elsewhere, change_here]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_an_access_token_is_dead_with_its_session(ada: App, ending: Any) -> None:
    """N3, N4: here at once, whatever other services still believe for its minutes."""
    await ending(ada)

    assert await is_gone(ada)


@pytest.mark.parametrize("ending", ENDINGS)
async def test_with_stateful_validation_it_then_counts_as_none(house: House, ending: Any) -> None:
    """As with allauth's HEADLESS_JWT_STATEFUL_VALIDATION_ENABLED."""
    ada = await join(house.under(Policy(tokens=rules(stateful=True))))
    assert (await ada.visit()).authenticated

    await ending(ada)

    visit = await ada.visit()
    assert visit.session is None
    assert visit.account is None


async def test_an_access_token_that_has_expired_counts_as_none(ada: App) -> None:
    """As by allauth: the client is told to log in, and has its refresh token."""
    ada.house.clock.turn(minutes=5)

    assert (await ada.visit()).session is None
    assert not await is_over(ada)


async def test_an_unused_session_is_over_for_its_access_token_too(house: House) -> None:
    """N5: it is judged like any other way to show the session."""
    lasting = rules(access_lifetime=timedelta(hours=1))
    tracking = Tracking(idle=timedelta(minutes=30))
    ada = await join(house.under(Policy(tokens=lasting, tracking=tracking)))
    ada.house.clock.turn(minutes=29)
    assert (await ada.visit()).authenticated

    ada.house.clock.turn(minutes=30)

    assert await is_gone(ada)


async def test_a_refresh_token_opens_no_session(ada: App) -> None:
    ada.access = ada.refresh

    assert (await ada.visit()).session is None


# Renewal


async def test_a_refresh_token_gives_others(ada: App) -> None:
    """By one statement to read and one to write."""
    before, old = counted(), (ada.access, ada.refresh)
    ada.house.clock.turn(minutes=6)

    outcome = await ada.renew()

    after = counted()
    assert isinstance(outcome, Refreshed)
    assert {kind: after[kind] - before[kind] for kind in after} == {
        "read": 1,
        "write": 1,
        "commit": 1,
    }
    assert not {ada.access, ada.refresh} & set(old)
    assert (await ada.visit()).authenticated
    now = int(ada.house.clock().timestamp())
    assert claims_of(ada.access)["exp"] == now + 300
    assert claims_of(ada.refresh)["exp"] == now + 86400


async def test_they_can_be_renewed_again_and_again_until_the_session_ends(ada: App) -> None:
    """N5: its life is not extended by it, and no token says that it were."""
    ends_at = (await ada.house.session_rows())[0].expires_at
    for _ in range(13):
        ada.house.clock.turn(hours=23, minutes=59)
        assert isinstance(await ada.renew(), Refreshed)

    assert (await ada.house.session_rows())[0].expires_at == ends_at
    ada.house.clock.turn(hours=23, minutes=59)
    assert isinstance(await ada.renew(), Refreshed)
    for token in (ada.access, ada.refresh):
        assert claims_of(token)["exp"] * 1_000_000 <= ends_at
    ada.house.clock.now = ada.house.clock.now + timedelta(hours=1)
    assert to_micros(ada.house.clock()) > ends_at
    assert await ada.renew() == REFUSED


async def test_a_proof_that_was_given_since_is_told(ada: App) -> None:
    """For services that want one of the last minutes, and send the app to have it made."""
    made_at = claims_of(ada.access)["auth_time"]
    ada.house.clock.turn(minutes=4)
    await ada.renew()
    assert claims_of(ada.access)["auth_time"] == made_at
    await ada.visitor.reauthenticate()

    await ada.renew()

    assert claims_of(ada.access)["auth_time"] == made_at + 240


async def test_a_lost_answer_is_asked_for_again(ada: App) -> None:
    """The token of before is good while its successor has not been used; that one is dropped."""
    first = ada.refresh
    await ada.renew()
    lost = ada.refresh

    assert isinstance(await ada.renew(first), Refreshed)
    assert isinstance(await ada.renew(first), Refreshed)
    assert isinstance(await ada.renew(), Refreshed)
    assert not await is_over(ada)
    assert await ada.renew(lost) == REFUSED
    assert await is_over(ada)


async def test_what_was_replaced_and_used_again_ends_the_session(ada: App) -> None:
    """Of two who have it nobody can tell which is the owner: neither goes on."""
    thief = ada.copy()
    await ada.renew()
    await ada.renew()

    assert await thief.renew() == REFUSED

    assert await is_over(ada)
    assert await ada.renew() == REFUSED
    assert await is_gone(ada)
    assert await rows(ada.house) == []


async def test_a_thief_who_is_faster_is_found_out_by_the_owner(ada: App) -> None:
    thief = ada.copy()
    assert isinstance(await thief.renew(), Refreshed)
    assert isinstance(await thief.renew(), Refreshed)

    assert await ada.renew() == REFUSED

    assert await thief.renew() == REFUSED
    assert await is_over(ada)


async def test_a_reuse_is_on_record_and_told_by_mail_once(ada: App) -> None:
    """D4: by the hash of the session, and no token is in either."""
    thief, session = ada.copy(), (await ada.visitor.visit()).session
    await ada.renew()
    await ada.renew()
    await thief.renew()
    await thief.renew()

    events = [e for e in await ada.house.event_rows() if e.type.endswith("refresh_token_reused")]
    (mail,) = await ada.house.notices()
    assert session is not None
    assert [event.subject for event in events] == [(await ada.house.user()).id]
    assert events[0].data == f'{{"session":"{recorded_id(session.id)}"}}'
    assert (mail.kind, mail.to) == (MailKind.REFRESH_TOKEN_REUSED, ADA)
    for text in (str(mail.facts), events[0].data):
        assert thief.refresh not in text
        assert ada.refresh not in text


async def test_other_sessions_of_the_person_go_on(ada: App) -> None:
    other = ada.visitor.elsewhere()
    tokens = tokens_of(await other.log_in())
    thief = ada.copy()
    await ada.renew()
    await ada.renew()
    await thief.renew()

    app = App(other, tokens.access, tokens.refresh or "")
    assert isinstance(await app.renew(), Refreshed)
    assert not await is_over(app)


@pytest.mark.parametrize("ending", [*ENDINGS, grow_old])
async def test_nothing_is_renewed_once_the_session_is_over(house: House, ending: Any) -> None:
    """N3, N4: and nobody is told of a theft that there was not."""
    lasting = rules(refresh_lifetime=timedelta(days=365))
    ada = await join(house.under(Policy(tokens=lasting)))

    await ending(ada)

    assert await ada.renew() == REFUSED
    assert "refresh_token_reused" not in await house.events()


@pytest.mark.parametrize("ending", ENDINGS)
async def test_what_ends_while_it_is_looked_up_is_not_renewed(ada: App, ending: Any) -> None:
    """The write holds only if what was read still is so."""
    store = ada.house.flows.tokens._refresh_tokens
    found = store.find

    async def find_and_end(sid: str) -> Any:
        before = await found(sid)
        monkeypatch.undo()
        await ending(ada)
        return before

    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(store, "find", find_and_end)
        assert await ada.renew() == REFUSED

    assert "refresh_token_reused" not in await ada.house.events()


async def test_an_unused_session_is_not_renewed_and_renewing_is_a_use(house: House) -> None:
    """N5: noted by the write that is made anyway."""
    ada = await join(
        house.under(Policy(tokens=rules(), tracking=Tracking(idle=timedelta(hours=1))))
    )
    for _ in range(3):
        house.clock.turn(minutes=50)
        before = counted()
        assert isinstance(await ada.renew(), Refreshed)
        after = counted()
        assert after["write"] - before["write"] == after["read"] - before["read"] == 1
    house.clock.turn(hours=1)

    assert await ada.renew() == REFUSED


async def test_a_token_that_has_expired_is_refused_and_no_theft(ada: App) -> None:
    old = ada.refresh
    await ada.renew()
    await ada.renew()
    ada.house.clock.turn(days=1)

    assert await ada.renew(old) == REFUSED
    assert await ada.renew() == REFUSED
    assert not await is_over(ada)


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "é", "\x00", "x" * 10_000])
async def test_what_is_no_token_is_refused_without_a_statement(ada: App, token: str) -> None:
    before = counted()

    assert await ada.house.flows.tokens.refresh(ada.nobody, token) == Refused(())

    assert counted() == before


async def test_an_access_token_renews_nothing(ada: App) -> None:
    assert await ada.renew(ada.access) == REFUSED
    assert isinstance(await ada.renew(), Refreshed)


async def test_a_change_of_the_password_gives_tokens_of_another_family(ada: App) -> None:
    """The session goes on, and a thief who has its tokens does not."""
    await ada.renew()
    thief = ada.copy()

    ada.keep(await ada.visitor.change_password(PASSWORD, NEW_PASSWORD))

    assert [row.previous_hash for row in await rows(ada.house)] == [None]
    assert (await ada.visit()).authenticated
    assert await is_gone(thief)
    assert await thief.renew() == REFUSED
    assert isinstance(await ada.renew(), Refreshed)
    assert isinstance(await ada.renew(), Refreshed)
    assert not await is_over(ada)
    assert len(await rows(ada.house)) == 1


# Without rotation


async def test_without_rotation_the_token_stays(house: House) -> None:
    ada = await join(house.under(Policy(tokens=rules(rotates=False))))
    token = ada.refresh
    before = counted()

    for _ in range(3):
        house.clock.turn(minutes=1)
        outcome = await ada.renew()
        assert isinstance(outcome, Refreshed)
        assert outcome.tokens.refresh is None
        assert (await ada.visit()).authenticated

    assert ada.refresh == token
    assert counted()["write"] == before["write"]
    await ada.visitor.log_out()
    assert await ada.renew() == REFUSED


async def test_rotation_can_be_switched_on_later(house: House) -> None:
    ada = await join(house.under(Policy(tokens=rules(rotates=False))))
    await ada.renew()
    ada.visitor.house = house.under(Policy(tokens=rules()))
    thief = ada.copy()

    assert isinstance(await ada.renew(), Refreshed)
    assert isinstance(await ada.renew(), Refreshed)
    assert await thief.renew() == REFUSED
    assert await is_over(ada)


# What is left


async def test_tokens_go_with_what_is_swept(ada: App) -> None:
    ada.house.clock.turn(days=15)

    await ada.house.sweeps.delete_expired()

    assert await ada.house.session_rows() == []
    assert await rows(ada.house) == []


async def test_a_deleted_person_has_no_tokens(ada: App) -> None:
    await ada.visitor.reauthenticate()
    outcome = await ada.house.flows.delete.delete(await ada.visitor.visit())

    assert isinstance(outcome, Standing)
    assert await ada.renew() == REFUSED
    assert await is_gone(ada)
