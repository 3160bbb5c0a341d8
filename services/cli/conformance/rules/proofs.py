"""How proofs are judged: by what is registered, and once."""

import asyncio
import json
from typing import Any

from services.cli.conformance.bench import Bench, Reply, new_id
from services.cli.conformance.calls import VERIFY
from services.cli.conformance.person import Person, is_no_acceptance
from services.cli.conformance.verdicts import Broken, Skipped, expect
from shared.code_form import CodeForm
from shared.factor import MAX_AUTHENTICATORS, Purpose, Verification

AT_ONCE = 8
KNOWN = (Purpose.AUTHENTICATE, Purpose.REAUTHENTICATE)


async def a_right_proof_is_accepted(bench: Bench) -> None:
    """For every purpose, with whose it is, of which authenticator, and how it was proved."""
    ada = Person(bench)
    await ada.enrol()
    for purpose in KNOWN:
        judged = await ada.verify(await ada.prove(purpose), purpose=purpose)
        expect(judged.accepted, f"a right proof was refused ({purpose})")
        expect(judged.amr, "an acceptance does not say how it was proved (amr, RFC 8176)")


async def a_proof_is_good_once(bench: Bench) -> None:
    """The same again is refused, for that purpose and any other."""
    ada = Person(bench)
    await ada.enrol()
    proof = await ada.prove()
    expect((await ada.verify(proof)).accepted, "a right proof was refused")
    for purpose in KNOWN:
        again = await ada.verify(proof, purpose=purpose)
        expect(not again.accepted, f"a proof was accepted twice ({purpose})")


async def of_parallel_proofs_one_is_accepted(bench: Bench) -> None:
    """However many come at once with one proof, one of them wins, and the others are refused."""
    ada = Person(bench)
    await ada.enrol()
    for _ in range(bench.subject.rounds):
        proof = await ada.prove()
        judged = await asyncio.gather(*(ada.verify(proof) for _ in range(AT_ONCE)))
        won = sum(judgement.accepted for judgement in judged)
        expect(won == 1, f"{AT_ONCE} requests with one proof at once: {won} were accepted")


async def the_proof_that_enrolled_is_spent(bench: Bench) -> None:
    """What has completed an enrolment passes no login."""
    ada = Person(bench)
    await ada.enrol()
    reply = await ada.verifying(ada.proof)
    is_no_acceptance(reply, of="the proof that completed an enrolment", statuses=(400,))


async def a_wrong_proof_is_an_answer(bench: Bench) -> None:
    """It is refused by 200 with accepted: false, so that the attempt is counted."""
    ada, bob = Person(bench), Person(bench)
    await ada.enrol()
    await bob.enrol()
    judged = await ada.verify(await ada.prove(by=bob))
    expect(not judged.accepted, "a proof of another device was accepted")
    expect(not judged.changed, "a refusal tells of something that it changed")


async def refusals_are_alike(bench: Bench) -> None:
    """Whoever guesses is not told what was wrong: used, unknown and not asked for look the same."""
    ada, bob = Person(bench), Person(bench)
    await ada.enrol()
    await bob.enrol()
    used = await ada.prove()
    expect((await ada.verify(used)).accepted, "a right proof was refused")
    told = {
        "one that was used": await ada.verifying(used),
        "one of another device": await ada.verifying(await ada.prove(by=bob)),
        "one that nothing is registered for": await ada.verifying(await ada.prove(), []),
    }
    bodies = {what: _without_signal(reply) for what, reply in told.items()}
    expect(
        len(set(bodies.values())) == 1,
        f"what was wrong with a proof can be told from the refusal: {', '.join(bodies)}",
    )


async def what_is_not_registered_is_not_judged(bench: Bench) -> None:
    """Only what the register holds counts: a right proof of anything else is refused."""
    ada = Person(bench)
    beside = Person(bench, beside=ada)
    await ada.enrol()
    await beside.enrol()
    for asked in ([], [new_id()], [beside.id]):
        judged = await ada.verify(await ada.prove(), asked)
        expect(not judged.accepted, "a proof passed that no registered authenticator made")


async def the_authenticator_that_proved_is_named(bench: Bench) -> None:
    """Of several that are registered, in whatever order."""
    ada = Person(bench)
    beside = Person(bench, beside=ada)
    await ada.enrol()
    await beside.enrol()
    both = [ada.id, beside.id]
    for asked in (both, both[::-1]):
        for person in (ada, beside):
            judged = await person.verify(await person.prove(), asked)
            expect(judged.accepted, "a right proof was refused where several are registered")
            named = judged.authenticator_id == person.id
            expect(named, "another authenticator is named than the one that proved")


async def up_to_a_hundred_may_be_registered(bench: Bench) -> None:
    """Among a hundred ids the right one is found; more are 400."""
    ada = Person(bench)
    await ada.enrol()
    others = [new_id() for _ in range(MAX_AUTHENTICATORS)]
    judged = await ada.verify(await ada.prove(), [*others[1:], ada.id])
    expect(judged.accepted, "a right proof was refused among a hundred registered ids")
    reply = await ada.verifying(await ada.prove(), [*others, ada.id])
    reply.is_refused(400, of="a hundred and one ids")


async def an_attempt_names_what_it_is_judged_against(bench: Bench) -> None:
    """About a person, no `authenticators` never means all of them."""
    ada = Person(bench)
    await ada.enrol()
    for purpose in Purpose:
        proof = await ada.prove()
        body = {"session_id": ada.session_id, "purpose": purpose.value, "proof": dict(proof)}
        for left_out in (body, body | {"authenticators": None}):
            reply = await ada.call(VERIFY, left_out)
            is_no_acceptance(reply, of="an attempt at all authenticators", statuses=(400,))


async def the_form_of_codes_is_told(bench: Bench) -> None:
    """A code fits the `code_form` of its authenticator, or session would not send it."""
    ada = Person(bench)
    made = await ada.enrol()
    told = made.facts.get("code_form")
    code = (await ada.prove()).get("code")
    if told is None:
        reason = "codes of every form are sent to it" if isinstance(code, str) else "it has none"
        raise Skipped(f"no `code_form` is told: {reason}")
    try:
        form = CodeForm.parse(str(told))
    except ValueError as error:
        raise Broken(f"`code_form`: {error}") from None
    fits = isinstance(code, str) and form.normalise(code) is not None
    expect(fits, f"a right code has another form than `code_form` tells ({told})")


async def changes_are_told(bench: Bench) -> None:
    """What a use has changed of the facts is in `changed`: session does not ask again."""
    ada = Person(bench)
    await ada.enrol()
    before = await _facts(ada)
    judged = await ada.verify(await ada.prove())
    expect(judged.accepted, "a right proof was refused")
    after = await _facts(ada)
    differing = sorted(
        name
        for name in before.keys() | after.keys() | judged.changed.keys()
        if {**before, **judged.changed}.get(name) != after.get(name)
    )
    expect(not differing, f"facts are otherwise than `changed` told: {', '.join(differing)}")


async def _facts(person: Person) -> dict[str, Any]:
    found = [a.facts for a in (await person.listed()).authenticators if a.id == person.id]
    expect(len(found) == 1, "an authenticator is not listed once")
    return dict(found[0])


def _without_signal(reply: Reply) -> str:
    """Return a refusal as text, less what the person's own browser is told of a credential."""
    expect(not reply.holds(Verification).accepted, "a proof was accepted that is good no more")
    document = reply.response.json()
    facts = document.get("facts")
    if isinstance(facts, dict):
        facts.pop("signal", None)
    return json.dumps(document, sort_keys=True)


RULES = (
    a_right_proof_is_accepted,
    a_proof_is_good_once,
    of_parallel_proofs_one_is_accepted,
    the_proof_that_enrolled_is_spent,
    a_wrong_proof_is_an_answer,
    refusals_are_alike,
    what_is_not_registered_is_not_judged,
    the_authenticator_that_proved_is_named,
    up_to_a_hundred_may_be_registered,
    an_attempt_names_what_it_is_judged_against,
    the_form_of_codes_is_told,
    changes_are_told,
)
