"""Limits in allauth's notation: what is read, what is refused, and what counts as one."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.session.domain.limits import (
    ABSENT,
    ACCOUNT_RATES,
    LAST_FAILURE,
    LOGIN,
    LOGIN_FAILED,
    LONGEST_REST,
    REAUTHENTICATE,
    SECOND_FACTOR,
    Limits,
    Per,
    Rate,
    check_rates,
    name_of,
    parse_rates,
    rest_after,
)
from services.session.domain.origins import Arrival, Origin, origin_of

NO_RATES = """
    5 5/ /m 5/m/host 5/w 0/m -1/m 5/m/ip/key 5/./m 5/.m 5/0s 5/9999d 9999999999/m 5/m, five/m
""".split()  # noqa: SIM905 - a page of quotation marks says no more
CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/{}.0.0.0 Safari/537.36"


@pytest.mark.parametrize(
    ("text", "rates"),
    [
        ("5/m", [Rate(5, timedelta(minutes=1), Per.IP)]),
        ("1/10s/key", [Rate(1, timedelta(seconds=10), Per.KEY)]),
        ("3/1.5h/user", [Rate(3, timedelta(minutes=90), Per.USER)]),
        ("7/d/ip", [Rate(7, timedelta(days=1), Per.IP)]),
        (
            "10/m/ip, 5/300s/key",
            [Rate(10, timedelta(minutes=1), Per.IP), Rate(5, timedelta(minutes=5), Per.KEY)],
        ),
        ("5/m,5/m", [Rate(5, timedelta(minutes=1), Per.IP)]),
    ],
)
def test_rates_are_read_as_allauth_reads_them(text: str, rates: list[Rate]) -> None:
    assert list(parse_rates(text)) == rates


@pytest.mark.parametrize(
    "text",
    [*NO_RATES, "", "5 / m", "\N{ARABIC-INDIC DIGIT FIVE}/m"],
)
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="has "):
        parse_rates(text)


@given(st.text(max_size=30))
def test_any_text_is_rates_or_a_clear_error(text: str) -> None:
    try:
        rates = parse_rates(text)
    except ValueError:
        return
    assert parse_rates(",".join(map(str, rates))) == rates


@pytest.mark.parametrize(
    ("action", "text"),
    [
        (LOGIN, "5/m/user"),
        (LOGIN, "5/m/key"),
        (REAUTHENTICATE, "5/m/key"),
        (SECOND_FACTOR, ""),
        (SECOND_FACTOR, "5/m/ip"),
        (SECOND_FACTOR, "5/m/user,9/h/user"),
    ],
)
def test_what_cannot_be_counted_is_refused(action: str, text: str) -> None:
    with pytest.raises(ValueError, match="has "):
        check_rates(action, text)


def test_the_defaults_are_allauths() -> None:
    """Each name of allauth's is here with its default, or refused as being absent."""
    pytest.importorskip("allauth")
    from django.conf import settings  # noqa: PLC0415

    if not settings.configured:
        settings.configure(ACCOUNT_EMAIL_VERIFICATION_BY_CODE_ENABLED=True)
    from allauth.account.app_settings import AppSettings  # noqa: PLC0415

    theirs = AppSettings("ACCOUNT_").RATE_LIMITS

    assert {action: parse_rates(text) for action, text in ACCOUNT_RATES.items()} == {
        action: parse_rates(theirs[action]) for action in ACCOUNT_RATES
    }
    assert theirs.keys() == ACCOUNT_RATES.keys() | ABSENT
    assert not ACCOUNT_RATES.keys() & ABSENT


def test_every_rate_of_an_action_has_a_counter_of_its_own() -> None:
    rates = check_rates(LOGIN_FAILED, "10/m/ip,5/5m/key,20/d/key")
    limits = Limits(account={LOGIN_FAILED: rates})
    counters = limits.strangers(name_of("ada@example.org"), ip="192.0.2.1")

    assert [counter.ceiling for counter in counters] == [10, 5, 20]
    assert len({counter.key for counter in counters}) == 3
    assert "ada" not in repr(counters)


def test_an_action_that_is_switched_off_counts_nothing() -> None:
    limits = Limits(account={LOGIN_FAILED: ()})

    assert limits.strangers(name_of("ada@example.org"), ip="192.0.2.1") == ()
    assert limits.counters(LOGIN, ip="192.0.2.1") == ()


@given(st.integers(1, 99), st.integers(1, 200_000))
def test_rests_never_shrink_and_end_at_the_longest(amount: int, seconds: int) -> None:
    """L1: whatever is configured, delays grow until the hundredth failure."""
    rate = Rate(amount, timedelta(seconds=seconds), Per.USER)
    rests = [rest_after(failures, rate) for failures in range(LAST_FAILURE)]

    assert rests == sorted(rests)
    assert not any(rests[:amount])
    assert rests[amount] == rate.window
    assert rests[-1] <= max(LONGEST_REST, rate.window)


# Origins


def test_a_new_version_is_no_new_browser() -> None:
    assert origin_of("192.0.2.1", CHROME.format(140)) == origin_of("192.0.2.1", CHROME.format(141))
    assert origin_of("192.0.2.1", CHROME) != origin_of("192.0.2.1", "curl/8")
    assert origin_of("192.0.2.1", "x") != origin_of("192.0.2.2", "x")


def test_addresses_of_one_network_are_one_origin() -> None:
    """L7: IPv6 by /64."""
    assert origin_of("2001:db8::1", "x") == origin_of("2001:db8::ffff:1", "x")
    assert origin_of("2001:db8::1", "x") != origin_of("2001:db8:0:1::1", "x")


def test_a_user_agent_of_any_kind_has_an_origin() -> None:
    assert origin_of("192.0.2.1", "\ud800\x00") != origin_of("192.0.2.1", "")


@pytest.mark.parametrize(
    ("network_known", "agent_known", "is_new"),
    [(True, True, False), (True, False, True), (False, True, True), (False, False, True)],
)
def test_what_is_new_about_a_login(network_known: bool, agent_known: bool, is_new: bool) -> None:
    origin = Origin("n", "a")
    arrival = Arrival(origin=origin, network_known=network_known, agent_known=agent_known)

    assert arrival.is_new(origin) is is_new
    assert arrival.is_familiar(origin) is network_known
    assert not arrival.is_familiar(Origin("other", "a"))
