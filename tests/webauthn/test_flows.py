"""Use cases on a real database: enrolment, second factor, login, names, removal."""

import pytest

from services.webauthn.domain.policy import Use
from services.webauthn.flows import WebAuthnFlows
from services.webauthn.store import Place
from shared.database import Database
from tests.webauthn.authenticator import Device
from tests.webauthn.conftest import (
    counted,
    enrol,
    log_in,
    prove,
    recorded,
    spent_since,
)


async def test_smoke(flows: WebAuthnFlows, db: Database) -> None:
    device = Device()
    before = counted()
    offer = await flows.begin(Place("a1", "ada", "s1"), "ada@example.com", passwordless=True)
    print(spent_since(before), offer)
    assert await flows.complete(Place("a1", "ada", "s1"), device.create(dict(offer.options)), "x")
    print(spent_since(before))
    j = await prove(flows, device)
    assert j.reason is None
    j = await log_in(flows, device)
    assert j.reason is None
    print(await recorded(db))
    print(await flows.rename("ada", "a1", "fff"))
    await flows.forget("ada")
