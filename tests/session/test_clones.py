"""Copies that are suspected: the owner is told, whichever factor says so."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from pydantic import JsonValue

from services.session.domain.mails import MailKind
from services.session.flows.outcomes import Standing
from shared.factor import FactorClient, Purpose, Verification
from tests.session.house import ADA, House, Urls, Visitor, faults_of, make_flows, open_house
from tests.session.recovering import WRONG, pending, with_codes


class Suspicious(FactorClient):
    """A factor that judges as another does, and suspects a copy of `suspect` in all it refuses.

    Of what it accepts it suspects one as well, without a `suspect`.
    """

    def __init__(self, factor: FactorClient, suspect: Mapping[str, JsonValue] | None) -> None:
        self.factor, self.suspect = factor, suspect

    async def verify(
        self,
        user_id: str,
        *,
        authenticators: list[str],
        proof: Mapping[str, JsonValue],
        session_id: str,
        purpose: Purpose,
    ) -> Verification:
        """Have a proof judged, and be suspicious."""
        judged = await self.factor.verify(
            user_id,
            authenticators=authenticators,
            proof=proof,
            session_id=session_id,
            purpose=purpose,
        )
        facts: dict[str, Any] = (
            {"clone_suspected": True}
            if self.suspect is None
            else {"suspected_clone": dict(self.suspect)}
        )
        return judged.model_copy(update={"facts": facts})


def at(house: House, ada: Visitor, suspect: Mapping[str, JsonValue] | None = None) -> Visitor:
    """Return the same person where the factor that has TOTP is suspicious."""
    factors = {**house.factors, "totp": Suspicious(house.totp, suspect)}
    wary = replace(house, flows=make_flows(house.db, factors, house.clock))
    return replace(ada, house=wary)


async def copies(house: House) -> list[tuple[str, str]]:
    """Return whom the mails of copies went to, and of what they tell."""
    return [
        (mail.to, mail.facts["factor"])
        for mail in await house.notices()
        if mail.kind is MailKind.CLONE_SUSPECTED
    ]


async def told_of(house: House) -> dict[str, JsonValue]:
    """Return how a factor names the only TOTP."""
    (totp,) = await house.registered()
    return {"user_id": (await house.user()).id, "authenticator_id": totp}


async def test_a_code_that_is_accepted_may_be_of_a_copy(house: House) -> None:
    ada = await with_codes(house)

    assert isinstance(await at(house, ada).reauthenticate_by_code(ada.otp()), Standing)

    assert await copies(house) == [(ADA, "totp")]


async def test_a_code_that_is_refused_may_be_of_a_copy(house: House) -> None:
    ada = await with_codes(house)
    wary = at(house, ada, await told_of(house))

    assert faults_of(await wary.reauthenticate_by_code(ada.wrong_otp())) == ["incorrect_code"]

    assert await copies(house) == [(ADA, "totp")]


async def test_it_is_told_of_though_another_factor_was_asked_after_it(urls: Urls) -> None:
    """Codes of both have eight digits, and are asked about in turn: TOTP first."""
    async with open_house(urls, digits=8) as house:
        ada = await with_codes(house)
        other = at(house, await pending(ada), await told_of(house))

        assert faults_of(await other.authenticate(WRONG)) == ["incorrect_code"]

        assert await copies(house) == [(ADA, "totp")]
        assert (await house.user()).mfa_failures == 1


@pytest.mark.parametrize("whose", ["codes", "nothing", "somebody"])
async def test_a_factor_tells_of_nothing_but_what_it_was_asked_about(
    house: House, whose: str
) -> None:
    ada = await with_codes(house)
    own, (codes,) = await told_of(house), await house.registered("recovery_codes")
    suspect: dict[str, JsonValue] = {
        "codes": {**own, "authenticator_id": codes},
        "nothing": {**own, "authenticator_id": "a" * 64},
        "somebody": {**own, "user_id": "somebody"},
    }[whose]

    refused = await at(house, ada, suspect).reauthenticate_by_code(ada.wrong_otp())

    assert faults_of(refused) == ["incorrect_code"]
    assert await copies(house) == []
