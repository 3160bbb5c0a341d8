"""The settings that hold rates, what counts as one, and what happens beyond them."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import pytest

from services.session.domain.faults import TOO_MANY_ATTEMPTS
from services.session.domain.limits import (
    ABSENT,
    ACCOUNT_RATES,
    CHANGE_PASSWORD,
    CONFIRM_EMAIL,
    LOGIN,
    LOGIN_FAILED,
    MANAGE_EMAIL,
    REAUTHENTICATE,
    REQUEST_LOGIN_CODE,
    RESET_PASSWORD,
    RESET_PASSWORD_FROM_KEY,
    SIGNUP,
    Limits,
    Per,
    Rate,
    check_rates,
    name_of,
    parse_rates,
)
from services.session.domain.mails import MailKind
from services.session.flows import PasswordHasher, Policy, build_flows
from services.session.flows.outcomes import Outcome, Refused, Standing, Throttled
from services.session.settings import Settings
from shared.errors import ConfigurationError
from shared.settings import load
from tests.session.addressing import add
from tests.session.house import ADA, PASSWORD, RING, House, Visitor, faults_of
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
    for counter in Limits().strangers(name_of("ada@example.org"), ip="192.0.2.1"):
        assert all(len(part) == 64 for part in counter.key.split(":"))
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
        *(
            ("ACCOUNT_RATE_LIMITS", f'{{"{action}": "20/m/ip"}}', f"{action}, for which there is")
            for action in sorted(ABSENT)
        ),
        ("ACCOUNT_RATE_LIMITS", '{"logon": "20/m/ip"}', "logon, of login, login_failed"),
        ("ACCOUNT_RATE_LIMITS", '{"confirm_email": "5/m/user"}', "per user"),
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


Doing = Callable[[House, Visitor], Awaitable[Outcome]]


async def logs_in(house: House, _: Visitor) -> Outcome:
    return await house.visitor().log_in()


async def fails_to_log_in(house: House, _: Visitor) -> Outcome:
    return await house.visitor().log_in(password="wrong")


async def signs_up(house: House, _: Visitor) -> Outcome:
    return await house.visitor().sign_up(f"p{len(await house.session_rows())}@example.org")


async def signs_up_again(house: House, _: Visitor) -> Outcome:
    return await house.visitor().sign_up(ADA)


async def adds_an_address(_: House, ada: Visitor) -> Outcome:
    return await add(ada)


async def asks_for_a_code(house: House, _: Visitor) -> Outcome:
    return await house.visitor().request_code()


async def changes_the_password(_: House, ada: Visitor) -> Outcome:
    return await ada.change_password(PASSWORD, PASSWORD)


async def proves_it_again(_: House, ada: Visitor) -> Outcome:
    return await ada.reauthenticate()


async def asks_for_a_reset(house: House, _: Visitor) -> Outcome:
    return await house.visitor().request_reset()


async def resets_by_a_link(house: House, _: Visitor) -> Outcome:
    return await house.visitor().reset("no-link", PASSWORD)


RESET_PAGE = '{"account_reset_password_from_key": "https://app.example.org/{key}"}'
EFFECTS: Mapping[str, tuple[str, Doing, object]] = {
    LOGIN: ("1/h/ip", logs_in, Throttled),
    LOGIN_FAILED: ("1/h/key", fails_to_log_in, ["too_many_login_attempts"]),
    SIGNUP: ("1/h/ip", signs_up, Throttled),
    CONFIRM_EMAIL: ("1/h/key", signs_up_again, Throttled),
    MANAGE_EMAIL: ("1/h/user", adds_an_address, Throttled),
    REQUEST_LOGIN_CODE: ("1/h/key", asks_for_a_code, ["too_many_login_attempts"]),
    RESET_PASSWORD: ("1/h/key", asks_for_a_reset, Throttled),
    RESET_PASSWORD_FROM_KEY: ("1/h/ip", resets_by_a_link, Throttled),
    CHANGE_PASSWORD: ("1/h/user", changes_the_password, Throttled),
    REAUTHENTICATE: ("1/h/user", proves_it_again, Throttled),
}
"""For every name a rate, what it limits, and what is answered beyond it."""


@pytest.mark.parametrize("action", ACCOUNT_RATES)
async def test_every_name_has_its_effect(
    house: House, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """L1: what is set is what holds: once an hour, and the second time is refused."""
    rate, does, beyond = EFFECTS[action]
    ada = await house.visitor().join()
    monkeypatch.setenv("ACCOUNT_RATE_LIMITS", f'{{"{action}": "{rate}"}}')
    monkeypatch.setenv("HEADLESS_FRONTEND_URLS", RESET_PAGE)
    house = house.under(settings().policy)
    ada.house = house
    house.clock.turn(seconds=10)

    first, second = await does(house, ada), await does(house, ada)
    house.clock.turn(hours=1)
    third = await does(house, ada)

    for outcome in (first, third):
        assert not isinstance(outcome, Throttled)
        assert faults_of(outcome) != beyond
    assert faults_of(second) == beyond if isinstance(beyond, list) else type(second) is beyond
    wait = getattr(second, "retry_after", None)
    assert wait is not None
    assert timedelta(minutes=59) < wait <= timedelta(hours=1)


async def mailed(house: House) -> list[str]:
    return [mail.kind for mail in await house.mails()]


async def test_the_code_is_mailed_again_after_ten_seconds_and_not_before(house: House) -> None:
    """Whoever logs in again meanwhile is told so, as allauth tells it, and gets no mail."""
    await house.visitor().sign_up()
    house.clock.turn(seconds=4)
    assert await mailed(house) == [MailKind.VERIFICATION_CODE]

    outcome = await house.visitor().log_in()

    assert outcome == Refused((TOO_MANY_ATTEMPTS,), timedelta(seconds=6))
    assert await mailed(house) == []
    house.clock.turn(seconds=6)
    assert isinstance(await house.visitor().log_in(), Standing)
    assert await mailed(house) == [MailKind.VERIFICATION_CODE]


async def test_a_login_that_gets_no_code_leaves_the_one_before_as_it_was(house: House) -> None:
    ada = house.visitor()
    await ada.sign_up()
    code = await house.code()

    assert faults_of(await ada.log_in()) == ["too_many_login_attempts"]

    outcome = await ada.verify(code)
    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated


async def test_a_login_that_needs_no_code_is_not_limited_by_mails(house: House) -> None:
    """Nobody can keep a person out by having them mailed."""
    await house.visitor().join()
    for _ in range(3):
        await house.visitor("203.0.113.9").sign_up(ADA)

    assert isinstance(await house.visitor().log_in(), Standing)


@pytest.mark.parametrize("known", [True, False])
async def test_sign_ups_at_once_are_refused_whether_the_address_is_known_or_not(
    house: House, known: bool
) -> None:
    """L8: the first by the same answer as ever, the second with the same time to wait."""
    if known:
        await house.visitor().join()
        house.clock.turn(seconds=10)

    outcomes = [await house.visitor().sign_up() for _ in range(3)]

    assert isinstance(outcomes[0], Standing)
    assert outcomes[1:] == [Throttled(timedelta(seconds=10))] * 2
    assert len(await house.mails()) == 1


@pytest.mark.parametrize("known", [True, False])
async def test_nobody_is_flooded_with_mail(house: House, known: bool) -> None:
    """Five mails in five minutes and twenty in a day, though the operator limits nothing."""
    if known:
        await house.visitor().join()
        house.clock.turn(days=1)
    house = limited(house, confirm_email="", signup="")
    counts = []
    for _ in range(6):
        for n in range(8):
            await house.visitor(f"203.0.113.{n}").sign_up()
        counts.append(len(await house.mails()))
        house.clock.turn(minutes=5)

    assert counts == [5, 5, 5, 5, 0, 0]
    outcome = await house.visitor().sign_up()
    assert isinstance(outcome, Throttled)
    assert timedelta(hours=23) < outcome.retry_after < timedelta(days=1)
    house.clock.turn(days=1)
    assert isinstance(await house.visitor().sign_up(), Standing)


async def test_mails_can_be_limited_by_origin(house: House) -> None:
    limited(house, confirm_email="2/h/ip,1/10s/key")

    outcomes = [await house.visitor().sign_up(f"p{n}@example.org") for n in range(3)]

    assert [type(outcome) for outcome in outcomes] == [Standing, Standing, Throttled]
    assert isinstance(await house.visitor("203.0.113.9").sign_up("p9@example.org"), Standing)


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
