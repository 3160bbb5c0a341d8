"""A process of its own, for tests that kill one: `python -m tests.shared.sample.process`."""

import asyncio
import sys

from shared.database import Database, step
from shared.migrations import migrate
from tests.shared.sample import ADD, LOCATION, PAY_IN, Paid

WRITERS = 16


def say(line: str) -> None:
    """Tell the test, at once."""
    print(line, flush=True)


async def write(db: Database, name: str) -> None:
    """Add wallets without end, saying of each when it was written."""
    for number in range(sys.maxsize):
        key = f"{name}-{number}"
        await db.apply(step(ADD, id=key, owner=None, coins=number), Paid(user_id=key))
        say(key)


async def write_for_ever(db: Database) -> None:
    """Write from many tasks at once, so that commits are shared."""
    await asyncio.gather(*(write(db, f"w{number}") for number in range(WRITERS)))


async def pay_in(db: Database) -> None:
    """Add 1 to the wallet `shared` 200 times."""
    for _ in range(200):
        await db.apply(step(PAY_IN, id="shared", amount=1))
    say("done")


async def hold(db: Database) -> None:
    """Hold the lock `relay` until killed."""
    async with db.exclusive("relay") as held:
        say(str(held))
        await asyncio.Event().wait()


async def _with_database(url: str, task: str) -> None:
    db = Database(url, source="process")
    await {"write": write_for_ever, "pay_in": pay_in, "hold": hold}[task](db)
    await db.close()


if __name__ == "__main__":
    _, url, task = sys.argv
    if task == "migrate":
        migrate(url, LOCATION)
    else:
        asyncio.run(_with_database(url, task))
