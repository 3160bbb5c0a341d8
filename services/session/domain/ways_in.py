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

    Many browsers do not say whether a key can be found without a name: those count too.
    """
    facts = entry.facts
    return (
        entry.type == WEBAUTHN
        and facts.get("user_verified") is not False
        and facts.get("is_passwordless") is not False
    )
