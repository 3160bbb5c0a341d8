"""How authenticators come to be."""

import asyncio

from services.cli.conformance.bench import Bench, Reply, new_id
from services.cli.conformance.calls import LIST
from services.cli.conformance.person import Person, asked, is_no_acceptance
from services.cli.conformance.verdicts import Skipped, expect
from shared.factor import Authenticator, EnrolmentResult

AT_ONCE = 8
MAX_NAME = 100  # characters


async def a_beginning_is_an_offer(bench: Bench) -> None:
    """What is to be shown comes under the id that was asked for, and has a time to end."""
    ada = Person(bench)
    offer = await ada.begin()
    expect(offer.id == ada.id, "the offer is of another enrolment than was begun")
    now = bench.subject.clock().timestamp()
    expect(offer.expires_at > now, "the offer had expired when it was made")
    expect(not await ada.ids(), "an enrolment counts that was only begun")


async def of_two_offers_the_last_counts(bench: Bench) -> None:
    """Beginning again takes the place of what was begun, with something new to show."""
    ada = Person(bench)
    first = await ada.begin()
    stale = await asked(lambda: ada.device.register(first.display))
    second = await ada.begin()
    if not ada.device.enrols_by_proof:
        raise Skipped("nothing is proved when an authenticator is made")
    expect(first.display != second.display, "beginning again shows the same again")
    is_no_acceptance(await ada.completing(stale), of="a proof for an offer that was replaced")
    bob = Person(bench)
    await bob.begin()
    await bob.enrol()


async def an_offer_of_another_id_takes_the_place_too(bench: Bench) -> None:
    """A session has one enrolment at a time: what it began before under another id is over."""
    ada = Person(bench)
    _needs_proof(ada)
    stale = await ada.register()
    beside = Person(bench, beside=ada)
    await beside.begin()
    is_no_acceptance(await ada.completing(stale), of="a proof for an enrolment that was replaced")
    expect(not await ada.ids(), "an enrolment that was replaced has made an authenticator")


async def a_right_proof_makes_the_authenticator(bench: Bench) -> None:
    """The authenticator has the id of its enrolment, the type that is known, and a time."""
    ada = Person(bench)
    made = await ada.enrol()
    expect(made.id == ada.id, "the authenticator has another id than its enrolment")
    kind = bench.subject.type
    expect(made.type == kind, f"the authenticator is of the type {made.type}, not {kind}")
    now = bench.subject.clock().timestamp()
    expect(abs(now - made.created_at) < 300, "it was made at another time than now")  # noqa: PLR2004
    (listed,) = (await ada.listed()).authenticators or (None,)
    expect(listed is not None, "an authenticator that was made is not listed")
    expect(listed == made, "it is listed otherwise than it was answered when it was made")


async def completing_is_repeatable(bench: Bench) -> None:
    """An answer may be lost: the same proof gets the same authenticator again, and no other."""
    ada = Person(bench)
    made = await ada.enrol()
    again = (await ada.completing(ada.proof)).holds(EnrolmentResult)
    expect(again.accepted, "the proof that made an authenticator is refused when it is repeated")
    same = again.authenticator is not None and _core(again.authenticator) == _core(made)
    expect(same, "completing again answers another authenticator")
    expect(await ada.ids() == [ada.id], "completing again has made another authenticator")


async def a_wrong_proof_makes_nothing(bench: Bench) -> None:
    """It is an answer: 200 with accepted: false."""
    ada, bob = Person(bench), Person(bench)
    _needs_proof(ada)
    await ada.begin()
    wrong = await bob.register()
    result = (await ada.completing(wrong)).holds(EnrolmentResult)
    expect(not result.accepted, "a wrong proof completed an enrolment")
    expect(result.authenticator is None, "a refusal came with an authenticator")
    expect(not result.display, "a refusal came with something to show")
    expect(not await ada.ids(), "a wrong proof has made an authenticator")


async def what_was_not_begun_is_not_there(bench: Bench) -> None:
    """Completing an enrolment that nobody began is 404."""
    ada, bob = Person(bench), Person(bench)
    _needs_proof(ada)
    proof = await bob.register()
    (await ada.completing(proof)).is_refused(404, of="an enrolment that was not begun")
    expect(not await ada.ids(), "an enrolment that was not begun has made an authenticator")


async def an_enrolment_is_of_its_session(bench: Bench) -> None:
    """The secret was shown in one session, and is enrolled there or nowhere."""
    ada = Person(bench)
    _needs_proof(ada)
    proof = await ada.register()
    reply = await ada.completing(proof, session_id=new_id())
    is_no_acceptance(reply, of="a proof from another session")
    expect(not await ada.ids(), "another session has made an authenticator")


async def an_enrolment_is_of_its_person(bench: Bench) -> None:
    """Nobody enrols what was shown to somebody else, even in a session of the same id."""
    ada, bob = Person(bench), Person(bench)
    _needs_proof(ada)
    proof = await ada.register()
    bob.id, bob.session_id = ada.id, ada.session_id
    is_no_acceptance(await bob.completing(proof), of="a proof of another person")
    expect(not await bob.ids(), "somebody has enrolled what was shown to somebody else")


async def an_id_that_is_taken_stays(bench: Bench) -> None:
    """What one person has enrolled, nobody else begins or completes over."""
    ada, bob = Person(bench), Person(bench)
    await ada.enrol()
    bob.id = ada.id
    _is_conflict_or_nothing(await bob.beginning())
    is_no_acceptance(await bob.completing(ada.proof), of="an id that is taken", statuses=(404, 409))
    expect(not await bob.ids(), "an id that was taken has become another person's")
    await ada.still_proves()


async def beginning_again_changes_no_authenticator(bench: Bench) -> None:
    """Once it is completed there is nothing to begin: 409, or an offer that leads nowhere."""
    ada = Person(bench)
    await ada.enrol()
    _is_conflict_or_nothing(await ada.beginning())
    await ada.still_proves()


async def parallel_completions_make_one(bench: Bench) -> None:
    """However many come at once, there is one authenticator."""
    for _ in range(bench.subject.rounds):
        ada = Person(bench)
        proof = await ada.register()
        replies = await asyncio.gather(*(ada.completing(proof) for _ in range(AT_ONCE)))
        accepted = [reply for reply in replies if _is_accepted(reply)]
        expect(accepted, "none of several equal completions was accepted")
        expect(await ada.ids() == [ada.id], "equal completions made another number than one")


async def names_are_kept_or_refused(bench: Bench) -> None:
    """A name of up to 100 characters is kept, unless there are no names here (400)."""
    ada = Person(bench)
    proof = await ada.register()
    (await ada.completing(proof, name="n" * (MAX_NAME + 1))).is_refused(400, of="too long a name")
    reply = await ada.completing(proof, name="Kit")
    if reply.status == 400:  # noqa: PLR2004
        reply.is_refused(400, of="a name")
        raise Skipped("its authenticators have no names")
    made = reply.holds(EnrolmentResult).authenticator
    expect(made is not None and made.name == "Kit", "a name was taken and not kept")
    names = [authenticator.name for authenticator in (await ada.listed()).authenticators]
    expect(names == ["Kit"], "an authenticator is listed without its name")


async def secrets_are_shown_once(bench: Bench) -> None:
    """What was shown to be enrolled is in no later answer."""
    ada = Person(bench)
    await ada.enrol()
    secrets = ada.device.secrets
    if not secrets:
        raise Skipped("the prover names no secrets")
    replies = [
        await ada.completing(ada.proof),
        await ada.call(LIST),
        await ada.verifying(await ada.prove()),
    ]
    for reply in replies:
        shown = any(secret in reply.response.text for secret in secrets)
        expect(not shown, f"{reply.call} shows a secret again")


def _needs_proof(person: Person) -> None:
    if not person.device.enrols_by_proof:
        raise Skipped("nothing is proved when an authenticator is made")


def _core(made: Authenticator) -> tuple[object, ...]:
    return made.id, made.type, made.created_at, made.name


def _is_conflict_or_nothing(reply: Reply) -> None:
    reply.is_no_breakdown(of="an id that is taken")
    if reply.status != 200:  # noqa: PLR2004
        reply.is_refused(409, of="an id that is taken")


def _is_accepted(reply: Reply) -> bool:
    if reply.status in (404, 409):
        reply.is_refused(404, 409, of="one of several equal completions")
        return False
    return reply.holds(EnrolmentResult).accepted


RULES = (
    a_beginning_is_an_offer,
    of_two_offers_the_last_counts,
    an_offer_of_another_id_takes_the_place_too,
    a_right_proof_makes_the_authenticator,
    completing_is_repeatable,
    a_wrong_proof_makes_nothing,
    what_was_not_begun_is_not_there,
    an_enrolment_is_of_its_session,
    an_enrolment_is_of_its_person,
    an_id_that_is_taken_stays,
    beginning_again_changes_no_authenticator,
    parallel_completions_make_one,
    names_are_kept_or_refused,
    secrets_are_shown_once,
)
