"""Security keys and passkeys: listed, added, renamed, removed."""

from services.session.api.webauthn_keys import NAME, WISHED
from services.session.domain.access import Access
from services.session.domain.factors import WEBAUTHN
from services.session.domain.faults import Fault
from services.session.domain.reauthentication import Matter
from services.session.domain.register import Entry
from services.session.flows.outcomes import Authenticators
from services.session.pages.answers import Answer, Given, GoTo, Show
from services.session.pages.call import Call, gate, settle
from services.session.pages.ceremonies import options, read_credential
from services.session.pages.frame import Pages
from services.session.pages.overview import of_kind
from services.session.pages.paths import path_of
from services.session.pages.totp import after_first
from shared.errors import NotFound

pages = Pages()


@pages.get("mfa_list_webauthn", access=Access.LOGGED_IN)
async def show(call: Call) -> Answer:
    """Show the keys, and have the browser know which of them still count."""
    outcome = await call.flows.authenticators.list(call.visit)
    if not isinstance(outcome, Authenticators):
        return settle(call, outcome, Show(template="keys.html"))
    keys = of_kind(outcome.entries, WEBAUTHN)
    return Show(template="keys.html", facts={"keys": keys, "signal": outcome.signal})


@pages.get("mfa_add_webauthn", access=Access.LOGGED_IN)
async def show_new(call: Call) -> Answer:
    """Show what there is to choose about a new key."""
    return gate(call, Matter.MFA) or Show(template="key_add.html")


@pages.get("mfa_webauthn_options", access=Access.LOGGED_IN)
async def ask_for_key(call: Call) -> Given:
    """Give a script what it has a key made with."""
    passwordless = call.query.get("passwordless") == "true"
    return options(await call.flows.webauthn.options(call.visit, passwordless=passwordless))


@pages.post("mfa_add_webauthn", access=Access.LOGGED_IN)
async def add(call: Call) -> Answer:
    """Add a key that was made by the options that were given last."""
    again = Show(template="key_add.html")
    credential = read_credential(call)
    if isinstance(credential, Fault):
        return again.refused([credential])
    name = call.form.get("name", "")[: WISHED.max_length] or None
    outcome = await call.flows.webauthn.add(call.visit, name, credential)
    done = after_first(call, outcome, "key_added")
    if done.url == path_of("mfa_index"):
        done = GoTo(url=path_of("mfa_list_webauthn"), notice=done.notice)
    return settle(call, outcome, again, done)


@pages.get("mfa_edit_webauthn", access=Access.LOGGED_IN)
async def show_rename(call: Call) -> Answer:
    """Show what a key is called."""
    return gate(call, Matter.MFA) or Show(template="key_edit.html", facts={"key": _key(call)})


@pages.post("mfa_edit_webauthn", access=Access.LOGGED_IN)
async def rename(call: Call) -> Answer:
    """Give a key another name."""
    again = Show(template="key_edit.html", facts={"key": _key(call)})
    values, faults = call.read(NAME)
    outcome = await call.flows.webauthn.rename(
        call.visit, call.parts["id"], values.get("name"), faults=faults
    )
    done = GoTo(url=path_of("mfa_list_webauthn"), notice="key_renamed")
    return settle(call, outcome, again, done)


@pages.get("mfa_remove_webauthn", access=Access.LOGGED_IN)
async def show_removal(call: Call) -> Answer:
    """Ask whether a key is to be removed."""
    return gate(call, Matter.MFA) or Show(template="key_remove.html", facts={"key": _key(call)})


@pages.post("mfa_remove_webauthn", access=Access.LOGGED_IN)
async def remove(call: Call) -> Answer:
    """Remove a key."""
    again = Show(template="key_remove.html", facts={"key": _key(call)})
    outcome = await call.flows.webauthn.remove(call.visit, [call.parts["id"]])
    done = GoTo(url=path_of("mfa_list_webauthn"), notice="key_removed")
    return settle(call, outcome, again, done)


def _key(call: Call) -> Entry:
    """Return the key that the path names. Raises NotFound if it is not the person's."""
    account = call.visit.account
    entry = None if account is None else account.register.find(call.parts["id"])
    if entry is None or entry.type != WEBAUTHN:
        raise NotFound("There is no such key.")
    return entry
