"""When people have to prove themselves again, and by what: the one place that says so."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from services.session.domain.methods import MethodKind, reauthenticated_within
from services.session.domain.sessions import Account, Session

ALL = frozenset(MethodKind)


class Matter(StrEnum):
    """What is about to change."""

    FIRST_PASSWORD = "first_password"  # noqa: S105
    MFA = "mfa"
    EMAIL = "email"
    DELETION = "deletion"


@dataclass(frozen=True, kw_only=True)
class Reauthentication:
    """What the operator chose. Defaults are allauth's, but for `mfa_by_mfa`, which it has not.

    `account` says whether a change of addresses takes a proof less than `window` old, and `mfa`
    whether one of the second factor does; with `mfa_by_mfa` whoever has a
    second factor changes it only by proving a second factor, whatever else is set. To delete the
    account always takes a proof, the same as to change the second factor does. A first password
    always takes a second factor, where there is one: whoever finds a session open would set one,
    and prove themselves by it ever after. So does any change of the authenticators of who has no
    password: by one that is added a first password could be set.
    """

    window: timedelta = timedelta(minutes=5)
    account: bool = False
    mfa: bool = True
    mfa_by_mfa: bool = False

    def missing(
        self, matter: Matter, session: Session, account: Account, now: datetime
    ) -> frozenset[MethodKind]:
        """Return by what the person may prove themselves first; nothing if they may go on.

        Whoever has nothing to prove themselves by goes on: all there is to ask for is the session.
        A proof counts although it cannot be given again: who removes the device that they have
        lost, by a recovery code that went with it, goes on to the new one.
        """
        asked = self._asked_for(matter, account)
        methods = asked & _held(account)
        proofs = (method for method in session.methods if method.kind in asked)
        if not methods or reauthenticated_within(proofs, self.window, now):
            return frozenset()
        return methods

    def _asked_for(self, matter: Matter, account: Account) -> frozenset[MethodKind]:
        if matter is Matter.FIRST_PASSWORD:
            return frozenset({MethodKind.MFA})
        if matter is Matter.EMAIL:
            return ALL if self.account else frozenset()
        by_mfa = self.mfa_by_mfa or not account.has_usable_password
        if by_mfa and account.register.has_second_factor:
            return frozenset({MethodKind.MFA})
        return ALL if self.mfa or matter is Matter.DELETION else frozenset()


def _held(account: Account) -> frozenset[MethodKind]:
    """Return by what the person can prove themselves."""
    held = {
        MethodKind.PASSWORD: account.has_usable_password,
        MethodKind.MFA: account.register.has_second_factor,
    }
    return frozenset(kind for kind, there in held.items() if there)
