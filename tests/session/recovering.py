"""People with recovery codes, and what is known of these."""

import json
from collections.abc import Callable
from typing import Any

from sqlalchemy import bindparam, select, update

from services.session.domain.stages import Stage
from services.session.flows.outcomes import Codes, Standing
from services.session.store.tables import dead_authenticators, users
from shared.database import Statement, step
from tests.session.house import House, Visitor

WRONG = "00000000"  # eight digits; that a set has it is one in ten millions
DEAD = Statement(select(*dead_authenticators.c))
REGISTER = Statement(update(users).values(register=bindparam("register", type_=users.c.id.type)))


async def with_codes(house: House) -> Visitor:
    """Return somebody who is protected, reauthenticated, and has written the codes down."""
    ada = await (await house.visitor().join()).protect()
    await ada.reauthenticate()
    assert isinstance(await ada.show_codes(), Codes)
    await house.notices()
    return ada


async def pending(ada: Visitor) -> Visitor:
    """Return the same person at another client, with the password given."""
    other = ada.elsewhere()
    outcome = await other.log_in()
    assert isinstance(outcome, Standing)
    assert outcome.visit.pending is Stage.MFA_AUTHENTICATE
    return other


async def gets_in(ada: Visitor, code: str) -> bool:
    """Tell whether a code completes a login."""
    outcome = await (await pending(ada)).authenticate(code)
    return isinstance(outcome, Standing) and outcome.visit.authenticated


async def facts(house: House) -> dict[str, object]:
    """Return what the register says of the codes."""
    entries = json.loads((await house.user()).register)["entries"]
    (found,) = [entry["facts"] for entry in entries if entry["type"] == "recovery_codes"]
    return dict(found)


async def rewrite(house: House, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
    """Change every entry of the only register behind the service's back."""
    held = json.loads((await house.user()).register)
    held["entries"] = [change(entry) for entry in held["entries"]]
    assert await house.db.apply(step(REGISTER, register=json.dumps(held))) is not None


async def agrees(house: House) -> bool:
    """Tell whether register and factors agree and nothing is left, once the worker has swept."""
    house.clock.turn(minutes=2)
    await house.sweeps.repair_registers()
    house.clock.turn(minutes=2)
    await house.sweeps.collect_dead()
    return (
        (await house.user()).register_pending is None
        and await house.db.all(DEAD) == []
        and await house.registered() == await house.enrolled()
        and await house.registered("recovery_codes") == await house.code_sets()
    )
