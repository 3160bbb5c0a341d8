"""What operators do to accounts: each is one write, with its event and its mail to the person."""

from collections.abc import Sequence
from datetime import datetime

from services.session.domain.addresses import parse_address
from services.session.domain.faults import Fault
from services.session.domain.mails import MailKind
from services.session.domain.passwords import password_faults
from services.session.domain.sessions import recorded_id
from services.session.domain.signup_fields import EMAIL, USERNAME
from services.session.events import (
    SecondFactorReset,
    UserCreated,
    UserDeleted,
    UserDisabled,
    UserEnabled,
    UserErasureWaived,
    UserSessionsEnded,
    UserTrustRevoked,
    UserUnlocked,
)
from services.session.flows.delete import Deletion
from services.session.flows.engine import ID_BYTES
from services.session.flows.notices import Notices
from services.session.flows.passwords import PasswordHasher
from services.session.flows.register import BURIAL_DELAY
from services.session.flows.signup import SignupPolicy
from services.session.store import Store
from services.session.store.credentials import forget_origins
from services.session.store.people import Erasure, LiveSession, People, Person
from shared.clock import Clock
from shared.database import Step
from shared.errors import Conflict, Malformed, NotFound
from shared.event import Event
from shared.token import new_token
from shared.trust import Browser, TrustClient

OPERATOR = "operator"


class WeakPassword(Malformed):
    """The password will not do, for every reason in `faults`."""

    code = "weak_password"

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__(" ".join(fault.message for fault in faults))
        self.faults = tuple(faults)


class Operating:
    """The use cases of `countersign user`.

    PERSON is an address, a username or an id. Everything raises NotFound if there is nobody of that
    name, and Conflict, with a sentence, if it cannot be done to them. No factor is called, and of
    other services only the keeper of trust, about nothing else.
    """

    def __init__(
        self,
        store: Store,
        people: People,
        deletion: Deletion,
        notices: Notices,
        *,
        hasher: PasswordHasher,
        clock: Clock,
        names: SignupPolicy,
    ) -> None:
        self._store = store
        self._people = people
        self._deletion = deletion
        self._notices = notices
        self._hasher = hasher
        self._clock = clock
        self._names = names
        self._rules = names.passwords

    async def find(self, person: str) -> Person:
        """Return who has that address or username, in whatever spelling, or that id."""
        found = await self._people.find(person, self._clock())
        if found is None:
            raise NotFound(f"There is nobody called {person!r}.")
        return found

    async def create(
        self,
        email: str | None,
        password: str | None,
        *,
        username: str | None = None,
        verified: bool = False,
    ) -> str:
        """Make an account and return its id. Raises WeakPassword, or Conflict if it is taken.

        Without a password there is none, and nobody can log in by one. Unless `verified`, the
        first login waits for a code that is mailed, where addresses have to be verified.
        """
        address, name = self._address(email), self._username(username)
        if password is not None and (
            faults := password_faults(password, self._rules, email=address, username=name)
        ):
            raise WeakPassword(faults)
        password_hash = None if password is None else await self._hasher.hash(password)
        user_id, now = new_token(ID_BYTES), self._clock()
        made = self._people.create(
            id=user_id,
            email_id=new_token(ID_BYTES),
            address=address,
            username=name,
            password_hash=password_hash,
            verified=verified,
            now=now,
        )
        told = self._notices.tell(address, MailKind.ACCOUNT_CREATED, now)
        created = UserCreated(user_id=user_id, by=OPERATOR)
        try:
            await self._store.write(*made, *told, events=[created])
        except Conflict:
            called = " or ".join(filter(None, (address, name)))
            raise Conflict(f"There is an account called {called}.") from None
        return user_id

    def _address(self, email: str | None) -> str | None:
        if email is None and self._names.fields.requires(EMAIL):
            raise Malformed("An account needs an e-mail address here.")
        address = None if email is None else parse_address(email)
        if email is not None and address is None:
            raise Malformed(f"{email!r} is no e-mail address.")
        return address

    def _username(self, username: str | None) -> str | None:
        rules = self._names.usernames
        if username is None:
            if self._names.fields.requires(USERNAME):
                raise Malformed("An account needs a username here.")
            return None
        if rules is None:
            raise Malformed("Accounts have no usernames here.")
        name = rules.parse(username)
        if isinstance(name, Fault):
            raise Malformed(name.message)
        return name

    async def disable(self, person: str) -> None:
        """Disable an account. Its sessions and its logins under way end with that."""
        found = await self._living(person)
        if found.disabled_at is not None:
            raise Conflict(f"{found.name} is disabled already.")
        await self._write(
            found,
            MailKind.ACCOUNT_DISABLED,
            UserDisabled(user_id=found.id, by=OPERATOR),
            self._people.disable(found.id, self._clock()),
            forget_origins(found.id),
        )

    async def enable(self, person: str) -> None:
        """Let an account that was disabled be used again."""
        found = await self._living(person)
        if found.disabled_at is None:
            raise Conflict(f"{found.name} is not disabled.")
        await self._write(
            found,
            MailKind.ACCOUNT_ENABLED,
            UserEnabled(user_id=found.id, by=OPERATOR),
            self._people.enable(found.id),
        )

    async def unlock(self, person: str) -> None:
        """Forget every failure that was counted for the account, of password and second factor.

        What was counted for the origins of the failures stays.
        """
        found = await self._living(person)
        await self._write(
            found,
            MailKind.ACCOUNT_UNLOCKED,
            UserUnlocked(user_id=found.id, by=OPERATOR),
            *self._people.unlock(found.id, *_addresses(found)),
        )

    async def sessions(self, person: str) -> list[LiveSession]:
        """Return the sessions in which the person is logged in, oldest first."""
        found = await self.find(person)
        return await self._people.live_sessions(found.id, self._clock())

    async def end_session(self, person: str, session_id: str) -> None:
        """End one session. Raises NotFound if the person has none of that id."""
        found = await self._living(person)
        event = UserSessionsEnded(user_id=found.id, by=OPERATOR, session=recorded_id(session_id))
        if not await self._written(
            found,
            MailKind.SESSIONS_ENDED,
            event,
            self._people.end_session(found.id, session_id),
        ):
            raise NotFound(f"{found.name} has no session {session_id}.")

    async def end_sessions(self, person: str) -> None:
        """End every session, and every login under way."""
        found = await self._living(person)
        await self._write(
            found,
            MailKind.SESSIONS_ENDED,
            UserSessionsEnded(user_id=found.id, by=OPERATOR),
            self._people.end_sessions(found.id),
            forget_origins(found.id),
        )

    async def trusted_browsers(self, person: str, keeper: TrustClient) -> list[Browser]:
        """Return the browsers that the person trusts, newest first."""
        found = await self._living(person)
        return await keeper.browsers(found.id, factor_epoch=found.factor_epoch)

    async def revoke_trust(
        self, person: str, keeper: TrustClient, browser: str | None = None
    ) -> bool:
        """Have a browser trusted no more, or all; the person is told after that.

        Returns whether there was any. Raises NotFound if the person trusts none of that id.
        """
        found = await self._living(person)
        if browser is not None:
            live = await keeper.browsers(found.id, factor_epoch=found.factor_epoch)
            if browser not in {trusted.id for trusted in live}:
                raise NotFound(f"{found.name} trusts no browser {browser}.")
        revoked = await keeper.revoke(found.id, None if browser is None else [browser])
        if not revoked.browsers:
            return False
        event = UserTrustRevoked(user_id=found.id, by=OPERATOR, browser_id=browser)
        await self._written(found, MailKind.TRUST_REVOKED, event)
        return True

    async def reset_mfa(self, person: str) -> bool:
        """Take all authenticators away, whether or not their factors are there.

        From now on the person logs in by password, and the failures are forgotten. The factors
        are told by the worker's sweep; one that is being added at this moment never counts.
        Returns whether there is a password: with passkeys goes the last way in of who has none.
        """
        found = await self._living(person)
        now, register = self._clock(), found.register
        pending = () if register.pending is None else register.pending.involved
        dead = {entry.name: now for entry in register.entries}
        dead |= dict.fromkeys(pending, now + BURIAL_DELAY)
        event = SecondFactorReset(
            user_id=found.id, by=OPERATOR, authenticators=[entry.id for entry in register.entries]
        )
        await self._write(
            found,
            MailKind.SECOND_FACTOR_RESET,
            event,
            self._people.reset_factors(found),
            forget_origins(found.id),
            *(self._store.bury(found.id, named, due_at) for named, due_at in dead.items()),
        )
        return found.has_password

    async def delete(self, person: str) -> None:
        """Delete a person: nothing of the account is left but its id, which is never used again."""
        found = await self._living(person)
        now = self._clock()
        steps = self._deletion.steps(found.id, _addresses(found), found.register, now)
        event = UserDeleted(user_id=found.id, by=OPERATOR)
        if await self._store.write(*steps, events=[event]) is None:
            raise _changed(found)

    async def limited_until(self, person: Person) -> datetime | None:
        """Return until when something is used up that `unlock` would forget; None if nothing is.

        From elsewhere, such as where the owner has logged in before, they may log in all the same.
        """
        return await self._people.limited_until(person.id, *_addresses(person), now=self._clock())

    async def erasure(self, person: Person) -> Erasure | None:
        """Return what is still to be done until somebody who was deleted is forgotten, or None."""
        return await self._people.find_erasure(person.id)

    async def waive_erasure(self, person: str, factor: str) -> None:
        """Let somebody who was deleted count as forgotten by a factor that is no more.

        All others, and that one too if it is configured after all, are asked as before.
        """
        found = await self.find(person)
        if found.deleted_at is None:
            raise Conflict(f"{found.name} is not deleted.")
        event = UserErasureWaived(user_id=found.id, by=OPERATOR, factor=factor)
        steps = self._people.waive(found.id, factor, self._clock())
        if await self._store.write(*steps, events=[event]) is None:
            raise Conflict(f"Nobody waits for {factor!r} to forget {found.id}.")

    async def _living(self, person: str) -> Person:
        found = await self.find(person)
        if found.deleted_at is not None:
            raise Conflict(f"{found.id} is deleted.")
        return found

    async def _write(self, person: Person, mail: MailKind, event: Event, *steps: Step) -> None:
        if not await self._written(person, mail, event, *steps):
            raise _changed(person)

    async def _written(self, person: Person, mail: MailKind, event: Event, *steps: Step) -> bool:
        told = self._notices.tell(person.email, mail, self._clock()) if person.email else ()
        return await self._store.write(*steps, *told, events=[event]) is not None


def _addresses(person: Person) -> list[str]:
    return [address.address for address in person.addresses]


def _changed(person: Person) -> Conflict:
    return Conflict(f"The account of {person.name} was changed meanwhile: look at it again.")
