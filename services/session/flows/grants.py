"""The first tokens of an app's session, given with the write that logs somebody in."""

from dataclasses import dataclass, field
from datetime import datetime

from services.session.domain.sessions import Client, Session
from services.session.domain.tokens import TokenRules, Tokens
from services.session.store.refresh_tokens import RefreshTokens
from shared.database import Step
from shared.token import hash_token, new_token

ID_BYTES = 16


@dataclass(frozen=True, kw_only=True)
class Grant:
    """Tokens that are yet to be signed: `step` is to be written first."""

    step: Step
    _rules: TokenRules = field(repr=False)
    _session: Session
    _at: datetime
    _refresh_id: str = field(repr=False)

    @property
    def tokens(self) -> Tokens:
        """The tokens, signed now: nobody is to wait for those of a write that was refused."""
        rules, session, at = self._rules, self._session, self._at
        return Tokens(
            access=rules.access_token(session, at, id=new_token(ID_BYTES)),
            refresh=rules.refresh_token(session, at, id=self._refresh_id),
        )


class Grants:
    """Makes grants for apps. Without `rules` (HEADLESS_TOKEN_STRATEGY) there are none."""

    def __init__(self, refresh_tokens: RefreshTokens, rules: TokenRules | None) -> None:
        self._refresh_tokens = refresh_tokens
        self._rules = rules

    def of(self, session: Session, now: datetime) -> Grant | None:
        """Return the grant of a session as it is from now on; whatever it had before is dead."""
        if self._rules is None or session.client is not Client.APP:
            return None
        refresh_id = new_token(ID_BYTES)
        return Grant(
            step=self._refresh_tokens.begin(session, hash_token(refresh_id)),
            _rules=self._rules,
            _session=session,
            _at=now,
            _refresh_id=refresh_id,
        )
