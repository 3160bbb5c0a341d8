"""The register's changes: announced, made by the factor, written down; and repaired if half done.

Only what the register holds counts. A change goes in three steps: the register is marked dirty
under a new number, the factor is called (repeatably), and the register is written clean if that
number still stands. Whoever finds it dirty takes the next number and repairs it first, or fails;
as long as the change may be alive, whoever meets it is told to come again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from services.session.domain.factors import is_waited_for, service_of
from services.session.domain.limits import Spot
from services.session.domain.mails import MailKind
from services.session.domain.register import (
    Entry,
    Intent,
    Named,
    Pending,
    Register,
    added,
    given_up,
    removed,
    repaired,
    replaced,
)
from services.session.domain.sessions import Account, Session
from services.session.events import (
    ActivationAbandoned,
    AuthenticatorAdded,
    AuthenticatorRemoved,
    AuthenticatorReplaced,
    RegisterRepaired,
)
from services.session.flows.factors import Factors
from services.session.flows.notices import Notices
from services.session.store import Store
from shared.clock import Clock
from shared.database import Step
from shared.errors import Unavailable
from shared.event import Event

# How long a change may be alive after its mark: as long as calls to two factors are waited for, and
# once more, to leave time for the writes. Earlier, taking over would undo what somebody is doing:
# the second of two equal requests would destroy the first. Whoever is slower still finds another
# number.
LIVE = timedelta(seconds=15)

# The factor may still be at work on a call that was given up: look again when it cannot be.
BURIAL_DELAY = timedelta(minutes=1)


class Registrar:
    """Changes registers. Everything raises Unavailable if a factor that is needed is away."""

    def __init__(self, store: Store, factors: Factors, notices: Notices, clock: Clock) -> None:
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
            raise overtaken()
        return settled

    async def repair(self, account: Account) -> None:
        """Undo an addition or carry on a removal, at the factor first; write the register clean.

        Of kinds that are not waited for, it is left to the sweep.
        Raises Unavailable, and leaves it alone, while the change may still be alive.
        """
        pending = account.register.pending
        if pending is None:
            return
        now = self._clock()
        taking = self._store.take_over_register(account, before=now - LIVE, now=now)
        if await self._store.write(taking) is None:
            raise overtaken()
        taken = replace(account.register, number=account.register.number + 1)
        if is_waited_for(pending.type):
            await self._factors.of(pending.type).remove(account.id, pending.id)
        await self._write_repaired(account, pending, taken, now)

    async def announce(self, account: Account, pending: Pending) -> Register:
        """Mark the register dirty; return it under its new number. Others are refused meanwhile."""
        told = {service_of(named.type) for named in pending.involved}
        marked = await self._store.write(
            self._store.mark_register(account, pending, self._clock()),
            *(self._store.keep(account.id, factor) for factor in sorted(told)),
        )
        if marked is None:
            raise overtaken()
        return replace(account.register, number=account.register.number + 1, pending=pending)

    async def add(
        self,
        account: Account,
        register: Register,
        entry: Entry,
        codes: Entry | None,
        *conditions: Step,
        spot: Spot | None = None,
        tells: bool = True,
        along: Sequence[Event] = (),
    ) -> Account | None:
        """Write down that `entry` counts, and the codes that were made along; None if it may not.

        Then one of `conditions` does not hold, which may be writes of their own, with events
        `along`; all sessions of the account were ended; or the second factor rests, which is of no
        matter without a `spot`, for what cannot be guessed. `register` is as `announce` returned
        it. Codes that were to be made and are not there are left to the sweep. The person is told
        by mail if `tells`.
        """
        entries = (entry,) if codes is None else (entry, codes)
        grown = added(register, *entries)
        now = self._clock()
        written = await self._store.write(
            *self._grown(account, grown, now, spot),
            *conditions,
            *self._buried(account, _unmade(register, grown), now + BURIAL_DELAY),
            *(self._tell(account, MailKind.AUTHENTICATOR_ADDED, entry.type) if tells else ()),
            events=[
                *(
                    AuthenticatorAdded(user_id=account.id, factor=e.type, authenticator_id=e.id)
                    for e in entries
                ),
                *along,
            ],
        )
        return None if written is None else self._store.having(account, grown)

    async def renew_codes(
        self, account: Account, register: Register, entry: Entry, session: Session
    ) -> bool:
        """Write down that a set of recovery codes counts, in place of the one before.

        False if it may not: the session or all of the account's were ended. `register` is as
        `announce` returned it.
        """
        renewed = replaced(register, entry)
        gone = register.lost_by(renewed)
        now = self._clock()
        event = AuthenticatorReplaced(
            user_id=account.id,
            factor=entry.type,
            authenticator_id=entry.id,
            replaced=[dead.id for dead in gone],
        )
        written = await self._store.write(
            self._store.register_replaced(account, renewed),
            self._store.session_stands(session.id),
            *self._buried(account, gone, now),
            *self._notices.tell(account.email, MailKind.RECOVERY_CODES_GENERATED, now),
            events=[event],
        )
        return written is not None

    async def withdraw(self, account: Account, register: Register) -> None:
        """Write the register as it was before the change was announced, if it still can be.

        For what no factor has made: the same id may be tried again.
        """
        clean = replace(register, pending=None)
        await self._store.write(self._store.register_written(account.id, clean, changed=False))

    async def abandon(self, account: Account, register: Register) -> None:
        """Leave what the factor made to the sweep, and the register as it was, if it still can."""
        pending = register.pending
        if pending is None:
            return
        events = [
            ActivationAbandoned(user_id=account.id, factor=dead.type, authenticator_id=dead.id)
            for dead in pending.involved
        ]
        burials = self._buried(account, pending.involved, self._clock() + BURIAL_DELAY)
        clean = self._store.register_written(account.id, given_up(register), changed=False)
        if await self._store.write(clean, *burials, events=events) is None:
            await self._store.write(*burials, events=events)

    async def remove(self, account: Account, entry: Entry) -> Account:
        """Remove an authenticator; return the account without it.

        With the last that is real goes what stands only beside others. If somebody else has
        carried the removal on meanwhile, that is just as well. Where its kind is not waited for and
        the factor is away, it is left to the sweep: from now on it counts no more.
        """
        pending = Pending(intent=Intent.REMOVE, type=entry.type, id=entry.id)
        register = await self.announce(account, pending)
        is_gone = await self._removed(account, entry)
        shrunk = removed(register, entry.id)
        gone = register.lost_by(shrunk)
        now = self._clock()
        written = await self._store.write(
            self._store.register_written(account.id, shrunk, changed=True),
            *self._buried(account, _but(gone, entry.name), now),
            *(() if is_gone else self._buried(account, [entry.name], now + BURIAL_DELAY)),
            *self._tell(account, MailKind.AUTHENTICATOR_REMOVED, entry.type),
            events=[_removed(account, dead) for dead in gone],
        )
        after = self._store.having(account, shrunk)
        if written is None:
            after = await self._store.find_account(account.id) or account
        if after.register.find(entry.id) is not None:
            raise overtaken()
        return after

    async def _removed(self, account: Account, entry: Entry) -> bool:
        """Have the factor remove an authenticator; False if that has to wait, and may."""
        try:
            await self._factors.of(entry.type).remove(account.id, entry.id)
        except Unavailable:
            if is_waited_for(entry.type):
                raise
            return False
        return True

    def _grown(
        self, account: Account, grown: Register, now: datetime, spot: Spot | None
    ) -> tuple[Step, ...]:
        if spot is None:
            return (self._store.register_grown(account, grown),)
        return self._store.register_added(
            account, grown, now, here=spot.here, familiar=spot.familiar
        )

    async def _write_repaired(
        self, account: Account, pending: Pending, taken: Register, now: datetime
    ) -> None:
        clean = repaired(taken)
        gone = taken.lost_by(clean)
        along = _but(gone, Named(pending.type, pending.id))
        events: list[Event] = [
            RegisterRepaired(
                user_id=account.id,
                factor=pending.type,
                intent=pending.intent.value,
                authenticator_id=pending.id,
            ),
            *(_removed(account, dead) for dead in along),
        ]
        kind = MailKind.AUTHENTICATOR_REMOVED
        told = self._tell(account, kind, pending.type) if gone else ()
        written = await self._store.write(
            self._store.register_written(account.id, clean, changed=bool(gone)),
            *self._buried(account, (*pending.involved, *along), now + BURIAL_DELAY),
            *told,
            events=events,
        )
        if written is None:
            raise overtaken()

    def _buried(
        self, account: Account, dead: Iterable[Named], due_at: datetime
    ) -> tuple[Step, ...]:
        return tuple(self._store.bury(account.id, named, due_at) for named in dead)

    def _tell(self, account: Account, kind: MailKind, factor: str) -> tuple[Step, ...]:
        return self._notices.tell(account.email, kind, self._clock(), {"factor": factor})


def overtaken() -> Unavailable:
    """Return what is said where somebody else is changing the same register."""
    return Unavailable("The authenticators of this account are being changed.")


def _unmade(register: Register, grown: Register) -> tuple[Named, ...]:
    """Return what was to be added and is not in `grown`."""
    pending = () if register.pending is None else register.pending.involved
    return tuple(named for named in pending if grown.find(named.id) is None)


def _but(dead: tuple[Named, ...], one: Named) -> tuple[Named, ...]:
    return tuple(named for named in dead if named != one)


def _removed(account: Account, dead: Named) -> AuthenticatorRemoved:
    return AuthenticatorRemoved(user_id=account.id, factor=dead.type, authenticator_id=dead.id)
