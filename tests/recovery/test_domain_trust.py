"""What a token is worth, and how theft is told from a lost answer and from two tabs."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    run_state_machine_as_test,
)
from hypothesis.stateful import rule as move

from services.recovery.domain.trust import (
    GOOD,
    HELD_AT_MOST,
    KEPT,
    Browser,
    Ruling,
    Standing,
    Token,
    hash_part,
    held_after,
    judge,
    new_part,
    rule,
)
from shared.trust import MAX_TOKENS, TOKEN
from tests.hands import START

NOW = START
EPOCH = 7
AGE = timedelta(days=14)


def browser(token: Token, **changes: Any) -> Browser:
    """Return a browser in good standing whose current token is `token`, but for `changes`."""
    kept = Browser(
        id=f"b-{token.series}",
        user_id="ada",
        series_hash=hash_part(token.series),
        current_hash=hash_part(token.secret),
        next_hash=hash_part("next"),
        sealed_next=b"",
        factor_epoch=EPOCH,
        name="Chrome on Windows",
        created_at=NOW,
        last_used_at=None,
        expires_at=NOW + AGE,
    )
    return replace(kept, **changes)


def ruled(tokens: Sequence[Token], *kept: Browser) -> Ruling:
    """Return what is ruled for ada, now."""
    by_series = {each.series_hash: each for each in kept}
    return rule(tokens, by_series, user_id="ada", factor_epoch=EPOCH, now=NOW)


def test_tokens_are_random_and_as_the_contract_writes_them() -> None:
    """K1: 128 random bits in the series, and as many in the secret."""
    tokens = [Token.new() for _ in range(1000)]

    assert all(TOKEN.fullmatch(str(token)) for token in tokens)
    assert all(Token.parse(str(token)) == token for token in tokens)
    assert len({token.series for token in tokens} | {token.secret for token in tokens}) == 2000
    assert HELD_AT_MOST == MAX_TOKENS


def test_a_token_does_not_show_itself() -> None:
    """K1: what stands in a log of an object is no token."""
    token = Token.new()
    kept = browser(token, id="b1")

    for shown in (repr(token), repr(kept), repr(ruled([token], kept))):
        assert token.secret not in shown
        assert token.series not in shown
        assert kept.series_hash not in shown


MINE = Token("mine", "now")
STANDINGS = [
    (MINE, {}, Standing.CURRENT),
    (Token("mine", "next"), {}, Standing.NEXT),
    (Token("mine", "before"), {}, Standing.REPLAYED),
    (Token("mine", ""), {}, Standing.REPLAYED),
    (MINE, {"factor_epoch": EPOCH - 1}, Standing.ENDED),
    (MINE, {"factor_epoch": EPOCH + 1}, Standing.PREMATURE),
    (MINE, {"expires_at": NOW}, Standing.EXPIRED),
    (MINE, {"user_id": "eve"}, Standing.FOREIGN),
    (Token("mine", "before"), {"user_id": "eve"}, Standing.FOREIGN),
    (Token("mine", "before"), {"expires_at": NOW}, Standing.EXPIRED),
    (Token("mine", "before"), {"factor_epoch": EPOCH - 1}, Standing.ENDED),
    (Token("made up", "now"), {}, Standing.UNKNOWN),
]


@pytest.mark.parametrize(("token", "changes", "standing"), STANDINGS)
def test_a_token_is_good_for_its_person_its_epoch_and_its_time(
    token: Token, changes: dict[str, Any], standing: Standing
) -> None:
    """K2, K5: whatever is tampered with, foreign, expired, ended or revoked is as if absent."""
    kept = browser(MINE, **changes)

    ruling = ruled([token], kept)

    assert ruling.standing is standing
    assert (ruling.standing in GOOD) is (standing in {"current", "next"})
    assert ruling.kept == ((token,) if standing in KEPT else ())
    if standing in {Standing.EXPIRED, Standing.ENDED, Standing.REPLAYED}:
        assert ruling.over == (kept.id,)
    else:
        assert ruling.over == ()


def test_time_is_up_to_the_microsecond() -> None:
    """K2: at the end of its age a browser is trusted no more."""
    kept = browser(MINE)
    last = kept.expires_at - timedelta(microseconds=1)

    assert kept.is_live(EPOCH, last)
    assert not kept.is_live(EPOCH, kept.expires_at)
    assert judge(MINE, kept, user_id="ada", factor_epoch=EPOCH, now=last) is Standing.CURRENT


def test_of_several_people_each_has_a_token() -> None:
    """K5: the tokens of others are kept as they came, and judged by nobody."""
    eves, bobs = Token("eves", "x"), Token("bobs", "y")
    others = browser(eves, user_id="eve"), browser(bobs, user_id="bob", factor_epoch=1)

    ruling = ruled([eves, MINE, bobs], browser(MINE), *others)

    successor = MINE.followed_by("next")
    assert ruling.standing is Standing.CURRENT
    assert ruling.tokens_with(successor) == (eves, successor, bobs)
    assert ruled([eves, bobs], *others).standing is Standing.FOREIGN
    assert ruled([eves, Token("made", "up")], *others).standing is Standing.UNKNOWN


def test_a_theft_weighs_more_than_a_good_token() -> None:
    """K8: who holds a good token beside a stolen one is not let past by it."""
    stolen, good = Token("stolen", "before"), Token("good", "now")

    for tokens in ([stolen, good], [good, stolen]):
        ruling = ruled(tokens, browser(Token("stolen", "now")), browser(good))
        assert ruling.standing is Standing.REPLAYED
        assert ruling.over == ("b-stolen",)
        assert ruling.kept == (good,)


def test_a_good_token_weighs_more_than_one_that_is_over() -> None:
    ended, good = Token("ended", "now"), Token("good", "now")

    for tokens in ([ended, good], [good, ended]):
        ruling = ruled(tokens, browser(ended, factor_epoch=1), browser(good))
        assert ruling.standing is Standing.CURRENT
        assert ruling.over == ("b-ended",)
        assert ruling.kept == (good,)


def test_of_one_series_the_first_token_counts() -> None:
    twice = [MINE, Token("mine", "before"), MINE]

    ruling = ruled(twice, browser(MINE))

    assert ruling.standing is Standing.CURRENT
    assert ruling.kept == (MINE,)


tokens = st.builds(
    Token, st.sampled_from(["a", "b", "c", "d"]), st.sampled_from(["now", "next", "old"])
)
kept_browsers = st.lists(
    st.builds(
        lambda series, user, epoch, age: browser(
            Token(series, "now"),
            user_id=user,
            factor_epoch=epoch,
            expires_at=NOW + timedelta(days=age),
        ),
        st.sampled_from(["a", "b", "c"]),
        st.sampled_from(["ada", "eve"]),
        st.integers(EPOCH - 1, EPOCH + 1),
        st.integers(0, 1),
    ),
    unique_by=lambda kept: kept.series_hash,
)


@given(st.lists(tokens, min_size=1, max_size=MAX_TOKENS), kept_browsers)
def test_nobody_is_trusted_but_by_a_good_token_of_their_own(
    held: list[Token], kept: list[Browser]
) -> None:
    """K2, K5: over all mixtures of tokens and browsers."""
    ruling = ruled(held, *kept)

    mine = {each.id for each in kept if each.user_id == "ada"}
    assert set(ruling.over) <= mine
    assert set(ruling.kept) <= set(held)
    assert len({token.series for token in ruling.kept}) == len(ruling.kept)
    if ruling.standing in GOOD:
        trusted = ruling.browser
        assert trusted is not None
        assert trusted.is_live(EPOCH, NOW)
        assert trusted.id in mine - set(ruling.over)
        assert hash_part(ruling.token.series) == trusted.series_hash
        assert ruling.token.secret in {"now", "next"}
        successor = ruling.token.followed_by(new_part())
        replaced = ruling.tokens_with(successor)
        assert len(replaced) == len(ruling.kept)
        assert replaced.count(successor) == 1


@given(st.lists(st.builds(Token, st.text("abc", min_size=1), st.just("x")), max_size=MAX_TOKENS))
def test_a_browser_holds_so_many_tokens_and_drops_the_oldest(held: list[Token]) -> None:
    added = Token.new()

    after = held_after(held, added)

    assert after[-1] == added
    assert len(after) <= MAX_TOKENS
    assert set(after) <= {*held, added}
    assert list(after[:-1]) == list(dict.fromkeys(held))[-(MAX_TOKENS - 1) :]


class OneSeries(RuleBasedStateMachine):
    """A browser of its owner, with tabs and a line that loses answers, and perhaps a thief.

    The owner's tabs share one cookie jar, as tabs do. A thief has copied it at some time. As long
    as there is no thief, nothing is ever taken for theft; once owner and thief have both gone on
    from one token, the next who comes with what is over ends the trust.
    """

    @initialize()
    def trust(self) -> None:
        first = Token.new()
        self.kept: Browser | None = browser(first)
        self._know_next(self.kept)
        self.jar = first
        self.stolen: Token | None = None
        self.last: Standing | None = None

    def _know_next(self, kept: Browser) -> None:
        secret = new_part()
        self.kept = replace(kept, next_hash=hash_part(secret))
        self.upcoming = secret

    def _log_in(self, token: Token) -> Token | None:
        """Do what the service does; return the successor, or None if not trusted."""
        by_series = {} if self.kept is None else {self.kept.series_hash: self.kept}
        ruling = rule([token], by_series, user_id="ada", factor_epoch=EPOCH, now=NOW)
        self.last = ruling.standing
        if ruling.browser is None or ruling.standing not in GOOD:
            if ruling.over:
                self.kept = None
            return None
        if ruling.standing is Standing.NEXT:
            self._know_next(replace(ruling.browser, current_hash=ruling.browser.next_hash))
        return token.followed_by(self.upcoming)

    @move()
    def come_back(self) -> None:
        successor = self._log_in(self.jar)
        self.jar = successor or self.jar

    @move()
    def come_back_but_lose_the_answer(self) -> None:
        self._log_in(self.jar)

    @move(tabs=st.integers(2, 4), kept=st.data())
    def come_back_in_many_tabs(self, tabs: int, kept: st.DataObject) -> None:
        answers = [self._log_in(self.jar) for _ in range(tabs)]
        # Whichever answer comes last stays in the jar.
        self.jar = kept.draw(st.sampled_from(answers)) or self.jar

    @move()
    def steal(self) -> None:
        self.stolen = self.jar

    @move()
    def use_what_was_stolen(self) -> None:
        if self.stolen is not None:
            self.stolen = self._log_in(self.stolen) or self.stolen

    @invariant()
    def without_a_thief_there_is_no_theft(self) -> None:
        if self.stolen is None:
            assert self.kept is not None
            assert self.last is None or self.last in GOOD

    @invariant()
    def nobody_is_trusted_after_the_end(self) -> None:
        if self.kept is None:
            assert self._log_in(self.jar) is None
            assert self.stolen is None or self._log_in(self.stolen) is None


def test_theft_is_told_from_a_lost_answer_and_from_tabs() -> None:
    """K8: the predecessor is good until the successor was seen, and theft after that."""
    run_state_machine_as_test(OneSeries)


def test_a_thief_who_stands_still_is_found_out() -> None:
    """K8: the copy that falls two steps behind ends the series, for both."""
    machine = OneSeries()
    machine.trust()
    machine.steal()
    machine.come_back()  # the first token again: still good for both
    machine.come_back()
    machine.use_what_was_stolen()
    found_out = machine.last
    machine.come_back()

    assert found_out is Standing.REPLAYED
    assert machine.last is Standing.UNKNOWN
