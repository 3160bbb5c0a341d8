"""Somebody who enrols, proves and is refused: the steps that most rules share."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from services.cli.conformance.bench import Bench, Reply, new_id
from services.cli.conformance.calls import (
    BEGIN,
    CHALLENGE,
    COMPLETE,
    LIST,
    VERIFY,
    VERIFY_ANYBODY,
    Call,
)
from services.cli.conformance.device import Device, DeviceError, Json
from services.cli.conformance.verdicts import Broken, Skipped, expect
from shared.factor import (
    Authenticator,
    ChallengeOffer,
    Enrolled,
    EnrolmentOffer,
    EnrolmentResult,
    Purpose,
    Verification,
)

T = TypeVar("T")


class Person:
    """A person in one session, with one device, known to nobody yet.

    `beside` is somebody who is the same person in the same session, with another device.
    """

    def __init__(self, bench: Bench, beside: "Person | None" = None) -> None:
        make = bench.subject.device
        if make is None:
            raise Skipped("it takes a prover, and none was named")
        self.bench = bench
        self.device: Device = bench.holding(make())
        self.user_id: str = bench.new_user() if beside is None else beside.user_id
        self.session_id: str = new_id() if beside is None else beside.session_id
        self.id = new_id()
        self.proof: Json = {}  # the one that has completed the enrolment

    async def begin(self) -> EnrolmentOffer:
        """Begin the enrolment."""
        return (await self.beginning()).holds(EnrolmentOffer)

    async def beginning(self, *, session_id: str | None = None) -> Reply:
        """Begin the enrolment, however that is answered."""
        body = {
            "session_id": session_id or self.session_id,
            "account_name": "ada@example.org",
            "options": dict(self.device.options),
        }
        return await self.call(BEGIN, body)

    async def completing(
        self, proof: Json, *, session_id: str | None = None, name: str | None = None
    ) -> Reply:
        """Complete the enrolment, however that is answered."""
        body: dict[str, Any] = {"session_id": session_id or self.session_id, "proof": dict(proof)}
        return await self.call(COMPLETE, body if name is None else body | {"name": name})

    async def register(self) -> Json:
        """Begin the enrolment, and return the proof that completes it."""
        offer = await self.begin()
        return await asked(lambda: self.device.register(offer.display))

    async def enrol(self) -> Authenticator:
        """Go through an enrolment, and return the authenticator."""
        self.proof = await self.register()
        result = (await self.completing(self.proof)).holds(EnrolmentResult)
        made = result.authenticator
        if not result.accepted or made is None:
            raise Broken("the right proof did not complete an enrolment")
        await asked(lambda: self.device.keep(result.display))
        return made

    async def listed(self) -> Enrolled:
        """Return what the factor has of the person."""
        return (await self.call(LIST)).holds(Enrolled)

    async def ids(self) -> list[str]:
        """Return the ids of what the factor has of the person."""
        return [authenticator.id for authenticator in (await self.listed()).authenticators]

    async def challenge(
        self, purpose: Purpose = Purpose.AUTHENTICATE, *, session_id: str | None = None
    ) -> Json | None:
        """Return what is shown to be answered, or None where proofs answer nothing."""
        if not await self.bench.has_challenges():
            return None
        body = {
            "session_id": session_id or self.session_id,
            "purpose": purpose.value,
            "authenticators": [self.id],
        }
        return (await self.call(CHALLENGE, body)).holds(ChallengeOffer).display

    async def prove(
        self,
        purpose: Purpose = Purpose.AUTHENTICATE,
        *,
        by: "Person | None" = None,
    ) -> Json:
        """Return a fresh right proof of this person's, or one that somebody else's device makes."""
        challenge = await self.challenge(purpose)
        device = (by or self).device
        return await asked(lambda: device.prove(challenge))

    async def verifying(
        self,
        proof: Json,
        authenticators: list[str] | None = None,
        *,
        purpose: Purpose = Purpose.AUTHENTICATE,
        session_id: str | None = None,
    ) -> Reply:
        """Have a proof judged, by default against the person's own, however that is answered."""
        body = {
            "session_id": session_id or self.session_id,
            "purpose": purpose.value,
            "authenticators": [self.id] if authenticators is None else authenticators,
            "proof": dict(proof),
        }
        return await self.call(VERIFY, body)

    async def verify(
        self,
        proof: Json,
        authenticators: list[str] | None = None,
        *,
        purpose: Purpose = Purpose.AUTHENTICATE,
        session_id: str | None = None,
    ) -> Verification:
        """Have a proof judged, and return the judgement."""
        reply = await self.verifying(proof, authenticators, purpose=purpose, session_id=session_id)
        judged = reply.holds(Verification)
        asked_of = [self.id] if authenticators is None else authenticators
        if judged.accepted:
            named = judged.user_id == self.user_id and judged.authenticator_id in asked_of
            expect(named, "an acceptance names somebody else, or what it was not asked about")
        else:
            nobody = judged.user_id is None and judged.authenticator_id is None and not judged.amr
            expect(nobody, "a refusal names somebody, or how they proved themselves")
        return judged

    async def still_proves(self) -> None:
        """Be sure that the authenticator is there and good."""
        expect(self.id in await self.ids(), "an authenticator is gone that nobody removed")
        judged = await self.verify(await self.prove())
        expect(judged.accepted, "a right proof of an authenticator that stands was refused")

    async def call(self, call: Call, body: Mapping[str, Any] | None = None) -> Reply:
        """Make a call about this person and authenticator."""
        return await self.bench.call(call, self.user_id, self.id, body=body)


async def asked(question: Callable[[], Awaitable[T]]) -> T:
    """Return what a device answers. Whatever it raises is its own fault, not the factor's."""
    try:
        return await question()
    except DeviceError:
        raise
    except Exception as error:
        raise DeviceError(f"the device raised {type(error).__name__}: {error}") from error


def is_no_acceptance(reply: Reply, *, of: str, statuses: tuple[int, ...] = (404,)) -> None:
    """Be sure that `of` was refused: by an answer, or by one of `statuses`."""
    if reply.status in statuses:
        reply.is_refused(*statuses, of=of)
        return
    judges = reply.call in (VERIFY, VERIFY_ANYBODY)
    accepted = (
        reply.holds(Verification).accepted if judges else reply.holds(EnrolmentResult).accepted
    )
    expect(not accepted, f"{reply.call} accepted {of}")
