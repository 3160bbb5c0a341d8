"""How an authenticator is added to an account: the same way, whatever kind it is of."""

from collections.abc import Mapping
from dataclasses import dataclass

import structlog
from pydantic import JsonValue

from services.session.domain.factors import RECOVERY_CODES, is_waited_for
from services.session.domain.register import Entry, Intent, Pending, Register
from services.session.domain.sessions import Account, Session
from services.session.flows.enrolled import entry_of
from services.session.flows.factors import Factors
from services.session.flows.register import Registrar, overtaken
from shared.errors import Conflict, CountersignError, Malformed, NotFound

Json = Mapping[str, JsonValue]

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Made:
    """What a factor made of a proof: an entry, and codes along with it, or nothing.

    `register` is dirty; the change has to be written down or withdrawn.
    """

    register: Register
    entry: Entry | None = None
    codes: Entry | None = None


class Enrolment:
    """Begins and completes enrolments. Which one it is follows from the session and the register.

    Raises Unavailable if the factor is away.
    """

    def __init__(self, registrar: Registrar, factors: Factors) -> None:
        self._registrar = registrar
        self._factors = factors

    async def begin(
        self, account: Account, session: Session, type: str, options: Json | None = None
    ) -> Json:
        """Return what it takes to set one up, anew each time: only the last counts.

        Nothing is written here, and the factor forgets by itself what is not completed.
        """
        account = await self._registrar.settled(account)
        try:
            offer = await self._factors.of(type).begin(
                account.id,
                account.register.next_id(account.id, session.id, type),
                session_id=session.id,
                account_name=account.label,
                options=options,
            )
        except Conflict:  # it is being completed at this moment
            raise overtaken() from None
        return offer.display

    async def complete(
        self,
        account: Account,
        session: Session,
        type: str,
        proof: Json,
        *,
        name: str | None = None,
        with_codes: bool = True,
    ) -> Made:
        """Announce the change and have the proof judged. The register of `account` is settled.

        Recovery codes are made along, if there are none yet; where that cannot be done, it is done
        without.
        """
        pending = self._pending(account, session, type, with_codes=with_codes)
        register = await self._registrar.announce(account, pending)
        try:
            result = await self._factors.of(type).complete(
                account.id, pending.id, session_id=session.id, proof=proof, name=name
            )
        except (NotFound, Malformed):  # never begun, expired or replaced; or this is no proof
            return Made(register=register)
        except CountersignError:
            if not is_waited_for(type):
                await self._registrar.abandon(account, register)
            raise
        made = result.authenticator
        if made is None:
            return Made(register=register)
        if made.id != pending.id:
            await self._registrar.abandon(account, register)
            raise overtaken()
        codes = await self._codes(account, session, pending.codes)
        return Made(register=register, entry=entry_of(made, type), codes=codes)

    def _pending(
        self, account: Account, session: Session, type: str, *, with_codes: bool
    ) -> Pending:
        register = account.register
        codes = None
        offered = with_codes and RECOVERY_CODES in self._factors.offered
        if offered and not register.of_type(RECOVERY_CODES):
            codes = register.next_id(account.id, session.id, RECOVERY_CODES)
        enrolment = register.next_id(account.id, session.id, type)
        return Pending(intent=Intent.ADD, type=type, id=enrolment, codes=codes)

    async def _codes(self, account: Account, session: Session, id: str | None) -> Entry | None:
        """Have recovery codes made. None if none are wanted, or it went wrong in whatever way."""
        if id is None:
            return None
        try:
            result = await self._factors.of(RECOVERY_CODES).complete(
                account.id, id, session_id=session.id, proof={}
            )
        except CountersignError as error:
            log.warning("recovery_codes_not_made", user_id=account.id, error=str(error))
            return None
        made = result.authenticator
        return entry_of(made, RECOVERY_CODES) if made is not None and made.id == id else None
