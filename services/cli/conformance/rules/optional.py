"""Calls that not every factor has. What is there has to work; the rest is skipped."""

from typing import Any

from services.cli.conformance.bench import Bench, Reply, new_id
from services.cli.conformance.calls import (
    CHALLENGE,
    CHALLENGE_ANYBODY,
    RENAME,
    REVEAL,
    VERIFY_ANYBODY,
    Call,
)
from services.cli.conformance.device import Json
from services.cli.conformance.person import Person, asked, is_no_acceptance
from services.cli.conformance.verdicts import Skipped, expect
from shared.factor import Authenticator, ChallengeOffer, Purpose, Revealed, Verification

LATEST = 600.0  # seconds that a challenge may be open, and a little for clocks
OTHER = {
    Purpose.AUTHENTICATE: Purpose.REAUTHENTICATE,
    Purpose.REAUTHENTICATE: Purpose.AUTHENTICATE,
}


async def renaming_is_repeatable(bench: Bench) -> None:
    """The new name is answered and listed, and nobody renames another person's."""
    ada, bob = Person(bench), Person(bench)
    await ada.enrol()
    await _needs(RENAME, ada)
    for _ in range(2):
        renamed = (await ada.call(RENAME, {"name": "Kit 2"})).holds(Authenticator)
        expect(renamed.id == ada.id, "renaming answers another authenticator")
        expect(renamed.name == "Kit 2", "renaming answers another name")
    await _not_there(RENAME, ada, bob, {"name": "Stolen"})
    names = [authenticator.name for authenticator in (await ada.listed()).authenticators]
    expect(names == ["Kit 2"], "an authenticator is listed by another name than it was given")
    for name in ("", "n" * 101):
        (await ada.call(RENAME, {"name": name})).is_refused(400, of="a name of another length")


async def revealing_shows_ones_own(bench: Bench) -> None:
    """What may be shown is shown of the person's own authenticators, and of no others."""
    ada, bob = Person(bench), Person(bench)
    await ada.enrol()
    await _needs(REVEAL, ada)
    revealed = (await ada.call(REVEAL)).holds(Revealed)
    expect(revealed.authenticator.id == ada.id, "another authenticator was revealed")
    await _not_there(REVEAL, ada, bob, None)


async def challenges_end(bench: Bench) -> None:
    """A challenge is open for some minutes, and says until when."""
    ada = Person(bench)
    await ada.enrol()
    await _needs_challenges(bench)
    body = {"session_id": ada.session_id, "purpose": "authenticate", "authenticators": [ada.id]}
    offer = (await ada.call(CHALLENGE, body)).holds(ChallengeOffer)
    now = bench.subject.clock().timestamp()
    expect(
        now < offer.expires_at <= now + LATEST, "a challenge is open for too long, or not at all"
    )


async def challenges_are_of_their_session(bench: Bench) -> None:
    """What was shown in one session is answered in no other."""
    ada = Person(bench)
    await ada.enrol()
    await _needs_challenges(bench)
    proof = await ada.prove()
    elsewhere = new_id()
    await ada.challenge(session_id=elsewhere)
    judged = await ada.verify(proof, session_id=elsewhere)
    expect(not judged.accepted, "a challenge was answered in another session")


async def challenges_are_of_their_purpose(bench: Bench) -> None:
    """What was asked for one purpose is an answer for no other."""
    ada = Person(bench)
    await ada.enrol()
    await _needs_challenges(bench)
    for purpose, other in OTHER.items():
        judged = await ada.verify(await ada.prove(purpose), purpose=other)
        expect(not judged.accepted, f"a challenge to {purpose} was answered to {other}")


async def challenges_are_to_what_is_named(bench: Bench) -> None:
    """About a person, a challenge is for authenticators that are named."""
    ada = Person(bench)
    await ada.enrol()
    await _needs_challenges(bench)
    body = {"session_id": ada.session_id, "purpose": "authenticate"}
    reply = await ada.call(CHALLENGE, body)
    reply.is_refused(400, of="a challenge to a known person that names no authenticators")


async def who_proves_themselves_is_named(bench: Bench) -> None:
    """Where nobody is known, an acceptance names person and authenticator, once."""
    ada = Person(bench)
    await ada.enrol()
    proof = await _answer_to_anybody(bench, ada)
    session_id = ada.session_id
    judged = (await _login(bench, session_id, proof)).holds(Verification)
    expect(judged.accepted, "a right proof was refused where nobody was known")
    named = judged.user_id == ada.user_id and judged.authenticator_id == ada.id
    expect(named, "an acceptance names another person or authenticator than the one that proved")
    again = (await _login(bench, session_id, proof)).holds(Verification)
    expect(not again.accepted, "a proof was accepted twice where nobody was known")
    elsewhere = await _answer_to_anybody(bench, ada)
    reply = await _login(bench, new_id(), elsewhere)
    is_no_acceptance(reply, of="a challenge of another session")


async def where_nobody_is_known_nothing_else_passes(bench: Bench) -> None:
    """A proof for a login is judged by itself: no list, and no other purpose."""
    ada = Person(bench)
    await ada.enrol()
    for changes in ({"purpose": "authenticate"}, {"authenticators": [ada.id]}):
        proof = await _answer_to_anybody(bench, ada)
        reply = await _login(bench, ada.session_id, proof, **changes)
        is_no_acceptance(reply, of="a login that names somebody", statuses=(400,))


async def _answer_to_anybody(bench: Bench, person: Person) -> Json:
    body = {"session_id": person.session_id, "purpose": "login"}
    reply = await bench.call(CHALLENGE_ANYBODY, body=body)
    if reply.is_absence:
        raise Skipped("nobody is known by a proof alone")
    offer = reply.holds(ChallengeOffer)
    return await asked(lambda: person.device.prove(offer.display))


async def _login(bench: Bench, session_id: str, proof: Json, **changes: Any) -> Reply:
    body = {"session_id": session_id, "purpose": "login", "proof": dict(proof)} | changes
    return await bench.call(VERIFY_ANYBODY, body=body)


async def _needs(call: Call, person: Person) -> None:
    if not await person.bench.has(call, person.user_id, person.id):
        raise Skipped(f"it has no {call}")


async def _needs_challenges(bench: Bench) -> None:
    if not await bench.has_challenges():
        raise Skipped("proofs answer no challenge here")


async def _not_there(call: Call, owner: Person, other: Person, body: Json | None) -> None:
    for user_id, named in ((owner.user_id, new_id()), (other.user_id, owner.id)):
        reply = await owner.bench.call(call, user_id, named, body=body)
        reply.is_refused(404, of="what is not there, or another person's")


RULES = (
    renaming_is_repeatable,
    revealing_shows_ones_own,
    challenges_end,
    challenges_are_of_their_session,
    challenges_are_of_their_purpose,
    challenges_are_to_what_is_named,
    who_proves_themselves_is_named,
    where_nobody_is_known_nothing_else_passes,
)
