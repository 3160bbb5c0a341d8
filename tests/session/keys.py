"""Security keys and passkeys, as people use them: a device in software at a visitor's client."""

from typing import Any

from services.session.domain.limits import Limits, parse_rates
from services.session.flows import Policy
from services.session.flows.outcomes import Asked, Enrolled, Outcome, Standing
from services.session.flows.signup import Applicant
from tests.session.house import ADA, House, Visitor
from tests.webauthn.authenticator import HONEST, Device, Lies

Json = dict[str, Any]

NO_LIMIT = Policy(limits=Limits(mfa={**Limits().mfa, "webauthn_login": ()}))


def limited(rate: str) -> Policy:
    """Return what is the default, with a rate for those who ask for options."""
    return Policy(limits=Limits(mfa={**Limits().mfa, "webauthn_options": parse_rates(rate)}))


async def add_key(visitor: Visitor, device: Device, *, passwordless: bool = True) -> str:
    """Register a credential of `device` with whoever is logged in; return its id."""
    flow = visitor.house.flows.webauthn
    await visitor.reauthenticate()
    asked = await flow.options(await visitor.visit(), passwordless=passwordless)
    assert isinstance(asked, Asked)
    made = device.create(_options(asked, "creation_options"))
    added = await flow.add(await visitor.visit(), "My key", made)
    assert isinstance(added, Enrolled)
    return added.entry.id


async def ask(visitor: Visitor) -> Json:
    """Have any passkey asked for; keep the token of a session that is opened for it."""
    asked = await visitor.house.flows.passkeys.ask(await visitor.visit())
    assert isinstance(asked, Asked)
    visitor.token = asked.token or visitor.token
    return _options(asked, "request_options")


async def answer(visitor: Visitor, credential: Json) -> Outcome:
    """Log in with what a device has answered."""
    flow = visitor.house.flows.passkeys
    return visitor.keep(await flow.log_in(await visitor.visit(), credential))


async def log_in(visitor: Visitor, device: Device, lies: Lies = HONEST) -> Outcome:
    """Log in with a passkey of `device`."""
    return await answer(visitor, device.get(await ask(visitor), lies))


async def authenticate(visitor: Visitor, device: Device, lies: Lies = HONEST) -> Outcome:
    """Give a key of `device` as second factor."""
    flow = visitor.house.flows.authenticate
    asked = await flow.ask_for_key(await visitor.visit())
    assert isinstance(asked, Asked)
    credential = device.get(_options(asked, "request_options"), lies)
    return visitor.keep(await flow.authenticate_by_key(await visitor.visit(), credential))


async def reauthenticate(visitor: Visitor, device: Device, lies: Lies = HONEST) -> Outcome:
    """Prove oneself again by a key of `device`."""
    flow = visitor.house.flows.reauthenticate
    asked = await flow.ask_for_key(await visitor.visit())
    assert isinstance(asked, Asked)
    credential = device.get(_options(asked, "request_options"), lies)
    return visitor.keep(await flow.by_key(await visitor.visit(), credential))


async def with_passkey(house: House, device: Device, email: str = ADA) -> Visitor:
    """Return somebody who has registered a passkey, and has logged out."""
    visitor = await house.visitor().join(email)
    await add_key(visitor, device)
    await house.notices()
    await visitor.log_out()
    return visitor


async def by_passkey(house: House, device: Device, email: str = ADA) -> Visitor:
    """Return somebody who has signed up by passkey: they have no password, and are logged in."""
    visitor, flow = house.visitor(), house.flows.passkey_signup
    visitor.keep(
        await house.flows.signup.sign_up_by_passkey(await visitor.visit(), Applicant(email=email))
    )
    await visitor.verify(await house.code())
    asked = await flow.options(await visitor.visit())
    assert isinstance(asked, Asked)
    made = device.create(_options(asked, "creation_options"))
    outcome = visitor.keep(await flow.complete(await visitor.visit(), "My key", made))
    assert isinstance(outcome, Standing)
    assert outcome.visit.authenticated
    return visitor


def _options(asked: Asked, name: str) -> Json:
    options = asked.display[name]
    assert isinstance(options, dict)
    return options
