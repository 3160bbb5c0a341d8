"""Browsers that are trusted, over two replicas: in two tabs at once, and when that ends."""

import asyncio

import pytest

from tests.races.browsers import Browser
from tests.races.house import House
from tests.races.people import Person, at_once, protected, several, token_of

pytestmark = pytest.mark.long

ROUNDS = 2


async def test_two_tabs_at_once_are_both_let_in_and_stay_trusted(house: House) -> None:
    """K8: whichever comes second shows what the first has just replaced, and is no thief."""

    async def race(person: Person) -> None:
        browser = Browser(person)
        await browser.come_to_be_trusted(0)
        for _ in range(ROUNDS):
            tabs = [browser.another_tab() for _ in range(2)]
            entered = await at_once(*(tab.log_in(side) for side, tab in enumerate(tabs)))
            assert [answer.status for answer in entered] == [200, 200]
            browser = tabs[1]
        assert (await browser.log_in(0)).status == 200

    await asyncio.gather(*map(race, await several(house, protected)))


async def test_no_trust_survives_a_change_of_password(house: House) -> None:
    """K2, O6: a browser that is let in meanwhile is out again, and is asked for the code."""

    async def race(person: Person) -> None:
        token = person.token
        browsers = [Browser(person) for _ in range(2)]
        for n, browser in enumerate(browsers):
            await browser.come_to_be_trusted(n)
        new = f"battery-staple-{person.number}"
        changed, *_ = await at_once(
            person.change_password(0, token, new),
            *(browser.log_in(side) for side, browser in enumerate(browsers)),
        )
        assert changed.status == 200
        assert token_of(changed)
        for side, browser in enumerate(browsers):
            assert (await browser.ask(side, "GET", "auth/session")).status == 401
        person.password = new
        for side, browser in enumerate(browsers):
            assert (await browser.log_in(side)).pending == ["mfa_authenticate"]
            assert not browser.is_trusted

    await asyncio.gather(*map(race, await several(house, protected)))


async def test_a_browser_is_trusted_only_if_the_factors_are_those_that_were_given(
    house: House,
) -> None:
    """K2, K4: that it is to be trusted, and that the password changes, are said at once."""

    async def race(person: Person) -> None:
        browser = Browser(person)
        assert (await browser.log_in(0)).pending == ["mfa_authenticate"]
        code = {"code": person.device.code()}
        assert (await browser.ask(0, "POST", "auth/2fa/authenticate", code)).status == 401
        new = f"battery-staple-{person.number}"
        changed, _ = await at_once(
            person.change_password(0, person.token, new),
            browser.ask(1, "POST", "auth/2fa/trust", {"trust": True}),
        )
        assert changed.status == 200
        person.password = new
        assert (await browser.log_in(1)).pending == ["mfa_authenticate"]

    await asyncio.gather(*map(race, await several(house, protected)))
