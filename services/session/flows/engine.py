"""The one way from a proof to a session: every way of logging in comes through here."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from services.session.domain.login_by_code import LoginByCode
from services.session.domain.mails import MailKind
from services.session.domain.methods import Method, MethodKind, amr, assurance_level
from services.session.domain.origins import Arrival, origin_of, warning_topic
from services.session.domain.processes import Processes
from services.session.domain.sessions import Account, Client, Session, recorded_id
from services.session.domain.stages import LOGIN_LIFETIME, Facts, Login, Stage, next_stage
from services.session.domain.verification import Verification
from services.session.events import LoggedIn, LoginStarted
from services.session.flows.address_mails import AddressMails
from services.session.flows.grants import Grant, Grants
from services.session.flows.letters import Letter
from services.session.flows.login_code_mails import LoginCodeMails
from services.session.flows.notices import Notices
from services.session.flows.outcomes import Standing, Visit
from services.session.store import Store
from services.session.store.emails import Address
from shared.database import Row, Step
from shared.event import Event
from shared.token import hash_token, new_token

ID_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Move:
    """The next state of a visitor's session: what to write, and what to say once it is written.

    `grant` are the tokens that an app is given when it is logged in; `letter` is the mail that the
    next stage waits for, if it is made now.
    """

    session: Session
    stage: Stage | None
    token: str = field(repr=False)
    place: tuple[Step, ...]
    trusted_browser: str | None = None
    grant: Grant | None = None
    letter: Letter | None = None

    @property
    def steps(self) -> tuple[Step, ...]:
        """What is to be written."""
        if self.letter is None:
            return self.place
        return (*self.letter.conditions, *self.place, self.letter.mail)

    @property
    def events(self) -> tuple[Event, ...]:
        """What the move puts on record."""
        session = self.session
        if self.stage is None:
            methods = session.methods
            return (
                LoggedIn(
                    user_id=session.user_id,
                    amr=list(amr(methods)),
                    aal=assurance_level(methods),
                    session=recorded_id(session.id),
                    trusted_browser=self.trusted_browser,
                ),
            )
        methods = session.login.methods if session.login else ()
        if not methods:
            return ()
        return (
            LoginStarted(
                user_id=session.user_id,
                method=methods[-1].kind.value,
                stage=self.stage.value,
                session=recorded_id(session.id),
            ),
        )


class Engine:
    """Moves logins from stage to stage."""

    def __init__(
        self,
        store: Store,
        mails: AddressMails,
        notices: Notices,
        grants: Grants,
        *,
        verification: Verification,
        login_codes: LoginCodeMails,
        login_by_code: LoginByCode,
        login_lifetime: timedelta = LOGIN_LIFETIME,
        session_lifetime: timedelta,
    ) -> None:
        self._store = store
        self._mails = mails
        self._notices = notices
        self._grants = grants
        self._verification = verification
        self._login_codes = login_codes
        self._login_by_code = login_by_code
        self.login_lifetime = login_lifetime
        self._session_lifetime = session_lifetime

    def begin(
        self,
        account: Account,
        method: Method,
        now: datetime,
        arrival: Arrival | None = None,
        *,
        email: str | None = None,
        verified: bool = False,
        asks_trust: bool = False,
    ) -> Login:
        """Return a new login of `account`, which one proof has begun at `arrival`.

        `email` is the address that was typed, and whether it is known to be the person's is said by
        `verified`. Without one it is the primary address.
        """
        known = account.email_verified if email is None else verified
        return Login(
            id=new_token(ID_BYTES),
            user_id=account.id,
            email=email or account.email,
            verifies_email=self._verification.is_mandatory and not known,
            started_at=now,
            factor_epoch=account.factor_epoch,
            session_epoch=account.session_epoch,
            methods=(method,),
            arrival=arrival,
            asks_trust=asks_trust,
        )

    def is_unfinished(self, account: Account) -> bool:
        """Tell whether an account is one that nobody can get into."""
        return self._verification.is_unfinished(account)

    def besides(self, visit: Visit, login: Login) -> Login:
        """Return a login that has just begun with what it takes besides: perhaps a mailed code.

        `move` sees to that for every login; whoever asks first whether the browser is trusted has
        to know it before.
        """
        login = replace(login, lifetime=self.login_lifetime)
        if login.wants_code or not self._login_by_code.is_required(login.methods):
            return login
        trusts = self._login_by_code.trusts and visit.client is Client.BROWSER
        return replace(login, wants_code=True, code_trusts=trusts)

    def move(
        self,
        visit: Visit,
        login: Login,
        facts: Facts,
        now: datetime,
        *,
        mail: MailKind = MailKind.VERIFICATION_CODE,
    ) -> Move:
        """Return the move of `visit` to where `login` leads: the next stage, or a session.

        Each move has a new token. The step that writes it refuses if the session has moved on or
        ended since the visit began, so that a logout is final and a stage is passed once.
        A mail is refused beyond its own limit, and who has no address waits for it in vain. `mail`
        is what is sent in place of a code, or of a link, to who may not have one.
        """
        if not _is_under_way(visit, login):
            login = self.besides(visit, login)
        stage = next_stage(login, facts)
        instead = None if mail is MailKind.VERIFICATION_CODE else mail
        letter: Letter | None = None
        reachable = login.email is not None
        if stage is Stage.LOGIN_BY_CODE and login.code is None and reachable:
            awaited, letter = self._login_codes.first(visit, login, now, instead=instead)
            login = replace(login, code=awaited)
        if stage is Stage.VERIFY_EMAIL and login.code is None and reachable:
            login, letter = self._asked(visit, login, now, instead)
        session = self._session(visit, login, stage, now)
        token = new_token()
        write = self._store.open_session if visit.session is None else self._store.move_session
        place = write(session, hash_token(token), ip=visit.address, user_agent=visit.user_agent)
        grant = self._grants.of(session, now) if stage is None else None
        granted = () if grant is None else (grant.step,)
        told = self._told(visit, login, facts.email or login.email, stage, now)
        return Move(
            session=session,
            stage=stage,
            token=token,
            place=(place, *granted, *told),
            trusted_browser=login.trusted_browser,
            grant=grant,
            letter=letter,
        )

    async def write(
        self,
        move: Move,
        now: datetime,
        *before: Step,
        after: Sequence[Step] = (),
        events: Sequence[Event] | None = None,
    ) -> Row | None:
        """Write a move between other steps. None, and nothing written, if one is refused.

        A letter that may be left out is, beyond its limits: that takes two statements more.
        """
        told = move.events if events is None else events
        written = await self._store.write(*before, *move.steps, *after, events=told)
        letter = move.letter
        if written is not None or letter is None or not letter.may_be_left_out:
            return written
        if await self._store.spent_until(letter.counters, now) is None:
            return None
        return await self._store.write(*before, *move.place, *after, events=told)

    def _asked(
        self, visit: Visit, login: Login, now: datetime, instead: MailKind | None
    ) -> tuple[Login, Letter]:
        """Return the login as it waits for its address to be verified, and the mail for that."""
        ip = visit.address
        if self._verification.by_code:
            to = login.mailbox
            code, letter = self._mails.with_code(login.id, to, now, ip=ip, instead=instead)
            return replace(login, code=code), letter
        address = Address(address=login.mailbox, verified=False, primary=True)
        return login, self._mails.with_link(
            login.user_id, login.session_epoch, address, now, ip=ip, instead=instead
        )

    def _told(
        self, visit: Visit, login: Login, email: str | None, stage: Stage | None, now: datetime
    ) -> tuple[Step, ...]:
        """Return the steps that tell the person of a login, at `email`, or get ready to.

        Whoever has the first proof and not the second factor is to be noticed: the warning is due
        when the login is over, and withdrawn by giving it in one from the same network.
        """
        origin = origin_of(visit.address, visit.user_agent)
        topic = warning_topic(login.user_id, origin)
        if stage is Stage.MFA_AUTHENTICATE:
            kind = MailKind.SECOND_FACTOR_MISSING
            by = {method.kind for method in login.methods}
            facts = {"proof": "code"} if by == {MethodKind.CODE} else {}
            return self._notices.tell_later(
                email, kind, now, at=login.expires_at, topic=topic, facts=facts
            )
        steps: tuple[Step, ...] = ()
        if Stage.MFA_AUTHENTICATE in login.passed or login.is_passwordless:
            began = login.arrival.origin if login.arrival else origin
            for begun in {topic, warning_topic(login.user_id, began)}:
                steps += self._notices.withdraw(begun)
        if stage is not None:
            return steps
        steps += (self._store.remember_origin(login.user_id, origin, now),)
        if login.arrival is not None and login.arrival.is_new(origin):
            steps += self._notices.tell(email, MailKind.NEW_LOGIN, now)
        return steps

    def _session(self, visit: Visit, login: Login, stage: Stage | None, now: datetime) -> Session:
        base = visit.session or Session(
            id=new_token(ID_BYTES),
            client=visit.client,
            version=0,
            user_id=login.user_id,
            session_epoch=login.session_epoch,
            created_at=now,
            expires_at=login.expires_at,
        )
        complete = stage is None
        return replace(
            base,
            user_id=login.user_id,
            session_epoch=login.session_epoch,
            expires_at=now + self._session_lifetime if complete else login.expires_at,
            last_seen_at=now,
            authenticated_at=now if complete else None,
            login=None if complete else login,
            methods=login.methods if complete else (),
            processes=Processes() if complete else base.processes,
        )


def _is_under_way(visit: Visit, login: Login) -> bool:
    """Tell whether `login` is that which the session of `visit` has already."""
    before = None if visit.session is None else visit.session.login
    return before is not None and before.id == login.id


def arrived(
    visit: Visit,
    move: Move,
    account: Account | None,
    *,
    trust_tokens: tuple[str, ...] | None = None,
) -> Standing:
    """Return where the visitor stands once `move` has been written; see `Standing`."""
    session = replace(move.session, version=move.session.version + (visit.session is not None))
    return Standing(
        visit=replace(visit, session=session, account=account),
        token=move.token,
        trust_tokens=trust_tokens,
        tokens=move.grant.tokens if move.grant else None,
    )
