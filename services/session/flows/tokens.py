"""Having tokens renewed, and noticing that a refresh token was copied."""

from dataclasses import dataclass, field
from datetime import datetime

from services.session.domain.mails import MailKind
from services.session.domain.sessions import Account, Session, is_live, recorded_id
from services.session.domain.tokens import Claims, TokenRules, Tokens, Use
from services.session.events import RefreshTokenReused
from services.session.flows.notices import Notices
from services.session.flows.outcomes import Outcome, Refreshed, Refused, Visit
from services.session.flows.visits import NOTED_EVERY, Tracking
from services.session.store import Store
from services.session.store.refresh_tokens import RefreshTokens
from services.session.store.session_list import SessionList
from shared import context
from shared.clock import Clock
from shared.database import Step
from shared.errors import Unavailable
from shared.token import hash_token, new_token

ID_BYTES = 16
ATTEMPTS = 5  # in all, where others are faster or end the session
REFUSED = Refused(())
"""What is said of every refresh token that will not do: that it will not, as by allauth."""


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A session that is live, whose it is, and the hashes of the refresh tokens that count.

    Those are the last, and the one before: while that counts, the last has not been used.
    """

    session: Session
    account: Account
    token_hashes: tuple[bytes, bytes | None] = field(repr=False)

    def has(self, token_hash: bytes) -> bool:
        """Tell whether that token counts."""
        return token_hash in self.token_hashes


class TokensFlow:
    """Gives new tokens for a refresh token; none without `rules` (HEADLESS_TOKEN_STRATEGY).

    Each follows upon another. Where one is used that others have followed upon, there are two who
    have it, and nobody can tell which is the owner: the session ends (RFC 9700 section 4.14.2).
    """

    def __init__(
        self,
        store: Store,
        refresh_tokens: RefreshTokens,
        listed: SessionList,
        notices: Notices,
        clock: Clock,
        *,
        rules: TokenRules | None,
        tracking: Tracking,
    ) -> None:
        self._store = store
        self._refresh_tokens = refresh_tokens
        self._listed = listed
        self._notices = notices
        self._clock = clock
        self._rules = rules
        self._tracking = tracking

    async def refresh(self, visit: Visit, token: str) -> Outcome:
        """Give an access token, and the refresh token that follows. One read and one write.

        The session has to be live, and lasts no longer for it. An answer may be lost: until the
        token that was in it has been used, the one before is good for another in its place.
        """
        now = self._clock()
        claims = None if self._rules is None else self._rules.read(token, Use.REFRESH, now)
        if self._rules is None or claims is None:
            return REFUSED
        shown = hash_token(claims.id)
        for _ in range(ATTEMPTS):
            holder = await self._holder(claims, now)
            if holder is None:
                return REFUSED
            context.amend(session=recorded_id(holder.session.id))
            if not holder.has(shown):
                return await self._reused(holder, now)
            given = await self._given(visit, holder, shown, now, self._rules)
            if given is not None:
                return given
        raise Unavailable("The session changed meanwhile.")

    async def _holder(self, claims: Claims, now: datetime) -> Holder | None:
        """Return who holds the token, if that still says the truth."""
        found = await self._refresh_tokens.find(claims.session)
        if found is None or found.account is None or not claims.fit(found.session):
            return None
        if not is_live(found.session, found.account, now, self._tracking.idle):
            return None
        return Holder(
            session=found.session,
            account=found.account,
            token_hashes=(found.current_hash, found.previous_hash),
        )

    async def _given(
        self, visit: Visit, holder: Holder, shown: bytes, now: datetime, rules: TokenRules
    ) -> Refreshed | None:
        """Write what follows upon the token that was shown; None if it does not count any more."""
        session, refresh_id = holder.session, new_token(ID_BYTES)
        steps = self._use(visit, session, now)
        if rules.rotates:
            following = hash_token(refresh_id)
            steps = (
                self._refresh_tokens.follow(session, holder.account, shown, following),
                *steps,
            )
        if await self._store.write(*steps) is None:
            return None
        return Refreshed(
            Tokens(
                access=rules.access_token(session, now, id=new_token(ID_BYTES)),
                refresh=rules.refresh_token(session, now, id=refresh_id) if rules.rotates else None,
            )
        )

    def _use(self, visit: Visit, session: Session, now: datetime) -> tuple[Step, ...]:
        """Return the step that notes the use of the session, where that is to be noted."""
        if not self._tracking.notes(session, now):
            return ()
        used = self._listed.used(
            session, now, every=NOTED_EVERY, ip=visit.address, user_agent=visit.user_agent
        )
        return (used,)

    async def _reused(self, holder: Holder, now: datetime) -> Outcome:
        """End the session, and tell its owner. Once, however many are shown."""
        session, account = holder.session, holder.account
        await self._store.write(
            self._store.end_session(session.id),
            *self._notices.tell(account.email, MailKind.REFRESH_TOKEN_REUSED, now),
            events=[RefreshTokenReused(user_id=account.id, session=recorded_id(session.id))],
        )
        return REFUSED
