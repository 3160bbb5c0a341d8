"""People and their addresses: what tests of them have in common."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

from services.session.domain.codes import CodeRules
from services.session.domain.frontend_urls import CONFIRM_EMAIL, FrontendUrls
from services.session.domain.limits import ACCOUNT_RATES, CONFIRM_BY_LINK, Limits, check_rates
from services.session.domain.mails import Mail, MailKind
from services.session.domain.verification import Verification, Verified
from services.session.flows import Policy
from services.session.flows.outcomes import Addresses, Outcome, Standing
from tests.session.house import House, Visitor, counted

BOB = "bob@example.org"
NEW = "new@example.com"
PAGE = "https://app.example.org/verify/"
PAGES = FrontendUrls({CONFIRM_EMAIL: PAGE + "{key}"})
SOON = timedelta(seconds=11)  # longer than `confirm_email` has people wait where codes are mailed
LATER = timedelta(minutes=4)  # and where links are


def by_link(when: Verified = Verified.MANDATORY, **more: Any) -> Policy:
    """Return the policy where addresses are verified by link."""
    verification = Verification(when=when, by_code=False, **more)
    rates = {**ACCOUNT_RATES, "confirm_email": CONFIRM_BY_LINK}
    limits = Limits(account={name: check_rates(name, text) for name, text in rates.items()})
    return Policy(verification=verification, pages=PAGES, limits=limits)


def resending(times: int = 2, **more: Any) -> Policy:
    """Return the policy where codes are sent anew so often."""
    return Policy(verification=Verification(codes=CodeRules(max_resends=times), **more))


def changing(times: int = 2) -> Policy:
    """Return the policy where the address of a sign-up may be changed so often."""
    return Policy(verification=Verification(max_changes=times))


async def add(who: Visitor, email: str = NEW) -> Outcome:
    """Have another address verified."""
    return who.keep(await who.house.flows.emails.add(await who.visit(), email))


async def change(who: Visitor, email: str | None) -> Outcome:
    """Give another address at sign-up."""
    flow = who.house.flows.signup_address
    return who.keep(await flow.change(await who.visit(), email))


async def ask(who: Visitor, email: str) -> Outcome:
    """Have the mail sent again."""
    return who.keep(await who.house.flows.emails.ask(await who.visit(), email))


async def make_primary(who: Visitor, email: str = NEW) -> Outcome:
    """Make an address the primary one."""
    return who.keep(await who.house.flows.emails.make_primary(await who.visit(), email))


async def remove(who: Visitor, email: str = NEW) -> Outcome:
    """Remove an address."""
    return who.keep(await who.house.flows.emails.remove(await who.visit(), email))


async def resend(who: Visitor) -> Outcome:
    """Have another code mailed."""
    return who.keep(await who.house.flows.verify_email.resend(await who.visit()))


async def show(who: Visitor, key: str) -> Outcome:
    """Look at what a key is for."""
    return who.keep(await who.house.flows.verify_email.show(await who.visit(), key))


async def listed(who: Visitor) -> list[tuple[str, bool, bool]]:
    """Return the addresses: each with whether it is verified, and primary."""
    return shown(await who.house.flows.emails.list(await who.visit()))


def shown(outcome: Outcome) -> list[tuple[str, bool, bool]]:
    """Return what an outcome shows of addresses."""
    assert isinstance(outcome, Addresses), outcome
    return [(entry.address, entry.verified, entry.primary) for entry in outcome.listed]


async def added(who: Visitor, email: str = NEW) -> Visitor:
    """Add an address and prove it by the code."""
    assert isinstance(await add(who, email), Addresses)
    outcome = await who.verify(await who.house.code())
    assert isinstance(outcome, Standing), outcome
    return who


def key_of(mail: Mail) -> str:
    """Return the key in the link of a mail."""
    assert mail.kind is MailKind.VERIFICATION_LINK, mail
    return mail.facts["link"].removeprefix(PAGE)


async def key(house: House) -> str:
    """Return the key in the link that is mailed."""
    (mail,) = await house.mails()
    return key_of(mail)


async def joined(house: House, email: str) -> Visitor:
    """Return somebody who has signed up, and followed the link, and logged in."""
    who = house.visitor()
    await who.sign_up(email)
    house.clock.turn(seconds=LATER.total_seconds())
    await who.verify(await key(house))
    assert isinstance(await who.log_in(email), Standing)
    return who


async def costs(doing: Any) -> dict[str, float]:
    """Return what something takes of statements and commits."""
    before = counted()
    await doing
    return {name: value - before[name] for name, value in counted().items()}


def with_limit(policy: Policy, **rates: str) -> Policy:
    """Return a policy with other limits."""
    given = {name: check_rates(name, text) for name, text in rates.items()}
    return replace(policy, limits=Limits(account={**policy.limits.account, **given}))
