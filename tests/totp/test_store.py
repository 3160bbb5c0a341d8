"""Secrets lie sealed, each in its own place, and the tables are as the store believes."""

import pyotp
import pytest
import structlog
from sqlalchemy import bindparam, select, update

from services.totp.domain.codes import Policy, Verdict
from services.totp.flows import TotpFlows
from services.totp.store import PURPOSE, AuthenticatorStore, authenticators, enrolments, metadata
from shared.cipher import CannotOpen, Cipher, KeyRing
from shared.database import Database, Statement, step
from shared.errors import Unavailable
from shared.factor import FactorClient, Purpose
from shared.migrations import differences, migrate
from tests.hands import Hands
from tests.totp.conftest import RING
from tests.totp.test_flows import enrol

SEALED = Statement(
    select(authenticators.c.id, authenticators.c.sealed_secret).order_by(authenticators.c.id)
)
PENDING = Statement(select(enrolments.c.sealed_secret))
OVERWRITE = Statement(
    update(authenticators)
    .where(authenticators.c.id == bindparam("a"))
    .values(sealed_secret=bindparam("sealed"))
)


def test_the_migrations_make_what_the_store_expects(migrated_url: str) -> None:
    assert differences(migrated_url, metadata) == []


def test_migrating_again_changes_nothing(migrated_url: str) -> None:
    migrate(migrated_url, "services.totp.migrations")

    assert differences(migrated_url, metadata) == []


async def test_an_enrolment_whose_secret_was_replaced_is_not_completed(
    store: AuthenticatorStore, flows: TotpFlows, clock: Hands
) -> None:
    """T6: a code of the secret before the last makes no authenticator, however late it is."""
    await flows.begin("ada", "e1", "s1", "ada@example.com")
    judged = await store.progress("ada", "e1", "s1", clock())
    await flows.begin("ada", "e1", "s1", "ada@example.com")

    assert judged is not None
    assert not await store.complete("ada", "e1", "s1", judged, step_=1, name=None, now=clock())
    assert await store.all("ada") == []


async def test_no_secret_lies_open(flows: TotpFlows, clock: Hands, db: Database) -> None:
    """D1: seeds are encrypted, while they are pending and after."""
    device = await enrol(flows, clock)
    offer = await flows.begin("ada", "e1", "s1", "ada@example.com")

    (kept,), (pending,) = await db.all(SEALED), await db.all(PENDING)

    for sealed, secret in ((kept, device.secret), (pending, offer.secret)):
        assert pyotp.TOTP(secret).byte_secret() not in sealed.sealed_secret
        assert secret.encode() not in sealed.sealed_secret
        assert b"k1" in sealed.sealed_secret  # the key's id


async def test_a_secret_that_is_moved_does_not_open(
    flows: TotpFlows, clock: Hands, db: Database
) -> None:
    """D1: a seed is bound to its row; that of another does not log in."""
    await enrol(flows, clock, "a1", "ada")
    device = await enrol(flows, clock, "b1", "eve")
    rows = {row.id: row.sealed_secret for row in await db.all(SEALED)}
    await db.apply(step(OVERWRITE, a="a1", sealed=rows["b1"]))

    with pytest.raises(CannotOpen):
        await flows.verify("ada", ["a1"], device.at(clock()))


async def test_a_pending_secret_does_not_open_as_an_enrolled_one(
    flows: TotpFlows, clock: Hands, db: Database
) -> None:
    """D1: a seed is bound to its table too."""
    await enrol(flows, clock)
    await flows.begin("ada", "e1", "s1", "ada@example.com")
    (pending,) = await db.all(PENDING)
    await db.apply(step(OVERWRITE, a="a1", sealed=pending.sealed_secret))

    with pytest.raises(CannotOpen):
        await flows.verify("ada", ["a1"], "123456")


async def test_callers_learn_nothing_of_a_broken_secret(
    client: FactorClient, db: Database, clock: Hands
) -> None:
    """D6: what does not open is a breakdown, not a wrong code."""
    offer = await client.begin("ada", "a1", session_id="s1", account_name="ada")
    code = {"code": pyotp.TOTP(str(offer.display["secret"])).at(clock())}
    await client.complete("ada", "a1", session_id="s1", proof=code)
    await db.apply(step(OVERWRITE, a="a1", sealed=b"\x01\x02k1nonsense"))

    with pytest.raises(Unavailable) as caught, structlog.testing.capture_logs() as logs:
        await client.verify(
            "ada", authenticators=["a1"], proof=code, session_id="s1", purpose=Purpose.AUTHENTICATE
        )

    assert "seal" not in caught.value.detail
    assert [line["event"] for line in logs].count("request_failed") == 1


async def test_a_turned_ring_opens_what_the_old_key_sealed(
    db: Database, flows: TotpFlows, clock: Hands
) -> None:
    device = await enrol(flows, clock)
    turned = KeyRing(primary="k2", keys={"k2": b"2" * 32, **RING.keys})

    renewed = TotpFlows(AuthenticatorStore(db, Cipher(turned, PURPOSE)), clock, Policy())

    assert (await renewed.verify("ada", ["a1"], device.at(clock()))).verdict is Verdict.ACCEPTED
