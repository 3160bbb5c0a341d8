"""A person's security keys and passkeys: added, named, removed."""

from collections.abc import Sequence

from services.session.domain.factors import WEBAUTHN
from services.session.domain.faults import (
    CANNOT_DELETE_AUTHENTICATOR,
    INCORRECT_CREDENTIAL,
    TOO_MANY_KEYS,
    UNVERIFIED_EMAIL,
    Fault,
    not_a_choice,
    required,
)
from services.session.domain.methods import MethodKind
from services.session.domain.reauthentication import Matter, Reauthentication
from services.session.domain.register import Entry
from services.session.domain.sessions import Account, Session
from services.session.domain.signals import of_keys
from services.session.domain.verification import Verification
from services.session.domain.ways_in import has_way_in
from services.session.flows.asking import Asking
from services.session.flows.enrolled import entry_of
from services.session.flows.enrolment import Enrolment, Json
from services.session.flows.factors import Factors
from services.session.flows.outcomes import (
    Asked,
    Enrolled,
    LoginNeeded,
    Misfit,
    Outcome,
    ReauthenticationNeeded,
    Refused,
    Removed,
    Visit,
)
from services.session.flows.register import Registrar, overtaken
from services.session.store import Store
from shared.clock import Clock
from shared.errors import Malformed, NotFound

MAX_KEYS = 25  # of one person: the register is read with every request
MAX_NAME = 100  # characters, as the factor has it
ATTEMPTS = 3  # to write a name down, while logins write down that they have used something


class WebAuthnFlow:
    """WebAuthn, of which a person may have several. What a page shows is the factor's to say."""

    def __init__(
        self,
        store: Store,
        registrar: Registrar,
        enrolment: Enrolment,
        factors: Factors,
        clock: Clock,
        *,
        asking: Asking,
        reauthentication: Reauthentication,
        verification: Verification,
    ) -> None:
        self._store = store
        self._registrar = registrar
        self._enrolment = enrolment
        self._factors = factors
        self._asking = asking
        self._clock = clock
        self._reauthentication = reauthentication
        self._verification = verification

    async def options(self, visit: Visit, *, passwordless: bool) -> Outcome:
        """Return the options for a new credential; with `passwordless` one that can log in alone.

        They take the place of those that the session was shown last. One write, which counts that.
        """
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        if refused := self._refused(visit, session, account):
            return refused
        if limited := await self._asking.count_for(visit, account):
            return limited
        registered = [entry.id for entry in account.register.of_type(WEBAUTHN)]
        return await creation_options(
            self._enrolment, account, session, passwordless=passwordless, registered=registered
        )

    async def add(
        self,
        visit: Visit,
        name: str | None,
        credential: Json | None,
        *,
        faults: Sequence[Fault] = (),
    ) -> Outcome:
        """Let a credential count that was made by the options that the session was shown last.

        Nothing can be guessed, so failures are not counted; but each ends the enrolment. It does
        not outlive its session. A name that is too long is cut, for the credential is there
        already. `faults` are those of what could not be read, and is None here.
        """
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        if barred := self._barred(account):
            return barred
        if faults or credential is None:
            return Refused(tuple(faults))
        if methods := self._missing(session, account):
            return ReauthenticationNeeded(visit, methods)
        account = await self._registrar.settled(account)
        if refused := self._refused(visit, session, account):  # it may have been another register
            return refused
        made = await self._enrolment.complete(
            account, session, WEBAUTHN, {"credential": dict(credential)}, name=cut(name)
        )
        if made.entry is None:
            await self._registrar.withdraw(account, made.register)
            return Refused((INCORRECT_CREDENTIAL,))
        stands = self._store.session_stands(session.id)
        grown = await self._registrar.add(account, made.register, made.entry, made.codes, stands)
        if grown is None:
            await self._registrar.abandon(account, made.register)
            raise overtaken()
        return Enrolled(
            made.entry,
            codes_generated=made.codes is not None,
            signal=of_keys(grown, made.entry),
        )

    async def rename(
        self,
        visit: Visit,
        id: str | None,
        name: str | None,
        *,
        faults: Sequence[Fault] = (),
    ) -> Outcome:
        """Give a key a name: first at its factor, and then as the register shows it."""
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        unknown = id is not None and self._find(account, id) is None
        if faults or unknown or id is None or name is None:
            return Refused((*((not_a_choice("id"),) if unknown else ()), *faults))
        if methods := self._missing(session, account):
            return ReauthenticationNeeded(visit, methods)
        try:
            renamed = await self._factors.of(WEBAUTHN).rename(account.id, id, name)
        except Malformed:  # there is nothing in it that can be seen
            return Refused((required("name"),))
        except NotFound:
            return Refused((not_a_choice("id"),))
        return await self._renamed(visit, session, account, entry_of(renamed, WEBAUTHN))

    async def remove(self, visit: Visit, ids: Sequence[str]) -> Outcome:
        """Remove keys, or none of them if one is not the person's. The factor may be away.

        Who has no password keeps a passkey.
        """
        if visit.logged_in is None:
            return LoginNeeded(visit)
        session, account = visit.logged_in
        for named in ids:
            if self._find(account, named) is None:
                return Refused((not_a_choice("authenticators", named),))
        if not has_way_in(account, without=ids):
            return Misfit((CANNOT_DELETE_AUTHENTICATOR,))
        if methods := self._missing(session, account):
            return ReauthenticationNeeded(visit, methods)
        return await self._remove(visit, session, account, ids)

    async def _remove(
        self, visit: Visit, session: Session, account: Account, ids: Sequence[str]
    ) -> Outcome:
        account = await self._registrar.settled(account)
        if methods := self._missing(session, account):  # it may have been another register
            return ReauthenticationNeeded(visit, methods)
        signal = None
        for named in ids:
            entry = self._find(account, named)
            if entry is not None:  # another request may have been faster
                if not has_way_in(account, without=ids):
                    return Misfit((CANNOT_DELETE_AUTHENTICATOR,))
                account = await self._registrar.remove(account, entry)
                signal = of_keys(account, entry)
        return Removed(signal=signal)

    async def _renamed(
        self, visit: Visit, session: Session, account: Account, renamed: Entry
    ) -> Outcome:
        """Write down what a key is called by now. Who has to prove themselves first comes again."""
        for _ in range(ATTEMPTS):
            entry = self._find(account, renamed.id)
            if entry is None:
                return Refused((not_a_choice("id"),))
            register = account.register.with_facts(entry.id, renamed.facts)
            if await self._store.write(self._store.rename_entry(account, register)) is not None:
                shown = register.find(entry.id) or entry
                return Enrolled(shown, signal=of_keys(account, shown))
            found = await self._store.find_account(account.id)
            if found is None:
                return LoginNeeded(visit.as_nobody)
            account = await self._registrar.settled(found)
            if methods := self._missing(session, account):  # it may have been another register
                return ReauthenticationNeeded(visit, methods)
        raise overtaken()

    def _find(self, account: Account, id: str) -> Entry | None:
        entry = account.register.find(id)
        return entry if entry is not None and entry.type == WEBAUTHN else None

    def _refused(self, visit: Visit, session: Session, account: Account) -> Outcome | None:
        """Return why no key may be added in this session; None if one may."""
        if barred := self._barred(account):
            return barred
        methods = self._missing(session, account)
        return ReauthenticationNeeded(visit, methods) if methods else None

    def _missing(self, session: Session, account: Account) -> frozenset[MethodKind]:
        return self._reauthentication.missing(Matter.MFA, session, account, self._clock())

    def _barred(self, account: Account) -> Misfit | None:
        """Return why no key may be added, whoever asks; None if one may."""
        if self._verification.bars(account):
            return Misfit((UNVERIFIED_EMAIL,))
        if len(account.register.of_type(WEBAUTHN)) >= MAX_KEYS:
            return Misfit((TOO_MANY_KEYS,))
        return None


async def creation_options(
    enrolment: Enrolment,
    account: Account,
    session: Session,
    *,
    passwordless: bool,
    registered: Sequence[str] = (),
) -> Asked:
    """Return the options for a credential to be made, as the factor gives them."""
    display = await enrolment.begin(
        account,
        session,
        WEBAUTHN,
        {"passwordless": passwordless, "registered": list(registered)},
    )
    return Asked({"creation_options": display.get("creation_options")})


def cut(name: str | None) -> str | None:
    """Return what fits of a name; None if there is none."""
    return name[:MAX_NAME] if name else None
