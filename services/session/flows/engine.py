"""The one way from a proof to a session: every way of logging in comes through here."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from hmac import compare_digest

from services.session.domain.codes import MailedCode, new_code, normalise_code
from services.session.domain.mails import Mail, MailKind
from services.session.domain.methods import Method, amr, assurance_level
from services.session.domain.origins import Arrival, origin_of, warning_topic
from services.session.domain.sessions import Account, Session
from services.session.domain.stages import Facts, Login, Stage, next_stage
from services.session.events import LoggedIn, LoginStarted
from services.session.flows.notices import Notices
from services.session.flows.outcomes import Standing, Visit
from services.session.store import MailStore, Store
from shared.database import Step
from shared.event import Event
from shared.token import hash_token, keyed_hash, new_token

ID_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Move:
    """The next state of a visitor's session: what to write, and what to say once it is written."""

    session: Session
    stage: Stage | None
    token: str = field(repr=False)
    steps: tuple[Step, ...]
    trusted_browser: str | None = None

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
                    trusted_browser=self.trusted_browser,
                ),
            )
        methods = session.login.methods if session.login else ()
        if not methods:
            return ()
        return (
            LoginStarted(
                user_id=session.user_id, method=methods[-1].kind.value, stage=self.stage.value
            ),
        )


class Engine:
    """Moves logins from stage to stage."""

    def __init__(
        self,
        store: Store,
        mails: MailStore,
        notices: Notices,
        *,
        code_key: bytes,
        session_lifetime: timedelta,
    ) -> None:
        self._store = store
        self._mails = mails
        self._notices = notices
        self._code_key = code_key
        self._session_lifetime = session_lifetime

    def begin(
        self,
        account: Account,
        method: Method,
        now: datetime,
        arrival: Arrival | None = None,
        *,
        asks_trust: bool = False,
    ) -> Login:
        """Return a new login of `account`, which one proof has begun at `arrival`."""
        return Login(
            id=new_token(ID_BYTES),
            user_id=account.id,
            email=account.email,
            started_at=now,
            factor_epoch=account.factor_epoch,
            session_epoch=account.session_epoch,
            methods=(method,),
            arrival=arrival,
            asks_trust=asks_trust,
        )

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
        A mail is refused beyond its own limit. `mail` is what is sent in place of a code to who
        may not have one.
        """
        stage = next_stage(login, facts)
        condition: tuple[Step, ...] = ()
        steps: tuple[Step, ...] = ()
        if stage is Stage.VERIFY_EMAIL and login.code is None:
            code = new_code()
            login = replace(login, code=MailedCode(hash=self._code_hash(login, code)))
            facts_told = {"code": code} if mail is MailKind.VERIFICATION_CODE else {}
            letter = Mail(id=new_token(ID_BYTES), kind=mail, to=login.email, facts=facts_told)
            steps = (self._mails.due(letter, now),)
            condition = self._store.count_mail(login.email, now, ip=visit.address)
        session = self._session(visit, login, stage, now)
        token = new_token()
        write = self._store.open_session if visit.session is None else self._store.move_session
        place = write(session, hash_token(token), ip=visit.address, user_agent=visit.user_agent)
        told = self._told(visit, login, stage, now)
        return Move(
            session=session,
            stage=stage,
            token=token,
            steps=(*condition, place, *steps, *told),
            trusted_browser=login.trusted_browser,
        )

    def is_code(self, login: Login, text: str) -> bool:
        """Tell whether `text` is the code that was mailed for `login`."""
        code = login.code
        return code is not None and compare_digest(code.hash, self._code_hash(login, text))

    def _told(
        self, visit: Visit, login: Login, stage: Stage | None, now: datetime
    ) -> tuple[Step, ...]:
        """Return the steps that tell the person of a login, or get ready to.

        Whoever knows the password and not the second factor is to be noticed: the warning is due
        when the login is over, and withdrawn by giving it in one from the same network.
        """
        origin = origin_of(visit.address, visit.user_agent)
        topic = warning_topic(login.user_id, origin)
        if stage is Stage.MFA_AUTHENTICATE:
            kind = MailKind.SECOND_FACTOR_MISSING
            return self._notices.tell_later(
                login.email, kind, now, at=login.expires_at, topic=topic
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
            steps += self._notices.tell(login.email, MailKind.NEW_LOGIN, now)
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
        )

    def _code_hash(self, login: Login, code: str) -> bytes:
        return keyed_hash(self._code_key, login.id, normalise_code(code))


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
    )
