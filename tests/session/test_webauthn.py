"""Security keys and passkeys in the register: added, named, removed, and with their factor away."""

import asyncio
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select

from services.session.domain.mails import MailKind
from services.session.domain.methods import MethodKind
from services.session.domain.stages import Stage
from services.session.flows import Policy, Reauthentication
from services.session.flows.outcomes import (
    Asked,
    Authenticators,
    Enrolled,
    LoginNeeded,
    Misfit,
    Outcome,
    ReauthenticationNeeded,
    Removed,
    Standing,
    Throttled,
)
from services.session.flows.register import LIVE
from services.session.flows.webauthn import MAX_KEYS
from services.session.store.tables import dead_authenticators, keepers
from shared.database import Statement, step
from tests.session.house import (
    HOME,
    PASSWORD,
    Crash,
    Cut,
    House,
    Visitor,
    change_user,
    faults_of,
    second_replica,
    unavailable,
)
from tests.session.keys import add_key, ask, by_passkey, limited, log_in, reauthenticate
from tests.session.recovering import REGISTER
from tests.webauthn.authenticator import HONEST, Device, Lies

Json = dict[str, Any]
DEAD = Statement(select(dead_authenticators.c.authenticator_id))
KEEPERS = Statement(select(keepers.c.factor).order_by(keepers.c.factor))
AWAY = "203.0.113.9"
ONLY_KEYS = Policy(authenticators=("webauthn",))


async def options(visitor: Visitor, *, passwordless: bool = False) -> Json:
    """Return what the person's page hands to the browser."""
    flow = visitor.house.flows.webauthn
    asked = await flow.options(await visitor.visit(), passwordless=passwordless)
    assert isinstance(asked, Asked)
    shown = asked.display["creation_options"]
    assert isinstance(shown, dict)
    return shown


async def add(visitor: Visitor, credential: Json, name: str | None = None) -> Outcome:
    return await visitor.house.flows.webauthn.add(await visitor.visit(), name, credential)


async def rename(visitor: Visitor, id: str, name: str) -> Outcome:
    return await visitor.house.flows.webauthn.rename(await visitor.visit(), id, name)


async def remove(visitor: Visitor, *ids: str) -> Outcome:
    return await visitor.house.flows.webauthn.remove(await visitor.visit(), ids)


async def proved(house: House) -> Visitor:
    """Return somebody who may change what protects them."""
    ada = await house.visitor().join()
    await ada.reauthenticate()
    await house.notices()
    return ada


async def swept(house: House) -> None:
    """Let the worker do what it does some minutes later."""
    house.clock.turn(minutes=2)
    await house.sweeps.repair_registers()
    house.clock.turn(minutes=2)
    await house.sweeps.collect_dead()


async def consistent(house: House) -> bool:
    """Tell whether register and factors agree and nothing is left, after a sweep."""
    await swept(house)
    return (
        (await house.user()).register_pending is None
        and await house.db.all(DEAD) == []
        and sorted(await house.registered("webauthn")) == sorted(await house.keys())
        and await house.registered() == await house.enrolled()
        and await house.registered("recovery_codes") == await house.code_sets()
    )


def names(outcome: Outcome) -> list[str]:
    assert isinstance(outcome, Authenticators)
    return [str(e.facts["name"]) for e in outcome.entries if e.type == "webauthn"]


# Added


async def test_a_key_is_a_second_factor_and_brings_codes_along(house: House) -> None:
    """One register write, one epoch, one mail."""
    ada = await proved(house)
    before = await house.user()

    added = await add(ada, Device().create(await options(ada)), "My key")

    assert isinstance(added, Enrolled)
    assert (added.entry.type, added.codes_generated) == ("webauthn", True)
    assert added.entry.facts["name"] == "My key"
    assert await house.registered("webauthn") == await house.keys() == [added.entry.id]
    assert len(await house.code_sets()) == 1
    assert (await house.user()).factor_epoch == before.factor_epoch + 1
    assert (await house.events())[-2:] == ["authenticator_added"] * 2
    (told,) = await house.notices()
    assert (told.kind, told.facts["factor"]) == (MailKind.AUTHENTICATOR_ADDED, "webauthn")
    assert [row.factor for row in await house.db.all(KEEPERS)] == ["recovery", "webauthn"]
    login = await ada.elsewhere().log_in()
    assert isinstance(login, Standing)
    assert login.visit.pending is Stage.MFA_AUTHENTICATE
    assert login.visit.types == ("recovery_codes", "webauthn")


async def test_a_second_key_is_beside_the_first_and_makes_no_codes(house: House) -> None:
    """A device is asked not to register twice."""
    ada = await proved(house)
    device = Device()
    first = await add_key(ada, device, passwordless=False)

    asked = await options(ada, passwordless=True)
    second = await add(ada, device.create(asked), None)

    assert len(asked["publicKey"]["excludeCredentials"]) == 1
    assert isinstance(second, Enrolled)
    assert second.codes_generated is False
    assert await house.registered("webauthn") == [first, second.entry.id]
    assert await consistent(house)


async def test_options_shown_anew_take_the_place_of_the_last(house: House) -> None:
    ada = await proved(house)
    stale = await options(ada)
    fresh = await options(ada)

    refused = await add(ada, Device().create(stale))
    assert faults_of(refused) == ["incorrect_code"]
    assert [fault.param for fault in getattr(refused, "faults", ())] == [None]
    # A refusal ends the enrolment: what was good before is so no more.
    assert faults_of(await add(ada, Device().create(fresh))) == ["incorrect_code"]
    assert isinstance(await add(ada, Device().create(await options(ada))), Enrolled)
    assert await consistent(house)


async def test_options_are_limited_by_who_asks_for_them(house: House) -> None:
    """L8: then no call is made, and what was shown last still counts.

    It is no matter where, nor what strangers have asked for there, or is left to them.
    """
    ada = await proved(house)
    bound = ada.elsewhere(AWAY, house=house.under(limited("1/m/ip")))
    bound.token = ada.token
    await ask(bound.house.visitor(AWAY))
    shown = await options(bound)
    bound.address = HOME
    before = len(house.wires["webauthn"].requests)

    flow = bound.house.flows.webauthn
    late = await flow.options(await bound.visit(), passwordless=False)

    assert isinstance(late, Throttled)
    assert timedelta(0) < late.retry_after <= timedelta(minutes=1)
    told, visit = (await house.event_rows())[-1], await ada.visit()
    assert visit.account is not None
    assert (told.type, told.subject) == ("mfa.session.key_options_limited", visit.account.id)
    assert isinstance(await bound.house.flows.passkeys.ask(await bound.visit()), Throttled)
    assert len(house.wires["webauthn"].requests) == before
    assert isinstance(await add(ada, Device().create(shown)), Enrolled)
    await ask(bound.house.visitor(HOME))
    house.clock.turn(minutes=1)
    assert isinstance(await flow.options(await bound.visit(), passwordless=False), Asked)


async def test_failures_are_not_counted(house: House) -> None:
    """Nothing can be guessed; and the register is never left dirty."""
    ada = await proved(house)
    for _ in range(12):
        lie = Device().create(await options(ada), Lies(origin="https://evil.example"))
        assert faults_of(await add(ada, lie)) == ["incorrect_code"]

    user = await house.user()
    assert (user.mfa_failures, user.register_pending) == (0, None)
    assert "second_factor_failed" not in await house.events()


async def test_the_options_are_for_the_session_that_was_shown_them(house: House) -> None:
    """Two clients of one person do not share a challenge."""
    ada = await proved(house)
    other = ada.elsewhere()
    await other.log_in()
    await other.reauthenticate()
    asked = await options(ada)
    await options(other)

    assert faults_of(await add(other, Device().create(asked))) == ["incorrect_code"]
    assert isinstance(await add(ada, Device().create(asked)), Enrolled)


async def test_adding_takes_a_proof_of_the_last_minutes(house: House) -> None:
    ada = await proved(house)
    asked = await options(ada)
    house.clock.turn(minutes=4, seconds=59)
    await house.flows.webauthn.options(await ada.visit(), passwordless=False)
    house.clock.turn(minutes=1)
    visit = await ada.visit()

    shown = await house.flows.webauthn.options(visit, passwordless=False)
    added = await house.flows.webauthn.add(visit, None, Device().create(asked))

    assert isinstance(shown, ReauthenticationNeeded)
    assert isinstance(added, ReauthenticationNeeded)
    assert not any("complete" in request for request in house.wires["webauthn"].requests)
    assert await house.keys() == []


async def test_nobody_has_keys(house: House) -> None:
    visit = await house.visitor().visit()
    flow = house.flows.webauthn

    for outcome in (
        await flow.options(visit, passwordless=True),
        await flow.add(visit, None, {"id": "a"}),
        await flow.rename(visit, "a", "b"),
        await flow.remove(visit, ["a"]),
    ):
        assert isinstance(outcome, LoginNeeded)


async def test_an_address_has_to_be_verified_first(house: House) -> None:
    """As for TOTP: somebody else's address must not be locked."""
    ada = await proved(house)
    visit = await ada.visit()
    assert visit.account is not None
    unverified = replace(visit, account=replace(visit.account, email_verified=False))

    for outcome in (
        await house.flows.webauthn.options(unverified, passwordless=False),
        await house.flows.webauthn.add(unverified, None, {"id": "a"}),
    ):
        assert isinstance(outcome, Misfit)
        assert faults_of(outcome) == ["unverified_email"]


async def test_a_name_that_is_too_long_is_cut(house: House) -> None:
    """The credential is on the device already: it is not refused for its name."""
    ada = await proved(house)

    added = await add(ada, Device().create(await options(ada)), "n" * 500)

    assert isinstance(added, Enrolled)
    assert added.entry.facts["name"] == "n" * 100


async def test_there_is_a_bound_to_how_many_keys_a_person_has(house: House) -> None:
    """The register is read with every request."""
    ada = await proved(house)
    await add_key(ada, Device())
    asked = await options(ada)
    key = json.loads((await house.user()).register)["entries"][0]

    held = json.loads((await house.user()).register)
    held["entries"] += [{**key, "id": f"{n:064x}"} for n in range(MAX_KEYS - 1)]
    await write_register(house, held)

    flow, visit = house.flows.webauthn, await ada.visit()
    for outcome in (
        await flow.options(visit, passwordless=False),
        await flow.add(visit, None, Device().create(asked)),
    ):
        assert isinstance(outcome, Misfit)
        assert faults_of(outcome) == ["too_many_authenticators"]
    assert isinstance(await remove(ada, f"{0:064x}"), Removed)
    assert isinstance(await flow.options(await ada.visit(), passwordless=False), Asked)


async def test_an_addition_does_not_outlive_its_session(house: House) -> None:
    """N3: a logout stops it on its way."""
    ada = await proved(house)
    credential = Device().create(await options(ada))
    held = house.wires["webauthn"].hold("POST", "complete", Cut.AFTER)
    addition = asyncio.create_task(add(ada, credential))
    await held.arrived.wait()
    await ada.log_out()
    held.go_on.set()

    assert await unavailable(addition)
    assert await house.registered("webauthn") == []
    assert len(await house.keys()) == 1
    assert await consistent(house)


async def test_adding_a_key_forgives_no_failures_of_what_was_there_before(house: House) -> None:
    """L2: who knows the password and has a session does not get five guesses more."""
    ada = await (await house.visitor().join()).protect()
    for n in range(3):
        await ada.reauthenticate_by_code(ada.wrong_otp(n))
    failures = (await house.user()).mfa_failures

    await add_key(ada, Device())

    assert failures == 3
    assert (await house.user()).mfa_failures == failures


async def test_a_first_key_is_bound_anew(house: House) -> None:
    """Failures at a TOTP that never came to be rest nobody who has none."""
    ada = await proved(house)
    await ada.show_totp()
    for n in range(2):
        await ada.activate(ada.wrong_otp(n))

    assert (await house.user()).mfa_failures == 2
    await add_key(ada, Device())
    assert (await house.user()).mfa_failures == 0


async def test_a_key_is_added_while_others_are_guessed_at(house: House) -> None:
    """L3: a rest of the second factor that strangers cause does not stop its owner here."""
    ada = await (await house.visitor().join()).protect()
    await ada.reauthenticate()
    rest = int(house.clock().timestamp() * 1_000_000) + 3_600_000_000
    await change_user(house, mfa_rests_until=rest)

    await add_key(ada, Device())

    assert (await house.user()).mfa_rests_until == rest


# Named


async def test_a_key_is_renamed(house: House) -> None:
    ada = await proved(house)
    key = await add_key(ada, Device())

    renamed = await rename(ada, key, " At \u202ehome\n")

    assert isinstance(renamed, Enrolled)
    assert renamed.entry.facts["name"] == "At home"
    assert names(await ada.authenticators()) == ["At home"]
    held = await house.webauthn.authenticators((await house.user()).id)
    assert [authenticator.name for authenticator in held.authenticators] == ["At home"]


async def test_a_name_has_something_to_be_seen(house: House) -> None:
    ada = await proved(house)
    key = await add_key(ada, Device())

    refused = await rename(ada, key, "\u200b\u200d")

    assert faults_of(refused) == ["required"]
    assert names(await ada.authenticators()) == ["My key"]


async def test_only_ones_own_keys_are_renamed(house: House) -> None:
    ada = await proved(house)
    key = await add_key(ada, Device())
    bob = await house.visitor().join("bob@example.org")
    await bob.reauthenticate()
    (codes,) = [
        entry.id
        for entry in getattr(await ada.authenticators(), "entries", ())
        if entry.type == "recovery_codes"
    ]

    assert faults_of(await rename(bob, key, "Mine")) == ["invalid_choice"]
    assert faults_of(await remove(bob, key)) == ["invalid_choice"]
    assert faults_of(await rename(ada, codes, "Mine")) == ["invalid_choice"]
    assert faults_of(await remove(ada, key, codes)) == ["invalid_choice"]
    assert names(await ada.authenticators()) == ["My key"]


async def test_a_rename_takes_a_proof_of_the_last_minutes(house: House) -> None:
    ada = await proved(house)
    key = await add_key(ada, Device())
    house.clock.turn(minutes=6)

    assert isinstance(await rename(ada, key, "New"), ReauthenticationNeeded)
    assert isinstance(await remove(ada, key), ReauthenticationNeeded)
    assert names(await ada.authenticators()) == ["My key"]


async def test_a_rename_survives_a_use_at_the_same_time(house: House) -> None:
    """The register is written by both, and neither is lost."""
    ada = await (await house.visitor().join()).protect()
    key = await add_key(ada, Device())
    held = house.wires["webauthn"].hold("PATCH", "authenticators", Cut.AFTER)
    renaming = asyncio.create_task(rename(ada, key, "New"))
    await held.arrived.wait()
    assert isinstance(await ada.reauthenticate_by_code(ada.otp()), Standing)
    held.go_on.set()

    assert isinstance(await renaming, Enrolled)
    listed = await ada.authenticators()
    assert names(listed) == ["New"]
    (totp,) = [e for e in getattr(listed, "entries", ()) if e.type == "totp"]
    assert totp.last_used_at == house.clock()


async def test_a_rename_can_be_repeated_after_a_lost_answer(house: House) -> None:
    ada = await proved(house)
    key = await add_key(ada, Device())
    house.wires["webauthn"].cut("PATCH", "authenticators", Cut.AFTER)

    assert await unavailable(rename(ada, key, "New"))
    assert names(await ada.authenticators()) == ["My key"]
    assert isinstance(await rename(ada, key, "New"), Enrolled)
    assert names(await ada.authenticators()) == ["New"]


# Removed


async def test_the_last_key_takes_the_codes_along(house: House) -> None:
    ada = await proved(house)
    first, second = await add_key(ada, Device()), await add_key(ada, Device())
    await house.notices()

    assert isinstance(await remove(ada, first), Removed)
    assert len(await house.registered("recovery_codes")) == 1
    assert isinstance(await remove(ada, second), Removed)

    assert await house.registered("recovery_codes") == []
    assert [mail.kind for mail in await house.notices()] == [MailKind.AUTHENTICATOR_REMOVED] * 2
    assert isinstance(await ada.elsewhere().log_in(), Standing)
    assert await consistent(house)


async def test_several_are_removed_at_once(house: House) -> None:
    ada = await (await house.visitor().join()).protect()
    keys = [await add_key(ada, Device()) for _ in range(3)]

    removed = await remove(ada, *keys[:2])

    assert isinstance(removed, Removed)
    assert await house.registered("webauthn") == keys[2:]
    assert await house.registered() != []
    assert await consistent(house)


async def test_what_a_page_may_tell_its_browser(house: House) -> None:
    """Which credentials count, under the handle that they were made for."""
    ada = await proved(house)
    device = Device()
    first, second = await add_key(ada, device), await add_key(ada, device)
    (handle,) = {c.user_handle for c in device.credentials.values()}
    listed = await ada.authenticators()
    removed = await remove(ada, first)
    last = await remove(ada, second)

    told = [getattr(outcome, "signal", {}) for outcome in (listed, removed, last)]
    accepted = [signal["allAcceptedCredentials"] for signal in told]
    assert [len(one["allAcceptedCredentialIds"]) for one in accepted] == [2, 1, 0]
    assert {one["rpId"] for one in accepted} == {"example.com"}
    assert len(handle) == 64
    assert len({one["userId"] for one in accepted}) == 1
    assert told[0]["currentUserDetails"]["name"] == "ada@example.org"
    assert getattr(await ada.authenticators(), "signal", {}) is None


# The last way in


async def test_who_has_no_password_keeps_a_passkey(house: House) -> None:
    """Nothing is removed, and no proof is asked for what is refused anyway."""
    device = Device()
    ada = await by_passkey(house, device)
    (key,) = await house.registered("webauthn")
    house.clock.turn(minutes=6)

    refused = await remove(ada, key)

    assert isinstance(refused, Misfit)
    assert faults_of(refused) == ["cannot_delete_authenticator"]
    assert await house.registered("webauthn") == [key]
    assert isinstance(await reauthenticate(ada, device), Standing)
    assert isinstance(await remove(ada, key), Misfit)
    assert "authenticator_removed" not in await house.events()
    assert (await house.user()).register_pending is None
    assert isinstance(await log_in(house.visitor(), device), Standing)


async def test_the_last_passkey_goes_once_there_is_another_way_in(house: House) -> None:
    device = Device()
    ada = await by_passkey(house, device)
    (first,) = await house.registered("webauthn")
    await reauthenticate(ada, device)
    second = await add_other(ada, passwordless=True)

    assert isinstance(await remove(ada, first, second), Misfit)
    assert isinstance(await remove(ada, first), Removed)
    assert isinstance(await remove(ada, second), Misfit)
    assert isinstance(await ada.change_password(None, PASSWORD), Standing)
    assert isinstance(await remove(ada, second), Removed)
    assert await house.registered("webauthn") == []
    assert isinstance(await house.visitor().log_in(), Standing)


@pytest.mark.parametrize("told", [{"credProps": {"rk": True}}, {}], ids=["found", "untold"])
async def test_a_key_that_cannot_log_in_alone_is_no_way_in(house: House, told: Json) -> None:
    """W7.1-28: whatever its browser says of it, and although it verifies its user."""
    device, other = Device(), Device()
    ada = await by_passkey(house, device)
    (passkey,) = await house.registered("webauthn")
    await reauthenticate(ada, device)
    key = await add_other(ada, other, lies=Lies(extensions=told), passwordless=False)

    assert isinstance(await remove(ada, passkey), Misfit)
    assert faults_of(await log_in(house.visitor(), other)) == ["incorrect_code"]
    assert isinstance(await remove(ada, key), Removed)


@pytest.mark.parametrize("told", [{"credProps": {"rk": True}}, {}], ids=["found", "untold"])
async def test_a_passkey_is_a_way_in_whose_browser_tells_nothing(house: House, told: Json) -> None:
    """W7.1-28: it was asked for as one, and so it is one."""
    device, other = Device(), Device()
    ada = await by_passkey(house, device)
    (first,) = await house.registered("webauthn")
    await reauthenticate(ada, device)
    second = await add_other(ada, other, lies=Lies(extensions=told), passwordless=True)

    assert isinstance(await remove(ada, first), Removed)
    assert isinstance(await remove(ada, second), Misfit)
    assert isinstance(await log_in(house.visitor(), other), Standing)


async def test_without_a_password_a_second_factor_is_proved_whatever_is_waived(
    house: House,
) -> None:
    """N6: or whoever finds the session adds one of theirs, and by that sets a first password."""
    house = house.under(Policy(reauthentication=Reauthentication(mfa=False)))
    device = Device()
    ada = await by_passkey(house, device)
    (own,) = await house.registered("webauthn")
    await ada.show_totp()

    for outcome in await changes(ada, own):
        assert isinstance(outcome, ReauthenticationNeeded)
        assert outcome.methods == {MethodKind.MFA}
    assert await house.registered("webauthn") == await house.keys() == [own]
    assert await house.registered() == await house.registered("recovery_codes") == []

    assert isinstance(await reauthenticate(ada, device), Standing)
    other = await add_other(ada, passwordless=True)
    assert isinstance(await ada.activate(ada.otp()), Enrolled)
    house.clock.turn(minutes=5)
    last = await remove(ada, other), await ada.deactivate(), await ada.show_codes()
    for outcome in (*await changes(ada, other), *last):
        assert isinstance(outcome, ReauthenticationNeeded)


async def test_with_a_password_the_same_is_waived(house: House) -> None:
    """As in allauth: by nothing that is added is another password set."""
    house = house.under(Policy(reauthentication=Reauthentication(mfa=False)))
    ada = await house.visitor().join()
    first = await add_other(ada, passwordless=True)
    second = await add_other(ada, passwordless=True)

    assert isinstance(await rename(ada, second, "Mine"), Enrolled)
    assert isinstance(await remove(ada, first, second), Removed)


async def changes(ada: Visitor, key: str) -> tuple[Outcome, ...]:
    """Return what comes of what changes authenticators in a session, one by one."""
    flow, visit = ada.house.flows.webauthn, await ada.visit()
    return (
        await flow.options(visit, passwordless=True),
        await add(ada, {"id": "a"}),
        await rename(ada, key, "Mine"),
        await ada.activate(ada.otp()),
        await ada.generate_codes(),
        await ada.change_password(None, PASSWORD),
    )


@pytest.mark.parametrize("at_a_time", range(3))
async def test_of_two_passkeys_that_go_at_once_one_stays(pg_house: House, at_a_time: int) -> None:
    """Two requests at two replicas, each for another key."""
    device = Device()
    ada = await by_passkey(pg_house, device)
    await reauthenticate(ada, device)
    await add_other(ada, passwordless=True)
    visit = await ada.visit()
    async with second_replica(pg_house) as replica:
        outcomes = await asyncio.gather(
            *(
                house.flows.webauthn.remove(visit, [key])
                for house, key in zip(
                    (pg_house, replica), await pg_house.registered("webauthn"), strict=True
                )
            ),
            return_exceptions=True,
        )

    assert sum(isinstance(outcome, Removed) for outcome in outcomes) <= 1
    assert len(await pg_house.registered("webauthn")) >= 1
    assert await consistent(pg_house)


# Their factor away


async def test_while_webauthn_is_away_all_else_goes_on(house: House) -> None:
    """O4: options and additions are turned away, and no other factor is."""
    ada = await (await house.visitor().join()).protect()
    key = await add_key(ada, Device())
    credential = Device().create(await options(ada))
    house.wires["webauthn"].break_down()

    flow, visit = house.flows.webauthn, await ada.visit()
    assert await unavailable(flow.options(visit, passwordless=False))
    assert await unavailable(add(ada, credential))
    assert await unavailable(rename(ada, key, "New"))
    assert names(await ada.authenticators()) == ["My key"]
    other = ada.elsewhere()
    pending = await other.log_in()
    assert isinstance(pending, Standing)
    assert pending.visit.pending is Stage.MFA_AUTHENTICATE
    passed = await other.authenticate(ada.otp())
    assert isinstance(passed, Standing)
    assert passed.visit.authenticated

    house.wires["webauthn"].restore()
    assert await consistent(house)
    assert await house.keys() == [key]


async def test_a_lost_key_is_removed_while_webauthn_is_away(house: House) -> None:
    """It counts no more from now on; the sweep has the factor forget it."""
    ada = await (await house.visitor().join()).protect()
    key = await add_key(ada, Device())
    house.wires["webauthn"].break_down()

    assert isinstance(await remove(ada, key), Removed)

    assert await house.registered("webauthn") == []
    assert isinstance(await ada.elsewhere().log_in(), Standing)
    house.wires["webauthn"].restore()
    assert await house.keys() == [key]
    assert await consistent(house)
    assert await house.keys() == []


@pytest.mark.parametrize("where", Cut)
async def test_an_addition_that_is_cut_off_leaves_nothing(house: House, where: Cut) -> None:
    """O4: what was made all the same is swept, and its id is not used again."""
    ada = await proved(house)
    credential = Device().create(await options(ada))
    house.wires["webauthn"].cut("POST", "complete", where)

    assert await unavailable(add(ada, credential))

    left = await house.keys()
    assert len(left) == (1 if where is Cut.AFTER else 0)
    login = await ada.elsewhere().log_in()
    assert isinstance(login, Standing)
    assert login.visit.authenticated
    added = await add(ada, Device().create(await options(ada)))
    assert isinstance(added, Enrolled)
    assert added.entry.id not in left
    assert await consistent(house)
    assert await house.keys() == [added.entry.id]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("writes", [0, 1])
async def test_a_process_that_dies_leaves_no_key_that_nobody_has(
    house: House, writes: int, at_once: bool
) -> None:
    """O4: whatever was half made counts in nothing, and no login waits for webauthn."""
    ada = await proved(house)
    visit, credential = await ada.visit(), Device().create(await options(ada))
    with pytest.raises(Crash):
        await house.mortal(writes, at_once=at_once).flows.webauthn.add(visit, None, credential)
    house.wires["webauthn"].break_down()
    house.clock.turn(seconds=LIVE.total_seconds())

    login = await ada.elsewhere().log_in()

    assert isinstance(login, Standing)
    assert login.visit.authenticated
    house.wires["webauthn"].restore()
    assert await consistent(house)
    assert await house.keys() == []


async def test_a_half_done_removal_is_carried_on(house: House) -> None:
    ada = await (await house.visitor().join()).protect()
    key = await add_key(ada, Device())
    visit = await ada.visit()
    with pytest.raises(Crash):
        await house.mortal(1).flows.webauthn.remove(visit, [key])
    house.clock.turn(seconds=LIVE.total_seconds())

    login = await ada.elsewhere().log_in()

    assert isinstance(login, Standing)
    assert login.visit.types == ("recovery_codes", "totp")
    assert await consistent(house)
    assert await house.keys() == []


# At once


async def test_parallel_additions_all_count_or_come_again(pg_house: House) -> None:
    """Two sessions, two devices, one account: none is lost that was told of."""
    ada = await proved(pg_house)
    async with second_replica(pg_house) as replica:
        other = ada.elsewhere(house=replica)
        await other.log_in()
        await other.reauthenticate()
        made = [(who, Device().create(await options(who))) for who in (ada, other)]
        outcomes = await asyncio.gather(
            *(add(who, credential) for who, credential in made), return_exceptions=True
        )

    told = [outcome.entry.id for outcome in outcomes if isinstance(outcome, Enrolled)]
    assert told
    assert sorted(await pg_house.registered("webauthn")) == sorted(told)
    assert await consistent(pg_house)


async def test_one_addition_asked_for_twice_makes_one_key(pg_house: House) -> None:
    ada = await proved(pg_house)
    visit, credential = await ada.visit(), Device().create(await options(ada))
    async with second_replica(pg_house) as replica:
        outcomes = await asyncio.gather(
            *(
                house.flows.webauthn.add(visit, None, credential)
                for house in (pg_house, replica) * 2
            ),
            return_exceptions=True,
        )

    assert sum(isinstance(outcome, Enrolled) for outcome in outcomes) == 1
    assert len(await pg_house.registered("webauthn")) == 1
    assert await consistent(pg_house)


async def add_other(
    visitor: Visitor, device: Device | None = None, *, lies: Lies = HONEST, passwordless: bool
) -> str:
    """Add a key of another device, where a fresh proof was given already; return its id."""
    asked = await options(visitor, passwordless=passwordless)
    added = await add(visitor, (device or Device()).create(asked, lies))
    assert isinstance(added, Enrolled)
    return added.entry.id


async def write_register(house: House, held: Json) -> None:
    """Write the only register behind the service's back."""
    assert await house.db.apply(step(REGISTER, register=json.dumps(held))) is not None
