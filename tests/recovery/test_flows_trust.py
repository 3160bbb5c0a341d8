"""A browser is trusted by its person, for its time, until somebody says otherwise."""

import json
from collections.abc import Sequence
from datetime import timedelta

import pytest
from sqlalchemy import select

from services.recovery.domain.trust import Token, new_part
from services.recovery.flows import TrustFlows
from services.recovery.flows.trust import Given, Outcome
from shared import context
from shared.database import Database, Statement
from shared.database.events import OUTBOX
from tests.hands import Hands
from tests.recovery.conftest import counted, recorded, spent_since, trust_flows

CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36"
)
EPOCH = 7
REASONS = Statement(select(OUTBOX.c.type, OUTBOX.c.data).order_by(OUTBOX.c.seq))


async def trusted(
    browsers: TrustFlows, user: str = "ada", held: Sequence[Token] = (), epoch: int = EPOCH
) -> Given:
    """Have a browser trusted that holds these tokens."""
    return await browsers.trust(user, held, epoch, CHROME)


async def checked(browsers: TrustFlows, tokens: Sequence[Token], epoch: int = EPOCH) -> Outcome:
    """Come back as ada."""
    return await browsers.check("ada", tokens, epoch)


async def reasons(db: Database) -> list[str]:
    """Return why browsers were refused."""
    rows = await db.all(REASONS)
    return [json.loads(row.data)["reason"] for row in rows if row.type.endswith("refused")]


async def test_a_trusted_browser_is_known_again(browsers: TrustFlows, db: Database) -> None:
    """K1, K8: by an opaque token, which is replaced whenever it is used."""
    given = await trusted(browsers)
    seen = [given.tokens]
    for _ in range(5):
        outcome = await checked(browsers, seen[-1])
        assert outcome.browser_id == given.browser_id
        seen.append(outcome.tokens)

    assert len({str(token) for (token,) in seen}) == 6
    assert len({token.series for (token,) in seen}) == 1
    assert await recorded(db) == ["trust_given", *["trust_used"] * 5]


async def test_a_lost_answer_locks_nobody_out(browsers: TrustFlows) -> None:
    """K8: the predecessor is good until the successor has been seen, and has one successor."""
    given = await trusted(browsers)

    lost = [await checked(browsers, given.tokens) for _ in range(3)]
    outcome = await checked(browsers, lost[0].tokens)
    again = await checked(browsers, lost[1].tokens)

    assert {outcome.tokens for outcome in lost} == {lost[0].tokens}
    assert outcome.browser_id == again.browser_id == given.browser_id
    assert outcome.tokens == again.tokens


async def test_a_copied_cookie_is_found_out(browsers: TrustFlows, db: Database) -> None:
    """K8: after the successor was used, the predecessor means theft, and ends the series."""
    stolen = (await trusted(browsers)).tokens
    mine = (await checked(browsers, stolen)).tokens
    mine = (await checked(browsers, mine)).tokens

    theft = await checked(browsers, stolen)
    mine_after = await checked(browsers, mine)
    once_more = await checked(browsers, stolen)

    for outcome in (theft, mine_after, once_more):
        assert (outcome.browser_id, outcome.tokens) == (None, ())
    assert (await recorded(db))[-3:] == ["trust_replayed", "trust_refused", "trust_refused"]
    assert await reasons(db) == ["unknown", "unknown"]


async def test_a_thief_who_comes_first_is_found_out_by_the_owner(
    browsers: TrustFlows, db: Database
) -> None:
    """K8: whichever of the two falls behind."""
    mine = (await trusted(browsers)).tokens
    stolen = (await checked(browsers, mine)).tokens
    await checked(browsers, stolen)

    outcome = await checked(browsers, mine)

    assert outcome.browser_id is None
    assert (await recorded(db))[-1] == "trust_replayed"
    assert await browsers.browsers("ada", (), EPOCH) == []


async def test_a_made_up_secret_ends_the_series(browsers: TrustFlows, db: Database) -> None:
    """K5, K8: a series with a secret that never was is not told from theft."""
    (token,) = (await trusted(browsers)).tokens

    outcome = await checked(browsers, [token.followed_by(new_part())])

    assert outcome.browser_id is None
    assert (await recorded(db))[-1] == "trust_replayed"
    assert (await checked(browsers, [token])).browser_id is None


@pytest.mark.parametrize("change", [-1, 1])
async def test_trust_ends_with_the_factors_that_it_was_given_by(
    browsers: TrustFlows, db: Database, change: int
) -> None:
    """K2: by the number that session raises when password or factors change."""
    given = await trusted(browsers)

    outcome = await checked(browsers, given.tokens, EPOCH + change)

    assert outcome.browser_id is None
    assert await browsers.browsers("ada", (), EPOCH + change) == []
    if change > 0:
        assert outcome.tokens == ()
        assert await reasons(db) == ["ended"]
        assert (await checked(browsers, given.tokens)).browser_id is None  # it does not come back
    else:  # it is the login that is out of date, and not the browser
        assert outcome.tokens == given.tokens
        assert await reasons(db) == ["premature"]
        assert (await checked(browsers, given.tokens)).browser_id == given.browser_id


async def test_a_browser_is_recognised_without_using_its_token(
    browsers: TrustFlows, db: Database
) -> None:
    """K8: by the current token and by the next; it costs one statement and leaves no trace."""
    given = await trusted(browsers)
    following = (await checked(browsers, given.tokens)).tokens
    told = await recorded(db)

    before = counted()
    known = [
        await browsers.recognise("ada", tokens, EPOCH)
        for tokens in (given.tokens, following, given.tokens, following)
    ]

    assert known == [given.browser_id] * 4
    assert spent_since(before) == {"read": 4, "write": 0, "commit": 0}
    assert await recorded(db) == told
    assert (await checked(browsers, given.tokens)).browser_id == given.browser_id


async def test_only_a_good_token_is_recognised(
    browsers: TrustFlows, clock: Hands, db: Database
) -> None:
    """K5, K8: a theft is left to be found out by whoever has the password too."""
    stolen = (await trusted(browsers)).tokens
    mine = (await checked(browsers, (await checked(browsers, stolen)).tokens)).tokens
    eves = (await trusted(browsers, "eve")).tokens
    told = await recorded(db)

    for tokens, epoch in (
        (stolen, EPOCH),
        ((*stolen, *mine), EPOCH),
        (eves, EPOCH),
        ([Token.new()], EPOCH),
        ([mine[0].followed_by(new_part())], EPOCH),
        (mine, EPOCH + 1),
        (mine, EPOCH - 1),
    ):
        assert await browsers.recognise("ada", tokens, epoch) is None
    assert await browsers.recognise("ada", (*eves, *mine), EPOCH) is not None
    clock.turn(days=14)
    assert await browsers.recognise("ada", mine, EPOCH) is None
    assert await recorded(db) == told


async def test_trust_ends_after_its_time(browsers: TrustFlows, clock: Hands, db: Database) -> None:
    """K2: fourteen days after it was given, however much it is used."""
    given = await trusted(browsers)
    clock.turn(days=13, hours=23)
    outcome = await checked(browsers, given.tokens)
    clock.turn(hours=1)

    late = await checked(browsers, outcome.tokens)

    assert outcome.browser_id == given.browser_id
    assert (late.browser_id, late.tokens) == (None, ())
    assert await reasons(db) == ["expired"]
    assert await browsers.browsers("ada", (), EPOCH) == []


async def test_its_time_can_be_set(db: Database, clock: Hands) -> None:
    browsers = trust_flows(db, clock, age=timedelta(hours=1))
    given = await trusted(browsers)
    clock.turn(minutes=59, seconds=59)
    assert (await checked(browsers, given.tokens)).browser_id
    clock.turn(seconds=1)

    assert (await checked(browsers, given.tokens)).browser_id is None


async def test_a_shorter_age_is_for_those_who_are_trusted_already(
    db: Database, clock: Hands
) -> None:
    """K2: by every measure; a longer one is not."""
    given = await trusted(trust_flows(db, clock))
    clock.turn(hours=1)
    shorter = trust_flows(db, clock, age=timedelta(hours=2))
    (listed,) = await shorter.browsers("ada", (), EPOCH)
    assert listed.browser.expires_at == clock() + timedelta(hours=1)
    assert (await checked(shorter, given.tokens)).browser_id == given.browser_id
    await shorter.sweep()
    clock.turn(hours=1)

    assert await shorter.browsers("ada", (), EPOCH) == []
    assert (await shorter.revoke("ada", None)).browser_ids == ()
    late = await checked(shorter, given.tokens)
    assert (late.browser_id, late.tokens) == (None, ())
    assert await reasons(db) == ["expired"]


async def test_the_sweep_goes_by_the_age_as_it_is_now(db: Database, clock: Hands) -> None:
    """K2: and by what it was, whichever is shorter."""
    short, long = (trust_flows(db, clock, age=timedelta(hours=hours)) for hours in (1, 3))
    for flows in (short, long):
        await trusted(flows)
    clock.turn(hours=2)

    await long.sweep()
    (alive,) = await long._store.all("ada")
    assert alive.expires_at == clock() + timedelta(hours=1)
    await short.sweep()

    assert await long._store.all("ada") == []


async def test_a_theft_ends_all_that_is_over_in_the_same_cookie(
    browsers: TrustFlows, db: Database
) -> None:
    """K8: of two series that were both copied, none is trusted any more, nor in other hands."""
    stolen: list[Token] = []
    mine = []
    for _ in range(2):
        first = (await trusted(browsers)).tokens
        second = (await checked(browsers, first)).tokens
        mine.append((await checked(browsers, second)).tokens)
        stolen += first
    (good,) = (await trusted(browsers)).tokens
    eves = (await trusted(browsers, "eve")).tokens

    before = counted()
    outcome = await checked(browsers, [*stolen, good, *eves])

    assert spent_since(before) == {"read": 1, "write": 1, "commit": 1}
    assert outcome.browser_id is None
    assert outcome.tokens == (good, *eves)
    assert (await recorded(db)).count("trust_replayed") == 1
    for tokens in mine:
        assert (await checked(browsers, tokens)).browser_id is None
    assert (await checked(browsers, [good])).browser_id


async def test_a_token_is_of_no_use_to_anybody_else(browsers: TrustFlows, db: Database) -> None:
    """K5: foreign, and an event; it stays with the browser, whose other person may come back."""
    given = await trusted(browsers, "eve")

    outcome = await checked(browsers, given.tokens)

    assert outcome.browser_id is None
    assert outcome.tokens == given.tokens
    assert await reasons(db) == ["foreign"]
    assert (await browsers.check("eve", given.tokens, EPOCH)).browser_id == given.browser_id


async def test_what_there_is_not_is_dropped(browsers: TrustFlows, db: Database) -> None:
    """K5: made-up tokens are as if absent, and an event."""
    outcome = await checked(browsers, [Token.new(), Token.new()])

    assert outcome == Outcome(())
    assert await reasons(db) == ["unknown"]


async def test_several_people_share_a_browser(browsers: TrustFlows) -> None:
    """Each has a token of their own in it, and uses up nobody else's."""
    held: tuple[Token, ...] = ()
    for user in ("ada", "bob", "eve"):
        held = (await trusted(browsers, user, held)).tokens
    for user in ("bob", "ada", "eve", "bob"):
        before = held
        outcome = await browsers.check(user, held, EPOCH)
        held = outcome.tokens
        assert outcome.browser_id
        assert sum(token not in before for token in held) == 1

    assert [token.series for token in held] == [token.series for token in before]


async def test_a_browser_that_is_trusted_anew_is_trusted_once(browsers: TrustFlows) -> None:
    first = await trusted(browsers)
    second = await trusted(browsers, held=first.tokens)

    (listed,) = await browsers.browsers("ada", second.tokens, EPOCH)

    assert listed.browser.id == second.browser_id != first.browser_id
    assert (await checked(browsers, first.tokens)).browser_id is None
    assert (await checked(browsers, second.tokens)).browser_id == second.browser_id


async def test_giving_trust_leaves_others_alone(browsers: TrustFlows) -> None:
    eves = await trusted(browsers, "eve")
    given = await trusted(browsers, "ada", eves.tokens)

    assert given.tokens[0] == eves.tokens[0]
    assert (await browsers.check("eve", given.tokens, EPOCH)).browser_id == eves.browser_id


async def test_a_browser_keeps_ten_tokens(browsers: TrustFlows) -> None:
    held: tuple[Token, ...] = ()
    for n in range(12):
        held = (await trusted(browsers, f"user{n}", held)).tokens

    assert len(held) == 10
    assert (await browsers.check("user11", held, EPOCH)).browser_id
    assert (await browsers.check("user2", held, EPOCH)).browser_id
    assert (await browsers.check("user1", held, EPOCH)).browser_id is None


@pytest.mark.parametrize("most", [1, 3])
async def test_the_oldest_browser_goes(db: Database, clock: Hands, most: int) -> None:
    """K7: a maximum per user."""
    browsers = trust_flows(db, clock, max_browsers=most)
    bobs = await trusted(browsers, "bob")
    given = []
    for _ in range(5):
        given.append(await trusted(browsers))
        clock.turn(hours=1)

    listed = await browsers.browsers("ada", (), EPOCH)

    newest = [each.browser_id for each in reversed(given)][:most]
    assert [each.browser.id for each in listed] == newest
    assert (await checked(browsers, given[0].tokens)).browser_id is None
    assert (await checked(browsers, given[-1].tokens)).browser_id == newest[0]
    assert (await browsers.check("bob", bobs.tokens, EPOCH)).browser_id == bobs.browser_id


async def test_what_a_browser_held_takes_no_place(db: Database, clock: Hands) -> None:
    browsers = trust_flows(db, clock, max_browsers=2)
    other = await trusted(browsers)
    clock.turn(hours=1)
    mine = await trusted(browsers)

    for _ in range(3):
        clock.turn(hours=1)
        mine = await trusted(browsers, held=mine.tokens)

    assert (await checked(browsers, other.tokens)).browser_id == other.browser_id
    assert (await checked(browsers, mine.tokens)).browser_id == mine.browser_id


async def test_what_is_over_does_not_stay(browsers: TrustFlows) -> None:
    """K2: rows of an older epoch go when the person trusts a browser again."""
    for _ in range(3):
        await trusted(browsers)

    new = await trusted(browsers, epoch=EPOCH + 1)

    assert [each.id for each in await browsers._store.all("ada")] == [new.browser_id]


async def test_browsers_are_listed_as_people_know_them(browsers: TrustFlows, clock: Hands) -> None:
    """K7: with a name, when it was made and used, until when, and which one asks."""
    first = await trusted(browsers)
    clock.turn(hours=1)
    second = await browsers.trust("ada", (), EPOCH, "curl/8.5.0")
    clock.turn(hours=1)
    await checked(browsers, first.tokens)
    await trusted(browsers, "eve")

    newer, older = await browsers.browsers("ada", first.tokens, EPOCH)

    assert (newer.browser.id, older.browser.id) == (second.browser_id, first.browser_id)
    assert (newer.browser.name, older.browser.name) == ("curl", "Chrome on Windows")
    assert (newer.is_current, older.is_current) == (False, True)
    assert newer.browser.last_used_at is None
    assert older.browser.last_used_at == clock()
    assert older.browser.created_at == clock() - timedelta(hours=2)
    assert older.browser.expires_at == clock() + timedelta(days=14, hours=-2)


async def test_trust_is_revoked_one_by_one_or_all_at_once(
    browsers: TrustFlows, db: Database
) -> None:
    """K5, K7: by the person and by an operator; what is revoked is as if absent."""
    given = [await trusted(browsers) for _ in range(4)]
    eves = await trusted(browsers, "eve")
    first = given[0].browser_id

    one = await browsers.revoke("ada", [first, eves.browser_id, "nonsense"])
    again = await browsers.revoke("ada", [first])
    refused = await checked(browsers, given[0].tokens)
    rest = await browsers.revoke("ada", None)
    nothing = await browsers.revoke("ada", None)

    assert one.browser_ids == (first,)
    assert again.browser_ids == nothing.browser_ids == ()
    assert refused == Outcome(())
    assert set(rest.browser_ids) == {each.browser_id for each in given[1:]}
    assert await browsers.browsers("ada", (), EPOCH) == []
    assert (await recorded(db)).count("trust_revoked") == 4
    assert (await browsers.check("eve", eves.tokens, EPOCH)).browser_id == eves.browser_id


async def test_a_browser_that_revokes_keeps_the_tokens_of_others(browsers: TrustFlows) -> None:
    """K7: whichever it revokes, and however often it asks."""
    eves = await trusted(browsers, "eve")
    mine = await trusted(browsers, held=eves.tokens)
    elsewhere = await trusted(browsers)

    other = await browsers.revoke("ada", [elsewhere.browser_id], mine.tokens)
    this = await browsers.revoke("ada", [mine.browser_id], mine.tokens)
    again = await browsers.revoke("ada", [mine.browser_id], mine.tokens)

    assert other.tokens == mine.tokens
    assert this.tokens == again.tokens == eves.tokens
    assert again.browser_ids == ()


async def test_forgetting_leaves_nothing_of_a_person(browsers: TrustFlows, clock: Hands) -> None:
    await trusted(browsers)
    await trusted(browsers, epoch=1)
    clock.turn(days=14)
    eves = await trusted(browsers, "eve")

    await browsers.forget("ada")
    await browsers.forget("ada")

    assert await browsers._store.all("ada") == []
    assert (await browsers.check("eve", eves.tokens, EPOCH)).browser_id == eves.browser_id


async def test_the_sweep_takes_only_what_has_expired(browsers: TrustFlows, clock: Hands) -> None:
    """K2: what is over is not kept."""
    await trusted(browsers)
    clock.turn(days=13)
    alive = await trusted(browsers)
    clock.turn(days=1)

    await browsers.sweep()

    assert [each.id for each in await browsers._store.all("ada")] == [alive.browser_id]


async def test_events_tell_who_and_which_but_no_token(browsers: TrustFlows, db: Database) -> None:
    """K5: trust given, used, refused, replayed and revoked is on record; no token is."""
    context.enter(context.Context(request_id="r1"))
    given = await trusted(browsers)
    used = [(await checked(browsers, given.tokens)).tokens]
    used.append((await checked(browsers, used[-1])).tokens)
    made_up = [Token.new()]
    await checked(browsers, made_up)
    await checked(browsers, given.tokens)
    other = await trusted(browsers)
    await browsers.revoke("ada", None)

    rows = await db.all(Statement(select(OUTBOX)))

    told = json.dumps([dict(row) for row in rows])
    assert await recorded(db) == [
        "trust_given",
        "trust_used",
        "trust_used",
        "trust_refused",
        "trust_replayed",
        "trust_given",
        "trust_revoked",
    ]
    assert {row.subject for row in rows} == {"ada"}
    for tokens in (given.tokens, *used, made_up, other.tokens):
        for token in tokens:
            assert token.series not in told
            assert token.secret not in told


async def test_a_check_is_one_read_and_one_write(browsers: TrustFlows) -> None:
    given = await trusted(browsers)
    used = await checked(browsers, given.tokens)

    for tokens, user, epoch in (
        (given.tokens, "ada", EPOCH),
        (used.tokens, "ada", EPOCH),
        ([Token.new()], "ada", EPOCH),
        (used.tokens, "eve", EPOCH),
        (given.tokens * 2, "ada", EPOCH),
        (used.tokens, "ada", EPOCH + 1),
    ):
        before = counted()
        await browsers.check(user, tokens, epoch)
        assert spent_since(before) == {"read": 1, "write": 1, "commit": 1}


async def test_giving_trust_is_one_statement(browsers: TrustFlows) -> None:
    held = (await trusted(browsers)).tokens

    before = counted()
    await trusted(browsers, held=held)
    assert spent_since(before) == {"read": 0, "write": 1, "commit": 1}
