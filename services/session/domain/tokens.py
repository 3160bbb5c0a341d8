"""What apps are given to show elsewhere that somebody is logged in, and to have it renewed.

An access token tells a resource server who it is, for minutes, and needs nobody to be asked
(RFC 9068, as far as there is no authorization server here). A refresh token is for us alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, TypeGuard

from services.session.domain.methods import amr, assurance_level
from services.session.domain.sessions import Session, recorded_id
from services.session.domain.token_keys import TokenKeys


class Use(StrEnum):
    """What a token is for: its claim `token_use`."""

    ACCESS = "access"
    REFRESH = "refresh"

    @property
    def type(self) -> str:
        """The type in its header, so that neither is taken for the other."""
        return "at+jwt" if self is Use.ACCESS else "rt+jwt"


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What a client is given. Without `refresh`, the refresh token that it has stays."""

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What a token says of itself: its id, and the session and the person that it stands for.

    `epoch` is that of the session; `session` is what the session is called on record.
    """

    id: str
    session: str
    user_id: str
    epoch: int

    def fit(self, session: Session) -> bool:
        """Tell whether they are still true of `session`: a change of the password ends them."""
        return self.user_id == session.user_id and self.epoch == session.session_epoch


@dataclass(frozen=True, kw_only=True)
class TokenRules:
    """By whom, for whom and for how long tokens are.

    Refresh tokens are replaced at each use if that `rotates`. If it is `stateful`, an access token
    whose session is over counts as none, rather than as that of a session that is over.
    """

    keys: TokenKeys
    issuer: str
    audience: tuple[str, ...] = ()
    access_lifetime: timedelta = timedelta(minutes=5)
    refresh_lifetime: timedelta = timedelta(days=1)
    rotates: bool = True
    stateful: bool = False

    def access_token(self, session: Session, now: datetime, *, id: str) -> str:
        """Return a token that shows how the person of `session` has proved who they are."""
        proofs = session.methods
        proved_at = max((proof.at for proof in proofs), default=session.authenticated_at or now)
        claims = {
            **self._common(Use.ACCESS, session, now, self.access_lifetime, id),
            "amr": list(amr(proofs)),
            "acr": f"aal{assurance_level(proofs)}",
            "auth_time": _seconds(proved_at),
        }
        if self.audience:
            claims["aud"] = self.audience[0] if len(self.audience) == 1 else list(self.audience)
        return self.keys.sign(claims, Use.ACCESS.type)

    def refresh_token(self, session: Session, now: datetime, *, id: str) -> str:
        """Return a token that others follow upon. It is for the issuer, and says so."""
        common = self._common(Use.REFRESH, session, now, self.refresh_lifetime, id)
        return self.keys.sign({**common, "aud": self.issuer}, Use.REFRESH.type)

    def read(self, token: str, use: Use, now: datetime) -> Claims | None:
        """Return what a token of that `use` says, or None if it is none of ours, or is over."""
        claims = self.keys.read(token, use.type)
        if claims is None or not self._holds(claims, use, now):
            return None
        return _claims(claims)

    def _common(
        self, use: Use, session: Session, now: datetime, lifetime: timedelta, id: str
    ) -> dict[str, object]:
        return {
            "iss": self.issuer,
            "sub": session.user_id,
            "iat": _seconds(now),
            "exp": _seconds(min(now + lifetime, session.expires_at)),
            "jti": id,
            "sid": recorded_id(session.id),
            "token_use": use.value,
            "epoch": session.session_epoch,
        }

    def _holds(self, claims: Mapping[str, Any], use: Use, now: datetime) -> bool:
        expires = claims.get("exp")
        return (
            claims.get("iss") == self.issuer
            and claims.get("token_use") == use
            and (use is Use.ACCESS or claims.get("aud") == self.issuer)
            and _is_number(expires)
            and now.timestamp() < expires
        )


def _claims(claims: Mapping[str, Any]) -> Claims | None:
    """Return what was signed here; a key that has signed something else is no reason to fail."""
    name, session, user_id = (claims.get(member) for member in ("jti", "sid", "sub"))
    epoch = claims.get("epoch")
    if not (_is_text(name) and _is_text(session) and _is_text(user_id) and _is_number(epoch)):
        return None
    return Claims(id=name, session=session, user_id=user_id, epoch=epoch)


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str)


def _is_number(value: object) -> TypeGuard[int]:
    return type(value) is int


def _seconds(moment: datetime) -> int:
    """Return a NumericDate (RFC 7519 section 2), without its fraction."""
    return int(moment.timestamp())
