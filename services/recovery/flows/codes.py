"""What happens to recovery codes: read, decide, one write.

Of what the protocol leaves open: there is nothing to prove, so completing an enrolment makes the
set, whether one was begun or not. `shown` says that whoever asks shows the codes to the person at
once; a set made without it waits to be revealed, and its codes do not leave the service.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from services.recovery.domain.codes import (
    CodeSet,
    Judgement,
    Policy,
    Use,
    Verdict,
    canonical,
    has_confirmed,
    is_low,
    may_be_shown,
    new_codes,
)
from services.recovery.events.codes import (
    CodeAccepted,
    CodeFailed,
    CodeReplayed,
    CodesConfirmed,
    CodesGenerated,
    CodesLow,
    CodesRemoved,
    CodesViewed,
)
from services.recovery.store.codes import CodeStore
from shared.clock import Clock
from shared.errors import Conflict, NotFound
from shared.event import Event

OFFERED = timedelta(minutes=10)


@dataclass(frozen=True)
class Shown:
    """A set, and its unused codes as people read them: None if they may not be seen (again)."""

    set: CodeSet
    codes: tuple[str, ...] | None = field(repr=False)


class CodeFlows:
    """The use cases."""

    def __init__(self, store: CodeStore, clock: Clock, policy: Policy) -> None:
        self._store = store
        self._clock = clock
        self.policy = policy

    async def ready(self) -> None:
        """Raise Unavailable unless the database answers."""
        await self._store.ping()

    async def sets(self, user_id: str) -> list[CodeSet]:
        """Return what the person has, oldest first."""
        return await self._store.all(user_id)

    async def verify(self, user_id: str, ids: Sequence[str], code: str) -> Judgement:
        """Judge `code` against those of `ids` that are the user's, and spend it if it is right.

        Whoever calls must count the refusals: nothing here limits guessing.
        """
        typed = canonical(code)
        if typed is None:
            return await self._failed(user_id)
        # One set at a time, and there is but one as a rule: were a code in two, one is spent.
        for set_id in dict.fromkeys(ids):
            accepted = CodeAccepted(user_id=user_id, authenticator_id=set_id)
            use = await self._store.spend(user_id, set_id, typed, self._clock(), accepted)
            if use is not None:
                await self._tell(user_id, use)
                return Judgement(Verdict.ACCEPTED, use)
        used = await self._store.find_used(user_id, ids, typed)
        if used is None:
            return await self._failed(user_id)
        await self._store.record(CodeReplayed(user_id=user_id, authenticator_id=used))
        return Judgement(Verdict.REPLAYED)

    def offered_until(self) -> datetime:
        """Return until when an offer to make codes stands: by courtesy, for nothing waits."""
        return self._clock() + OFFERED

    async def make(self, user_id: str, id: str, session_id: str, *, shown: bool) -> Shown:
        """Make a set of that id, and show it if it is `shown`.

        Repeatable, in the same session: the same set, and its codes as long as they may be seen.
        Raises Conflict if the id is of somebody else's set.
        """
        while True:
            new = self._new_set(user_id, id, session_id, shown=shown)
            plain = new_codes(new.form, new.total)
            if await self._store.add(new, plain, *_made(new)):
                return Shown(new, _grouped(new, plain) if shown else None)
            kept = await self._store.find(id)
            if kept is None:
                continue  # it has been removed since
            if (kept.user_id, kept.session_id) != (user_id, session_id):
                raise Conflict("The id is taken.", code="enrolment_taken")
            return await self.reveal(user_id, id) if shown else Shown(kept, None)

    async def reveal(self, user_id: str, id: str) -> Shown:
        """Show the unused codes of a set, if they may be seen. Raises NotFound if there is none."""
        while True:
            kept = await self._store.find_codes(user_id, id)
            if kept is None:
                raise NotFound("There are no such codes.", code="authenticator_not_found")
            if not may_be_shown(self.policy, kept.set):
                return Shown(kept.set, None)
            plain = self._store.open(kept)
            viewed = CodesViewed(user_id=user_id, authenticator_id=id)
            view = self._store.view_once if self.policy.show_once else self._store.view
            if await view(kept.set, self._clock(), viewed):
                return Shown(kept.set, _grouped(kept.set, plain))
            # Another request has seen, spent or removed some of them since: look again.

    async def remove(self, user_id: str, id: str) -> None:
        """Remove a set with all its codes. Repeatable."""
        await self._store.remove(user_id, id, CodesRemoved(user_id=user_id, authenticator_id=id))

    async def forget(self, user_id: str) -> None:
        """Remove every set of a person. Repeatable."""
        for kept in await self._store.all(user_id):
            await self.remove(user_id, kept.id)

    async def erase_viewed(self) -> None:
        """Erase the copies of codes that were seen, if codes are to be seen only once.

        That is what was made before the setting was switched on, and what a crash has left.
        """
        if self.policy.show_once:
            while await self._store.erase_viewed():
                pass

    def _new_set(self, user_id: str, id: str, session_id: str, *, shown: bool) -> CodeSet:
        now = self._clock()
        return CodeSet(
            id=id,
            user_id=user_id,
            session_id=session_id,
            form=self.policy.form,
            total=self.policy.count,
            unused=self.policy.count,
            created_at=now,
            last_used_at=None,
            viewed_at=now if shown else None,
            confirmed_at=None if self.policy.confirm else now,
            has_copies=not (self.policy.show_once and shown),
        )

    async def _failed(self, user_id: str) -> Judgement:
        await self._store.record(CodeFailed(user_id=user_id))
        return Judgement(Verdict.REJECTED)

    async def _tell(self, user_id: str, use: Use) -> None:
        """Record what follows from a use.

        Only the write that counts down knows how many codes are left, so this is another. Were it
        lost in a crash, the acceptance is on record, and the next use says that codes are few.
        """
        told: list[Event] = []
        if has_confirmed(self.policy, use):
            told.append(CodesConfirmed(user_id=user_id, authenticator_id=use.set_id))
        if is_low(self.policy, unused=use.unused, total=use.total):
            low = CodesLow(user_id=user_id, authenticator_id=use.set_id, unused=use.unused)
            told.append(low)
        if told:
            await self._store.record(*told)


def _made(new: CodeSet) -> list[Event]:
    generated = CodesGenerated(user_id=new.user_id, authenticator_id=new.id, total=new.total)
    if new.viewed_at is None:
        return [generated]
    return [generated, CodesViewed(user_id=new.user_id, authenticator_id=new.id)]


def _grouped(kept: CodeSet, plain: Sequence[str]) -> tuple[str, ...]:
    return tuple(kept.form.grouped(code) for code in plain)
