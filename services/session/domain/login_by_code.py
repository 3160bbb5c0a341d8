"""Login codes that are mailed: what they are like, and which logins take one besides."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from services.session.domain.codes import CodeRules
from services.session.domain.methods import Method, MethodKind

LOGIN_CODES = CodeRules(lifetime=timedelta(minutes=3))
ALWAYS = frozenset({MethodKind.PASSWORD, MethodKind.MFA})


@dataclass(frozen=True, kw_only=True)
class LoginByCode:
    """What the operator chose.

    A code is `required` besides where a login has begun by one of these methods; by none, as a
    sign-up does, if there are any; and by a new password, if there are all. Where it `trusts`, a
    browser in which that code was given may be trusted, and then stands in for it.
    """

    codes: CodeRules = LOGIN_CODES
    required: frozenset[MethodKind] = frozenset()
    trusts: bool = False

    def is_required(self, methods: Collection[Method]) -> bool:
        """Tell whether a login that `methods` have begun takes a mailed code besides."""
        if not methods:
            return bool(self.required)
        kinds = {method.kind for method in methods}
        if MethodKind.PASSWORD_RESET in kinds:
            return self.required == ALWAYS
        return MethodKind.CODE not in kinds and bool(kinds & self.required)
