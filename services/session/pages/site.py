"""What a site looks like and what it offers, as far as its pages have to know."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from services.session.api.browser import Cookie
from services.session.api.entrance import Entrance
from services.session.domain.codes import RULES, CodeRules
from services.session.domain.colours import Colours
from services.session.domain.factors import RECOVERY_CODES, TOTP, WEBAUTHN
from services.session.domain.languages import Languages
from services.session.pages.paths import ROOT


@dataclass(frozen=True, kw_only=True)
class Brand:
    """What people know a site by. `logo` is a file, `links` lead elsewhere, by their words."""

    name: str = "Countersign"
    logo: Path | None = None
    colours: Colours = field(default_factory=Colours)
    links: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Offers:
    """What people can do here. Fields are as the settings of these names."""

    types: tuple[str, ...] = (RECOVERY_CODES, TOTP)
    passkey_login: bool = False
    passkey_signup: bool = False
    login_by_code: bool = False
    trust: bool = False
    resets_passwords: bool = False
    reset_by_code: bool = False
    verification_by_code: bool = True
    verification_codes: CodeRules = RULES
    login_codes: CodeRules = RULES
    max_address_changes: int = 0
    one_address: bool = False
    password_min_length: int = 8
    tracks_activity: bool = False
    entrance: Entrance = field(default_factory=Entrance)

    @property
    def totp(self) -> bool:
        """Whether there are authenticator apps."""
        return TOTP in self.types

    @property
    def webauthn(self) -> bool:
        """Whether there are security keys and passkeys."""
        return WEBAUTHN in self.types

    @property
    def recovery_codes(self) -> bool:
        """Whether there are recovery codes."""
        return RECOVERY_CODES in self.types


@dataclass(frozen=True, kw_only=True)
class Site:
    """Everything about the pages that is configured.

    `home` is where people are led who have logged in, `farewell` where they are who have logged
    out. What is in the folder `templates` takes the place of ours. `inbox` is where mails can be
    read in development. `cookie` says how what pages keep is kept.
    """

    brand: Brand = field(default_factory=Brand)
    offers: Offers = field(default_factory=Offers)
    languages: Languages = field(default_factory=Languages)
    templates: Path | None = None
    home: str = ROOT
    farewell: str = "/"
    inbox: str | None = None
    cookie: Cookie
    language_cookie: str = "django_language"

    @property
    def language(self) -> Cookie:
        """The cookie of the language that somebody has chosen."""
        return self._named(self.language_cookie, timedelta(days=365))

    @property
    def notice(self) -> Cookie:
        """The cookie that has the next page say what was done: one of a few words, no more."""
        return self._named("countersign_notice", timedelta(minutes=1))

    def _named(self, name: str, age: timedelta) -> Cookie:
        return Cookie(
            name=name,
            age=age,
            path=ROOT,
            secure=self.cookie.secure,
            httponly=True,
            samesite="lax",
        )
