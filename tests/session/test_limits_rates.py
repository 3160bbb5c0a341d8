"""The settings that hold rates, what counts as one, and what happens beyond them."""

from datetime import timedelta

import pytest

from services.session.domain.limits import (
    LOGIN,
    LOGIN_FAILED,
    REAUTHENTICATE,
    SIGNUP,
    Limits,
    Per,
    Rate,
    check_rates,
    parse_rates,
)
from services.session.flows import PasswordHasher, Policy, build_flows
from services.session.flows.outcomes import Refused, Standing, Throttled
from services.session.settings import Settings
from shared.errors import ConfigurationError
from shared.settings import load
from tests.session.house import RING, House, faults_of
from tests.session.test_api_settings import settings

MINUTE = timedelta(minutes=1)


def limited(house: House, **rates: str) -> House:
    """Give the house other rates for some actions."""
    account = {**Limits().account, **{a: check_rates(a, text) for a, text in rates.items()}}
    hasher = PasswordHasher(queue=1000, threads=2, memory=8, passes=1)
    house.flows = build_flows(
        house.db,
        ring=RING,
        factors=house.factors,
        clock=house.clock,
        policy=Policy(limits=Limits(account=account)),
        hasher=hasher,
    )
    return house


# What is counted together


def test_a_changed_limit_counts_anew() -> None:
    old, new = (
        Limits(account={LOGIN: parse_rates(text)}).counters(LOGIN, ip="192.0.2.1")[0].key
        for text in ("30/m/ip", "31/m/ip")
    )

    assert old != new


def test_a_counter_tells_nothing_of_whom_it_counts() -> None:
    """Counters are kept for addresses of people who have no account."""
    for counter in Limits().strangers(address="ada@example.org", ip="192.0.2.1"):
        assert len(counter.key) == 64
        assert not {"ada", "192"} & set(counter.key.split("."))


@pytest.mark.parametrize("action", [LOGIN, SIGNUP])
def test_an_origin_is_counted_by_its_network(action: str) -> None:
    """L7: single addresses of an IPv6 /64 are free to an attacker."""
    limits = Limits()

    assert limits.counters(action, ip="2001:db8::1") == limits.counters(action, ip="2001:db8::2")
    assert limits.counters(action, ip="2001:db8::1") != limits.counters(action, ip="2001:db8:1::")


# The settings


def test_the_defaults_are_those_of_allauth() -> None:
    limits = settings().policy.limits

    assert limits == Limits()
    assert limits.account[LOGIN] == (Rate(30, MINUTE, Per.IP),)
    assert limits.account[SIGNUP] == (Rate(20, MINUTE, Per.IP),)
    assert limits.account[REAUTHENTICATE] == (Rate(10, MINUTE, Per.USER),)
    assert limits.second_factor == Rate(5, 5 * MINUTE, Per.USER)


def test_rates_are_laid_over_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCOUNT_RATE_LIMITS", '{"login": "7/h", "signup": null}')
    monkeypatch.setenv("MFA_RATE_LIMITS", '{"second_factor": "3/m/user"}')
    limits = settings().policy.limits

    assert limits.account[LOGIN] == (Rate(7, timedelta(hours=1), Per.IP),)
    assert limits.account[SIGNUP] == ()
    assert limits.account[LOGIN_FAILED] == Limits().account[LOGIN_FAILED]
    assert limits.second_factor == Rate(3, MINUTE, Per.USER)


def test_false_switches_every_rate_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACCOUNT_RATE_LIMITS", "false")

    assert not any(settings().policy.limits.account.values())


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("ACCOUNT_RATE_LIMITS", '{"reset_password": "20/m/ip"}', "reset_password"),
        ("ACCOUNT_RATE_LIMITS", '{"login": "many"}', "5/m/user"),
        ("ACCOUNT_RATE_LIMITS", '{"login": 5}', "5/m/user"),
        ("ACCOUNT_RATE_LIMITS", '{"login": "5/m/user"}', "per user"),
        ("ACCOUNT_RATE_LIMITS", "true", "JSON"),
        ("ACCOUNT_RATE_LIMITS", "[]", "JSON"),
        ("ACCOUNT_RATE_LIMITS", "login", "JSON"),
        ("MFA_RATE_LIMITS", "false", "second_factor"),
        ("MFA_RATE_LIMITS", '{"second_factor": null}', "second_factor"),
        ("MFA_RATE_LIMITS", '{"second_factor": "5/m/user,9/h/user"}', "second_factor"),
        ("MFA_RATE_LIMITS", '{"second_factor": "5/m/ip"}', "per ip"),
    ],
)
def test_rates_that_cannot_be_kept_are_refused_at_start(
    monkeypatch: pytest.MonkeyPatch, name: str, text: str, told: str
) -> None:
    """L1: nor can the second factor be left without a limit."""
    settings()
    monkeypatch.setenv(name, text)

    with pytest.raises(ConfigurationError, match=name) as raised:
        load(Settings)
    assert told in str(raised.value)


# What they do


async def test_logins_are_limited_by_origin(house: House) -> None:
    """L9: right ones and wrong ones, 429 with the time to wait, known address or not."""
    await (await house.visitor().join()).log_out()
    limited(house, login="3/m/ip")
    assert isinstance(await house.visitor().log_in(), Standing)
    for n in range(2):
        assert faults_of(await house.visitor().log_in(f"p{n}@example.org", "wrong"))
    house.clock.turn(seconds=20)

    outcomes = [
        await house.visitor().log_in(),
        await house.visitor().log_in(password="wrong"),
        await house.visitor().log_in("nobody@example.org", "wrong"),
    ]

    assert outcomes == [Throttled(timedelta(seconds=40))] * 3
    assert isinstance(await house.visitor("198.51.100.1").log_in(), Standing)
    house.clock.turn(seconds=40)
    assert isinstance(await house.visitor().log_in(), Standing)


async def test_reauthentications_are_limited_by_person(house: House) -> None:
    """L9: wherever the person is, and whether the password is right or not."""
    ada = await house.visitor().join()
    limited(house, reauthenticate="2/m/user")
    await ada.reauthenticate()
    ada.address = "198.51.100.1"
    await ada.reauthenticate()

    assert await ada.reauthenticate() == Throttled(MINUTE)
    assert await ada.reauthenticate("wrong") == Throttled(MINUTE)
    house.clock.turn(minutes=1)
    assert isinstance(await ada.reauthenticate(), Standing)


async def test_who_has_failed_too_often_is_told_how_long_to_wait(house: House) -> None:
    """L9: until the last of the windows that are used up is over."""
    for _ in range(5):
        await house.visitor().log_in("nobody@example.org", "wrong")
    house.clock.turn(seconds=100)

    outcome = await house.visitor().log_in("nobody@example.org", "wrong")

    assert isinstance(outcome, Refused)
    assert outcome.retry_after == timedelta(seconds=200)


async def test_what_is_switched_off_is_not_limited(house: House) -> None:
    await (await house.visitor().join()).log_out()
    limited(house, login="", login_failed="")

    for _ in range(40):
        assert faults_of(await house.visitor().log_in(password="wrong")) == [
            "email_password_mismatch"
        ]
    assert isinstance(await house.visitor().log_in(), Standing)
