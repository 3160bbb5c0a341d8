"""Whose things are whose, and what becomes of them."""

from services.cli.conformance.bench import Bench, Reply, new_id
from services.cli.conformance.calls import FORGET, REMOVE
from services.cli.conformance.person import Person, asked, is_no_acceptance
from services.cli.conformance.verdicts import expect


async def another_persons_proof_is_refused(bench: Bench) -> None:
    """Neither under the id of the other's authenticator nor under one's own."""
    ada, bob = Person(bench), Person(bench)
    await ada.enrol()
    await bob.enrol()
    for registered in ([ada.id], [bob.id], [ada.id, bob.id]):
        judged = await bob.verify(await bob.prove(by=ada), registered)
        expect(not judged.accepted, "somebody has passed by another person's proof")
    expect(await bob.ids() == [bob.id], "somebody is shown another person's authenticators")


async def removing_is_repeatable(bench: Bench) -> None:
    """It is 204, whether there was anything to remove or not."""
    ada = Person(bench)
    (await ada.call(REMOVE)).is_done()
    await ada.enrol()
    for _ in range(2):
        (await ada.call(REMOVE)).is_done()
    expect(not await ada.ids(), "an authenticator is listed that was removed")


async def what_is_removed_is_over(bench: Bench) -> None:
    """It proves nothing any more, and the proof that made it brings it back no more."""
    ada, beside = await _two(bench)
    (await ada.call(REMOVE)).is_done()
    judged = await ada.verify(await ada.prove())
    expect(not judged.accepted, "a removed authenticator was accepted")
    if ada.device.enrols_by_proof:
        is_no_acceptance(await ada.completing(ada.proof), of="an enrolment that was removed")
    expect(ada.id not in await ada.ids(), "what was removed has come back")
    await beside.still_proves()


async def a_pending_enrolment_is_removed(bench: Bench) -> None:
    """Removing reaches what was only begun, so that a change can be rolled back."""
    ada = Person(bench)
    proof = await ada.register()
    (await ada.call(REMOVE)).is_done()
    if ada.device.enrols_by_proof:
        is_no_acceptance(await ada.completing(proof), of="an enrolment that was removed")
    expect(not await ada.ids(), "an enrolment that was removed has made an authenticator")


async def nobody_removes_another_persons(bench: Bench) -> None:
    """An id under the wrong person names nothing."""
    ada, bob = Person(bench), Person(bench)
    await ada.enrol()
    reply = await bench.call(REMOVE, bob.user_id, ada.id)
    _is_nothing(reply, "another person's authenticator")
    await ada.still_proves()
    proof = await bob.register()
    reply = await bench.call(REMOVE, ada.user_id, bob.id)
    _is_nothing(reply, "another person's enrolment")
    completed = await bob.completing(proof)
    expect(completed.status != 404, "somebody has removed another person's enrolment")  # noqa: PLR2004


async def the_revision_follows_the_set(bench: Bench) -> None:
    """`revision` stays while the set does, and changes whenever that does."""
    ada = Person(bench)
    beside = Person(bench, beside=ada)
    revisions = [(await ada.listed()).revision]
    again = (await ada.listed()).revision
    expect(again == revisions[0], "the revision changes by itself")
    for person in (ada, beside):
        await person.enrol()
        revisions.append((await ada.listed()).revision)
    (await ada.call(REMOVE)).is_done()
    revisions.append((await ada.listed()).revision)
    expect(len(set(revisions)) == len(revisions), "the set has changed and the revision has not")


async def forgetting_is_repeatable(bench: Bench) -> None:
    """It is 204, whether there is anybody to forget or not."""
    ada = Person(bench)
    (await ada.call(FORGET)).is_done()
    await ada.enrol()
    for _ in range(2):
        (await ada.call(FORGET)).is_done()
    expect(not await ada.ids(), "an authenticator is listed of somebody who was forgotten")


async def forgetting_takes_everything(bench: Bench) -> None:
    """Authenticators and enrolments of a person go, and nothing of anybody else."""
    ada, bob = Person(bench), Person(bench)
    await ada.enrol()
    await bob.enrol()
    pending = Person(bench, beside=ada)
    pending.session_id = new_id()
    offer = await pending.begin()
    proof = await asked(lambda: pending.device.register(offer.display))
    (await ada.call(FORGET)).is_done()
    judged = await ada.verify(await ada.prove())
    expect(not judged.accepted, "somebody who was forgotten has proved themselves")
    if ada.device.enrols_by_proof:
        for person, last in ((ada, ada.proof), (pending, proof)):
            reply = await person.completing(last)
            is_no_acceptance(reply, of="an enrolment of somebody who was forgotten")
        expect(not await ada.ids(), "somebody who was forgotten has come back")
    await bob.still_proves()


async def _two(bench: Bench) -> tuple[Person, Person]:
    ada = Person(bench)
    beside = Person(bench, beside=ada)
    await ada.enrol()
    await beside.enrol()
    return ada, beside


def _is_nothing(reply: Reply, what: str) -> None:
    if reply.status != 204:  # noqa: PLR2004
        reply.is_refused(404, of=what)


RULES = (
    another_persons_proof_is_refused,
    removing_is_repeatable,
    what_is_removed_is_over,
    a_pending_enrolment_is_removed,
    nobody_removes_another_persons,
    the_revision_follows_the_set,
    forgetting_is_repeatable,
    forgetting_takes_everything,
)
