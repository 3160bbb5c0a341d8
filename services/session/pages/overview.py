"""Security settings at a glance."""

from services.session.domain.access import Access
from services.session.domain.factors import RECOVERY_CODES, TOTP, WEBAUTHN
from services.session.domain.register import Entry
from services.session.domain.ways_in import is_passkey
from services.session.pages.answers import Answer, Show
from services.session.pages.call import Call
from services.session.pages.frame import Pages

pages = Pages()


@pages.get("account_index", access=Access.LOGGED_IN)
async def show(call: Call) -> Answer:
    """Show what protects the account, and what could be better."""
    return Show(template="overview.html", facts=authenticators(call))


@pages.get("mfa_index", access=Access.LOGGED_IN)
async def show_authenticators(call: Call) -> Answer:
    """Show the authenticators."""
    return Show(template="authenticators.html", facts=authenticators(call))


def authenticators(call: Call) -> dict[str, object]:
    """Return what the register holds, by kind: no factor is asked, and none needs to be up."""
    register = None if call.visit.account is None else call.visit.account.register
    entries = () if register is None else register.entries
    keys = of_kind(entries, WEBAUTHN)
    return {
        "totp": next(iter(of_kind(entries, TOTP)), None),
        "keys": keys,
        "passkeys": [key for key in keys if is_passkey(key)],
        "codes": next(iter(of_kind(entries, RECOVERY_CODES)), None),
        "others": [e for e in entries if e.type not in (TOTP, WEBAUTHN, RECOVERY_CODES)],
        "protected": register is not None and register.has_second_factor,
    }


def of_kind(entries: tuple[Entry, ...], kind: str) -> list[Entry]:
    """Return the authenticators of a kind."""
    return [entry for entry in entries if entry.type == kind]
