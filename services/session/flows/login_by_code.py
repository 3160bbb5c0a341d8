"""Logging in by a code that is mailed, in place of a password or besides."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from services.session.domain.codes import CodeRules, MailedCode
from services.session.domain.faults import (
    Fault,
    incorrect_code,
    too_many_attempts,
    unknown_email,
)
from services.session.domain.identifiers import by_address
from services.session.domain.limits import REQUEST_LOGIN_CODE, Counter
from services.session.domain.mails import MailKind
from services.session.domain.methods import MAILED_CODE, Method, MethodKind
from services.session.domain.sessions import NOBODY, Account, Session
from services.session.domain.stages import Login, Stage, pass_stage
from services.session.events import (
    EmailVerified,
    LoginCodeFailed,
    LoginCodeRequested,
    LoginCodeResent,
    LoginFailed,
    LoginLimited,
)
from services.session.flows.engine import ID_BYTES, Engine, arrived
from services.session.flows.login_code_mails import LoginCodeMails
from services.session.flows.outcomes import (
    Done,
    Misfit,
    Outcome,
    Refused,
    Standing,
    Throttled,
    Visit,
    until,
)
from services.session.flows.reclaiming import reclaim
from services.session.flows.register import Registrar
from services.session.flows.trust import Recognition
from services.session.store import Known, Store
from shared.clock import Clock
from shared.database import Step
from shared.errors import Unavailable
from shared.event import Event
from shared.token import new_token

CODE = MethodKind.CODE.value


@dataclass(frozen=True)
class Waiting:
    """A login that waits for its code. Whose it is, the visit knows; it may be nobody's."""

    session: Session
    login: Login
    code: MailedCode


class LoginByCodeFlow:
    """The login code stage, and the login that begins with it."""

    def __init__(
        self,
        store: Store,
        engine: Engine,
        registrar: Registrar,
        mails: LoginCodeMails,
        clock: Clock,
        *,
        recognition: Recognition,
        rules: CodeRules,
        prevent_enumeration: bool = True,
    ) -> None:
        self._store = store
        self._engine = engine
        self._registrar = registrar
        self._mails = mails
        self._clock = clock
        self._recognition = recognition
        self._rules = rules
        self._prevent_enumeration = prevent_enumeration

    async def request(self, visit: Visit, email: str) -> Outcome:
        """Begin a login that waits for the code that is mailed, in place of one under way.

        `email` is canonical. One read and one write. Where there is no account, or it is disabled,
        the same is done and answered, and the login leads nowhere. Who is logged in is told so, and
        nothing is mailed.
        """
        if visit.authenticated:
            return Standing(visit=visit)
        known = await self._known(visit, email)
        account = None if known.account is None or known.account.disabled else known.account
        if account is None and not self._prevent_enumeration:
            return await self._unknown(visit)
        if known.action_until:
            return await self._limited(account, known.action_until)
        return await self._begun(visit, self._login(visit, email, known, account), account)

    async def confirm(
        self, visit: Visit, code: str | None, *, faults: Sequence[Fault] = ()
    ) -> Outcome:
        """Pass the stage if `code` is the one that was mailed. The third wrong one ends the login.

        One write, which holds only for the state that was read: two requests with one code pass
        the stage once, and however many guess at once, three are judged. It verifies the address
        that the code went to, and refuses if that is the person's no more. `faults` say why `code`
        is None: that is a wrong one too.
        """
        waiting = _waiting(visit)
        if waiting is None:
            return Misfit()
        if waiting.code.is_over(self._clock(), self._rules):
            await self._fail(visit, waiting, None)
            return Misfit()
        if code is None or visit.account is None or not self._mails.is_right(waiting.login, code):
            left = waiting.code.failed(self._rules)
            counted = await self._fail(visit, waiting, left)
            return Refused(tuple(faults) or (incorrect_code("code"),)) if counted else Misfit()
        account = await self._registrar.settled(visit.account)
        if account.factor_epoch != visit.account.factor_epoch:  # this login ended with it
            return Misfit()
        return await self._right(visit, waiting.login, account)

    async def resend(self, visit: Visit) -> Outcome:
        """Mail another code, which takes the place of the one that is awaited.

        It is as old, and has failed as often. One write.
        """
        waiting, now = _waiting(visit), self._clock()
        if waiting is None:
            return Misfit()
        if waiting.code.is_over(now, self._rules):
            await self._fail(visit, waiting, None)
            return Misfit()
        if not waiting.code.can_be_resent(self._rules):
            return Misfit()
        user_id = None if visit.account is None else visit.account.id
        awaited, letter = self._mails.another(
            visit, waiting.login, waiting.code, now, wanted=user_id is not None
        )
        login = replace(waiting.login, code=awaited)
        written = await self._store.write(
            *letter.conditions,
            self._store.change_session(replace(waiting.session, login=login)),
            letter.mail,
            events=[LoginCodeResent(user_id=user_id)],
        )
        if written is not None:
            return Done()
        ends_at = await self._store.spent_until(letter.counters, now)
        if ends_at is None:
            return Misfit()
        await self._store.record(LoginLimited(user_id=user_id, method=CODE))
        return Throttled(until(ends_at, now))

    # Asking for a code

    async def _known(self, visit: Visit, email: str) -> Known:
        return await self._store.find_known(
            by_address(email),
            ip=visit.address,
            user_agent=visit.user_agent,
            now=self._clock(),
            action=self._from(visit),
        )

    def _login(self, visit: Visit, email: str, known: Known, account: Account | None) -> Login:
        """Return the login that begins, of `account` or of nobody."""
        return Login(
            id=new_token(ID_BYTES),
            user_id=new_token(ID_BYTES) if account is None else account.id,
            email=email,
            started_at=self._clock(),
            factor_epoch=0 if account is None else account.factor_epoch,
            session_epoch=0 if account is None else account.session_epoch,
            arrival=known.arrival,
            asks_trust=self._recognition.asks(visit),
            wants_code=True,
            reclaims=account is not None
            and self._engine.is_unfinished(account)
            and not known.address_verified,
        )

    async def _begun(self, visit: Visit, login: Login, account: Account | None) -> Outcome:
        now = self._clock()
        facts, kind = NOBODY, MailKind.UNKNOWN_ACCOUNT
        if account is not None:
            facts, kind = account.facts, MailKind.LOGIN_CODE
        move = self._engine.move(visit, login, facts, now, mail=kind)
        written = await self._store.write(
            *move.steps,
            events=[LoginCodeRequested(user_id=account.id if account else None)],
        )
        if written is not None:
            return arrived(visit, move, account)
        ends_at = await self._store.spent_until(move.letter.counters if move.letter else (), now)
        if ends_at is not None:
            return await self._limited(account, ends_at)
        if visit.session is not None:  # it may only have moved on or ended meanwhile
            return await self._begun(replace(visit, session=None), login, account)
        raise Unavailable("The request could not be written.")

    async def _limited(self, account: Account | None, ends_at: datetime) -> Refused:
        user_id = None if account is None else account.id
        await self._store.record(LoginLimited(user_id=user_id, method=CODE))
        return Refused((too_many_attempts("email"),), until(ends_at, self._clock()))

    async def _unknown(self, visit: Visit) -> Outcome:
        """Say that there is no such account, as often as one origin may ask."""
        now, counters = self._clock(), self._from(visit)
        counted = await self._store.write(
            *self._store.count(counters, now), events=[LoginFailed(user_id=None, method=CODE)]
        )
        if counted is not None:
            return Refused((unknown_email(),))
        ends_at = await self._store.spent_until(counters, now)
        return await self._limited(None, ends_at or now)

    def _from(self, visit: Visit) -> tuple[Counter, ...]:
        return self._store.limits.counters(REQUEST_LOGIN_CODE, ip=visit.address)

    # What comes back

    async def _fail(self, visit: Visit, waiting: Waiting, left: MailedCode | None) -> bool:
        """Count a failure: with nothing `left` to wait for the login is over.

        Its session is empty then, but not gone. False if it has moved on meanwhile.
        """
        user_id = None if visit.account is None else visit.account.id
        login = replace(waiting.login, code=left) if left else None
        counted = await self._store.write(
            self._store.change_session(replace(waiting.session, login=login)),
            events=[LoginCodeFailed(user_id=user_id, ended=left is None)],
        )
        return counted is not None

    async def _right(self, visit: Visit, login: Login, found: Account) -> Outcome:
        now = self._clock()
        method = Method(kind=MethodKind.CODE, at=now, amr=MAILED_CODE, email=login.email)
        passed = replace(pass_stage(login, Stage.LOGIN_BY_CODE, method), verifies_email=False)
        if not login.reclaims:
            return await self._passed(visit, passed, found, self._stands(found))
        if not self._engine.is_unfinished(found):
            return Misfit()
        # Whoever opened it chose the password, and has never shown that the address is theirs.
        reclaimed = reclaim(visit, passed, found)
        return await self._passed(
            visit,
            reclaimed.login,
            reclaimed.account,
            reclaimed.steps,
            first=reclaimed.first,
            along=(*reclaimed.events, EmailVerified(user_id=found.id)),
        )

    def _stands(self, account: Account) -> tuple[Step, ...]:
        return (self._store.account_stands(account, held=True),)

    async def _passed(
        self,
        visit: Visit,
        login: Login,
        found: Account,
        conditions: tuple[Step, ...],
        *,
        first: bool = False,
        along: tuple[Event, ...] = (),
    ) -> Outcome:
        """Move the login on. One that began with the code may be in a browser that is trusted."""
        now = self._clock()
        account, verified = found, along
        if login.email == found.email and not found.email_verified:
            account = replace(found, email_verified=True)
            verified = (*along, EmailVerified(user_id=found.id))
        recognised = await self._recognition.recognise(visit, login, account)
        move = self._engine.move(visit, recognised.login, account.facts, now)
        written = await self._store.write(
            *conditions,
            *move.steps,
            self._store.verify_email(account.id, login.mailbox, now, first=first),
            events=[*verified, *move.events],
        )
        if written is None:
            return Misfit()
        return arrived(visit, move, account, trust_tokens=recognised.tokens)


def _waiting(visit: Visit) -> Waiting | None:
    """Return what waits for a code in the session, or None if nothing does."""
    session = visit.session
    if session is None or session.login is None or session.login.code is None:
        return None
    if visit.pending is not Stage.LOGIN_BY_CODE:
        return None
    return Waiting(session, session.login, session.login.code)
