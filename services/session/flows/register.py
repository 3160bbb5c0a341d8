"""The register's changes: announced, made by the factor, written down; and repaired if half done.

Only what the register holds counts. A change goes in three steps: the register is marked dirty
under a new number, the factor is called (repeatably), and the register is written clean if that
number still stands. Whoever finds it dirty takes the next number and repairs it first, or fails;
as long as the change may be alive, whoever meets it is told to come again.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from services.session.domain.mails import MailKind
from services.session.domain.register import Entry, Intent, Pending, Register, repaired
from services.session.domain.sessions import Account
from services.session.events import (
    ActivationAbandoned,
    AuthenticatorAdded,
    AuthenticatorRemoved,
    RegisterRepaired,
)
from services.session.flows.notices import Notices
from services.session.store import Store
from shared.clock import Clock
from shared.database import Step
from shared.errors import Unavailable
from shared.factor import FactorClient

# How long a change may be alive after its mark: twice as long as a call to a factor is waited for,
# to leave time for the writes. Earlier, taking over would undo what somebody is doing: the second
# of two equal requests would destroy the first. Whoever is slower still finds another number.
LIVE = timedelta(seconds=10)

# The factor may still be at work on a call that was given up: look again when it cannot be.
BURIAL_DELAY = timedelta(minutes=1)


class Registrar:
    """Changes registers. Everything raises Unavailable if a factor that is needed is away."""

    def __init__(
        self, store: Store, factors: Mapping[str, FactorClient], notices: Notices, clock: Clock
    ) -> None:
        self._store = store
        self._factors = factors
        self._notices = notices
        self._clock = clock

    async def settled(self, account: Account) -> Account:
        """Return the account with a register that is clean, repairing it if need be.

        Raises Unavailable rather than let anybody decide upon a guess.
        """
        if account.register.pending is None:
            return account
        await self.repair(account)
        settled = await self._store.find_account(account.id)
        if settled is None or settled.register.pending is not None:
            raise _overtaken()
        return settled

    async def repair(self, account: Account) -> None:
        """Undo an addition or carry on a removal, at the factor first; write the register clean.

        Raises Unavailable, and leaves it alone, while the change may still be alive.
        """
        pending = account.register.pending
        if pending is None:
            return
        now = self._clock()
        taking = self._store.take_over_register(account, before=now - LIVE, now=now)
        if await self._store.write(taking) is None:
            raise _overtaken()
        taken = replace(account.register, number=account.register.number + 1)
        await self._factor(pending.type).remove(account.id, pending.id)
        await self._write_repaired(account, pending, taken, now)

    async def announce(self, account: Account, pending: Pending) -> Register:
        """Mark the register dirty; return it under its new number. Others are refused meanwhile."""
        marked = await self._store.write(self._store.mark_register(account, pending, self._clock()))
        if marked is None:
            raise _overtaken()
        return replace(account.register, number=account.register.number + 1, pending=pending)

    async def add(self, account: Account, register: Register, entry: Entry, *others: Step) -> bool:
        """Write down that `entry` counts. False if it may not.

        The second factor rests, the account's sessions were ended, or one of `others`, which are
        written along, was refused. `register` is as `announce` returned it.
        """
        grown = replace(register.with_entry(entry), pending=None)
        added = AuthenticatorAdded(user_id=account.id, factor=entry.type, authenticator_id=entry.id)
        now = self._clock()
        facts = {"factor": entry.type}
        written = await self._store.write(
            self._store.register_added(account, grown, now),
            *others,
            *self._notices.tell(account.email, MailKind.AUTHENTICATOR_ADDED, now, facts),
            events=[added],
        )
        return written is not None

    async def abandon(self, account: Account, register: Register) -> None:
        """Leave what the factor made to the sweep, and the register as it was, if it still can."""
        pending = register.pending
        if pending is None:
            return
        now = self._clock()
        event = ActivationAbandoned(
            user_id=account.id, factor=pending.type, authenticator_id=pending.id
        )
        burial = self._store.bury(account.id, pending.type, pending.id, now + BURIAL_DELAY)
        clean = self._store.register_written(
            account.id, replace(register, pending=None), changed=False
        )
        if await self._store.write(clean, burial, events=[event]) is None:
            await self._store.write(burial, events=[event])

    async def remove(self, account: Account, entry: Entry) -> Account:
        """Remove an authenticator; return the account without it.

        If somebody else has carried the removal on meanwhile, that is just as well.
        """
        pending = Pending(intent=Intent.REMOVE, type=entry.type, id=entry.id)
        register = await self.announce(account, pending)
        await self._factor(entry.type).remove(account.id, entry.id)
        shrunk = replace(register.without(entry.id), pending=None)
        removed = AuthenticatorRemoved(
            user_id=account.id, factor=entry.type, authenticator_id=entry.id
        )
        written = await self._store.write(
            self._store.register_written(account.id, shrunk, changed=True),
            *self._tell_removed(account, entry.type),
            events=[removed],
        )
        after = account if written is None else replace(account, register=shrunk)
        if written is None:
            after = await self._store.find_account(account.id) or account
        if after.register.find(entry.id) is not None:
            raise _overtaken()
        return after

    async def _write_repaired(
        self, account: Account, pending: Pending, taken: Register, now: datetime
    ) -> None:
        clean = repaired(taken)
        event = RegisterRepaired(
            user_id=account.id,
            factor=pending.type,
            intent=pending.intent.value,
            authenticator_id=pending.id,
        )
        changed = clean.entries != taken.entries
        written = await self._store.write(
            self._store.register_written(account.id, clean, changed=changed),
            self._store.bury(account.id, pending.type, pending.id, now + BURIAL_DELAY),
            *(self._tell_removed(account, pending.type) if changed else ()),
            events=[event],
        )
        if written is None:
            raise _overtaken()

    def _tell_removed(self, account: Account, factor: str) -> tuple[Step, ...]:
        kind = MailKind.AUTHENTICATOR_REMOVED
        return self._notices.tell(account.email, kind, self._clock(), {"factor": factor})

    def _factor(self, type: str) -> FactorClient:
        try:
            return self._factors[type]
        except KeyError:
            raise Unavailable(f"No factor of type {type} is configured.") from None


def _overtaken() -> Unavailable:
    return Unavailable("The authenticators of this account are being changed.")
