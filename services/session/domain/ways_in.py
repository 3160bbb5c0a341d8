"""Ways in: what a person can begin a login with."""

from collections.abc import Collection

from services.session.domain.factors import WEBAUTHN
from services.session.domain.register import Entry
from services.session.domain.sessions import Account


def has_way_in(account: Account, *, without: Collection[str] = ()) -> bool:
    """Tell whether the person can log in by password or passkey, `without` those authenticators.

    Whether passkeys are let in alone at present is no matter: settings change.
    """
    return account.has_usable_password or any(
        is_passkey(entry) and entry.id not in without for entry in account.register.entries
    )


def is_passkey(entry: Entry) -> bool:
    """Tell whether an authenticator can log its owner in alone, as far as its factor tells.

    That is one that was asked for as a passkey and has verified its user: its factor lets in no
    other. Whether it can be found without a name (`is_passwordless`) browsers say, or do not: it is
    a hint that nobody has signed. It makes no passkey of what was asked for as a second factor,
    and where it says no, it is believed, for then a way in is kept that may not be needed.
    """
    facts = entry.facts
    return (
        entry.type == WEBAUTHN
        and facts.get("serves_alone") is True
        and facts.get("is_passwordless") is not False
    )
