"""D2: secrets are sealed by a new key while people log in, and the old key can go."""

import asyncio

import pyotp
import pytest
from sqlalchemy import bindparam, select, update

from services.totp.domain.codes import Policy, Verdict
from services.totp.flows import TotpFlows, build_resealing
from services.totp.store import PURPOSE, AuthenticatorStore, authenticators, enrolments
from shared import resealing
from shared.cipher import Cipher, KeyRing, key_of
from shared.database import Database, Row, Statement, step
from shared.errors import Unavailable
from shared.migrations import migrate
from tests.hands import Hands
from tests.resealing import NEW, OLD, TURNED, Interrupted, on_record, told
from tests.totp.test_flows import enrol

SECRETS = [
    Statement(select(table.c.id, table.c.sealed_secret)) for table in (authenticators, enrolments)
]
SPOIL = Statement(
    update(authenticators)
    .where(authenticators.c.id == bindparam("a"))
    .values(sealed_secret=bindparam("sealed"))
)


def under(ring: KeyRing, db: Database, clock: Hands) -> TotpFlows:
    """Return the service as it is with this ring."""
    return TotpFlows(AuthenticatorStore(db, Cipher(ring, PURPOSE)), clock, Policy())


async def keys_in_use(db: Database) -> set[str]:
    """Return which keys seal anything."""
    return {key_of(row.sealed_secret) for each in SECRETS for row in await db.all(each)}


async def accepts(flows: TotpFlows, id: str, device: pyotp.TOTP, clock: Hands) -> bool:
    """Log in."""
    judgement = await flows.verify("ada", [id], device.at(clock()))
    return judgement.verdict is Verdict.ACCEPTED


async def test_the_old_key_can_go(db: Database, clock: Hands) -> None:
    old = under(OLD, db, clock)
    device = await enrol(old, clock)
    offer = await old.begin("ada", "e1", "s1", "ada@example.com")

    tally = await build_resealing(db, TURNED).reseal()

    assert (tally.resealed, tally.left) == ({"k1": 2}, {})
    assert await keys_in_use(db) == {"k2"}
    new = under(NEW, db, clock)
    assert await accepts(new, "a1", device, clock)
    assert await new.complete("ada", "e1", "s1", pyotp.TOTP(offer.secret).at(clock()), None)
    assert await told(db) == on_record(2)


async def test_a_second_run_does_nothing(db: Database, clock: Hands) -> None:
    await enrol(under(OLD, db, clock), clock)
    await build_resealing(db, TURNED).reseal()
    before = [await db.all(each) for each in SECRETS]

    tally = await build_resealing(db, TURNED).reseal()

    assert (tally.resealed, tally.left) == ({}, {})
    assert [await db.all(each) for each in SECRETS] == before
    assert await told(db) == on_record(1)


async def test_what_is_to_be_done_is_counted_without_doing_it(db: Database, clock: Hands) -> None:
    await enrol(under(OLD, db, clock), clock)

    tally = await build_resealing(db, TURNED).reseal(pretend=True)

    assert tally.resealed == {"k1": 1}
    assert await keys_in_use(db) == {"k1"}
    assert await told(db) == []


async def test_every_page_is_walked_through(
    db: Database, clock: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many as fill two pages, and some."""
    old = under(OLD, db, clock)
    count = 2 * resealing.PAGE + 3
    for n in range(count):
        await old.begin(f"user{n}", f"e{n}", "s1", "ada@example.com")

    tally = await build_resealing(db, TURNED).reseal()

    assert tally.resealed == {"k1": count}
    assert await keys_in_use(db) == {"k2"}


async def test_what_no_key_opens_is_told_and_left(db: Database, clock: Hands) -> None:
    """Of a key that is gone, altered, or no sealed value at all; and all others are resealed."""
    old = under(OLD, db, clock)
    device = await enrol(old, clock)
    stranger = Cipher(KeyRing(primary="k0", keys={"k0": b"0" * 32}), PURPOSE)
    spoilt = {
        "b1": stranger.seal(b"secret", bound_to=()),
        "b2": Cipher(OLD, PURPOSE).seal(b"secret", bound_to=("elsewhere",)),
        "b3": b"nonsense",
    }
    for name, sealed in spoilt.items():
        await enrol(old, clock, name, "bob")
        await db.apply(step(SPOIL, a=name, sealed=sealed))

    tally = await build_resealing(db, TURNED).reseal()

    assert tally.resealed == {"k1": 1}
    named = {reason.key: tally.examples[reason] for reason in tally.left}
    assert named == {"k0": ["b1"], "k1": ["b2"], None: ["b3"]}
    assert {(reason.table, reason.code) for reason in tally.left} == {
        ("authenticators", "cannot_open")
    }
    rows = {row.id: row.sealed_secret for row in await db.all(SECRETS[0])}
    assert {name: rows[name] for name in spoilt} == spoilt
    assert await accepts(under(NEW, db, clock), "a1", device, clock)
    assert await told(db) == on_record(1, left=3)


async def test_what_others_change_meanwhile_is_theirs(db: Database, clock: Hands) -> None:
    """An enrolment is begun anew by who seals with the old key: that one counts, and is found."""
    old = under(OLD, db, clock)
    first = await old.begin("ada", "e1", "s1", "ada@example.com")
    shown = []

    async def again() -> None:
        shown.append(await old.begin("ada", "e1", "s1", "ada@example.com"))

    tally = await build_resealing(Interrupted(db, again), TURNED).reseal()

    assert tally.resealed == {"k1": 1}
    assert await keys_in_use(db) == {"k2"}
    assert shown[0].secret != first.secret
    code = pyotp.TOTP(shown[0].secret).at(clock())
    assert await under(NEW, db, clock).complete("ada", "e1", "s1", code, None)


async def test_what_is_removed_meanwhile_stays_so(db: Database, clock: Hands) -> None:
    old = under(OLD, db, clock)
    await enrol(old, clock)

    meanwhile = Interrupted(db, lambda: old.remove("ada", "a1"))
    tally = await build_resealing(meanwhile, TURNED).reseal()

    assert tally.resealed == {}
    assert await old.authenticators("ada") == []


async def test_an_enrolment_is_completed_while_its_secret_is_resealed(
    db: Database, clock: Hands
) -> None:
    """T6: the write that completes it finds the secret sealed otherwise, and looks again."""
    offer = await under(OLD, db, clock).begin("ada", "e1", "s1", "ada@example.com")
    sealing = build_resealing(db, TURNED)
    store = AuthenticatorStore(db, Cipher(TURNED, PURPOSE))
    judged = await store.progress("ada", "e1", "s1", clock())
    await sealing.reseal()

    assert judged is not None
    assert not await store.complete("ada", "e1", "s1", judged, step_=1, name=None, now=clock())
    code = pyotp.TOTP(offer.secret).at(clock())
    assert await under(TURNED, db, clock).complete("ada", "e1", "s1", code, None)


async def test_what_was_broken_off_goes_on(db: Database, clock: Hands) -> None:
    """The database went away after the first page; whoever runs it again finds the rest."""
    old = under(OLD, db, clock)
    for n in range(resealing.PAGE + 1):
        await old.begin(f"user{n}", f"e{n:03}", "s1", "ada@example.com")

    class Leaving(Database):
        def __init__(self) -> None:
            self.__dict__.update(db.__dict__)
            self.pages = 0

        async def all(self, statement: Statement, /, **params: object) -> list[Row]:
            rows = await super().all(statement, **params)
            self.pages += bool(rows)
            if self.pages > 1:
                raise Unavailable("The database is away.")
            return rows

    with pytest.raises(Unavailable):
        await build_resealing(Leaving(), TURNED).reseal()
    tally = await build_resealing(db, TURNED).reseal()

    assert tally.resealed == {"k1": 1}
    assert await keys_in_use(db) == {"k2"}
    started, *rest = await told(db)
    assert started[0] == "resealing_started"
    assert rest == on_record(1)


async def test_everybody_logs_in_while_two_reseal(postgresql_url: str, clock: Hands) -> None:
    """Two operators at once, while replicas that have both keys judge codes."""
    migrate(postgresql_url, "services.totp.migrations")
    databases = [Database(postgresql_url, source="totp", clock=clock) for _ in range(3)]
    replicas = [under(TURNED, db, clock) for db in databases[:2]]
    devices = {
        f"a{n}": await enrol(under(OLD, databases[0], clock), clock, f"a{n}") for n in range(60)
    }

    async def everybody() -> list[bool]:
        return [
            await accepts(replicas[n % 2], name, device, clock)
            for n, (name, device) in enumerate(devices.items())
        ]

    logins, *tallies = await asyncio.gather(
        everybody(),
        build_resealing(databases[1], TURNED).reseal(),
        build_resealing(databases[2], TURNED).reseal(),
    )

    assert all(logins)
    assert sum(tally.resealed.total() for tally in tallies) == len(devices)
    assert not any(tally.left for tally in tallies)
    clock.turn(seconds=30)
    new = under(NEW, databases[0], clock)
    assert all([await accepts(new, name, device, clock) for name, device in devices.items()])
    for db in databases:
        await db.close()
