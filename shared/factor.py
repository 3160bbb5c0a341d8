"""The contract between session and every factor: what goes over the wire, and the client."""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Any, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, Field, JsonValue, StringConstraints, ValidationError

from shared.errors import Unavailable

Id = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
MAX_AUTHENTICATORS = 100  # of one person, in one attempt

A = TypeVar("A", bound="Answer")


class Question(BaseModel):
    """What session sends. Nothing is coerced, and no member is overlooked."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class Answer(BaseModel):
    """What a factor replies. Nothing is coerced.

    Members that session does not know are ignored, so that a factor can be renewed before it.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")


class Purpose(StrEnum):
    """What a proof is asked for. A challenge made for one is good for no other."""

    AUTHENTICATE = "authenticate"  # as the second factor of a login
    REAUTHENTICATE = "reauthenticate"
    LOGIN = "login"  # by this alone: nobody knows yet who it is


class Authenticator(Answer):
    """What is enrolled, without its secrets. Times are seconds since 1970.

    Of its `facts`, session heeds `code_form` (see `shared.code_form`): a code of another form is
    not sent to the factor. All others are kept as they are, for those who show them.
    """

    id: Id
    type: str
    created_at: float
    last_used_at: float | None = None
    name: str | None = None
    facts: dict[str, JsonValue] = {}


class Enrolled(Answer):
    """All authenticators of a person, oldest first; `revision` changes whenever the set does."""

    revision: str
    authenticators: list[Authenticator]

    @classmethod
    def of(cls, authenticators: Iterable[Authenticator]) -> "Enrolled":
        """Return the answer that lists `authenticators`."""
        listed = list(authenticators)
        ids = "\n".join(sorted(authenticator.id for authenticator in listed))
        return cls(revision=sha256(ids.encode()).hexdigest()[:16], authenticators=listed)


class BeginEnrolment(Question):
    """Asks for something to show. `session_id` is the internal id, which outlives its tokens."""

    session_id: Id
    account_name: str = Field(min_length=1, max_length=320)
    options: dict[str, JsonValue] = {}


class EnrolmentOffer(Answer):
    """What to show, and until when (seconds since 1970) the proof is awaited."""

    id: Id
    kind: str
    display: dict[str, JsonValue] = Field(repr=False)
    expires_at: float


class CompleteEnrolment(Question):
    """Proves that the person holds what was enrolled."""

    session_id: Id
    proof: dict[str, JsonValue] = Field(repr=False)
    name: str | None = Field(default=None, max_length=100)


class EnrolmentResult(Answer):
    """The new authenticator, if the proof was right. Its id is the id of the enrolment.

    `display` is what the person has to be shown now, such as codes to keep.
    """

    accepted: bool
    authenticator: Authenticator | None = None
    display: dict[str, JsonValue] = Field(default={}, repr=False)


class Revealed(Answer):
    """An authenticator, and of its secrets what may be shown (again): perhaps nothing."""

    authenticator: Authenticator
    display: dict[str, JsonValue] = Field(default={}, repr=False)


class Rename(Question):
    """What the person calls an authenticator from now on."""

    name: str = Field(min_length=1, max_length=100)


class BeginChallenge(Question):
    """Asks for something to be answered by one of these authenticators, or by anybody's.

    `authenticators` is None where the person is not known yet.
    """

    session_id: Id
    purpose: Purpose
    authenticators: list[Id] | None = Field(default=None, max_length=MAX_AUTHENTICATORS)
    options: dict[str, JsonValue] = {}


class ChallengeOffer(Answer):
    """What to show, and until when (seconds since 1970) the proof is awaited."""

    kind: str
    display: dict[str, JsonValue] = Field(repr=False)
    expires_at: float


class Attempt(Question):
    """A proof to be judged against these authenticators, and no others.

    `authenticators` is None where the proof itself has to tell who the person is.
    """

    session_id: Id
    purpose: Purpose
    authenticators: list[Id] | None = Field(default=None, max_length=MAX_AUTHENTICATORS)
    proof: dict[str, JsonValue] = Field(repr=False)


class Verification(Answer):
    """The judgement: if accepted, of whom, by which authenticator, and how (`amr`: RFC 8176).

    `facts` are of this use; `changed` are those facts of the authenticator that it has changed.
    """

    accepted: bool
    user_id: str | None = None
    authenticator_id: str | None = None
    amr: list[str] = []
    facts: dict[str, JsonValue] = {}
    changed: dict[str, JsonValue] = {}


class FactorClient:
    """Calls one factor. Everything raises Unavailable if it is away or answers nonsense.

    `http` comes from `shared.http.connect`, which turns refusals into `shared.errors`. No call is
    ever repeated here: a repeated verification reads as a replay.
    """

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def authenticators(self, user_id: str) -> Enrolled:
        """Return everything that the person has enrolled here."""
        return await self._ask(Enrolled, "GET", f"/v1/users/{user_id}/authenticators")

    async def begin(
        self,
        user_id: str,
        enrolment_id: str,
        *,
        session_id: str,
        account_name: str,
        options: Mapping[str, JsonValue] | None = None,
    ) -> EnrolmentOffer:
        """Open an enrolment in place of the session's last. Repeatable: only the last counts."""
        question = BeginEnrolment(
            session_id=session_id, account_name=account_name, options=dict(options or {})
        )
        path = f"/v1/users/{user_id}/enrolments/{enrolment_id}"
        return await self._ask(EnrolmentOffer, "PUT", path, question)

    async def complete(
        self,
        user_id: str,
        enrolment_id: str,
        *,
        session_id: str,
        proof: Mapping[str, JsonValue],
        name: str | None = None,
    ) -> EnrolmentResult:
        """Make the authenticator. Repeatable with the proof that made it.

        Raises NotFound if there is no such enrolment for this person and session, or no more. A
        factor that has nothing to prove makes it without an enrolment having been begun.
        """
        question = CompleteEnrolment(session_id=session_id, proof=dict(proof), name=name)
        path = f"/v1/users/{user_id}/enrolments/{enrolment_id}/complete"
        result = await self._ask(EnrolmentResult, "POST", path, question)
        if result.accepted != (result.authenticator is not None):
            raise _nonsense()
        return result

    async def remove(self, user_id: str, authenticator_id: str) -> None:
        """Remove an authenticator, or the enrolment of that id. Repeatable."""
        await self._http.delete(f"/v1/users/{user_id}/authenticators/{authenticator_id}")

    async def reveal(self, user_id: str, authenticator_id: str) -> Revealed:
        """Return what may be shown of an authenticator; whatever may be seen once is seen.

        Raises NotFound if there is none.
        """
        path = f"/v1/users/{user_id}/authenticators/{authenticator_id}/reveal"
        return await self._ask(Revealed, "POST", path)

    async def rename(self, user_id: str, authenticator_id: str, name: str) -> Authenticator:
        """Give an authenticator a name. Repeatable. Raises NotFound if there is none."""
        path = f"/v1/users/{user_id}/authenticators/{authenticator_id}"
        return await self._ask(Authenticator, "PATCH", path, Rename(name=name))

    async def challenge(
        self, user_id: str, *, authenticators: list[str], session_id: str, purpose: Purpose
    ) -> ChallengeOffer:
        """Have a challenge made that one of `authenticators` can answer, in this session alone."""
        question = BeginChallenge(
            session_id=session_id, purpose=purpose, authenticators=authenticators
        )
        return await self._ask(ChallengeOffer, "POST", f"/v1/users/{user_id}/challenges", question)

    async def challenge_anybody(self, *, session_id: str, purpose: Purpose) -> ChallengeOffer:
        """Have a challenge made for who is not known yet."""
        question = BeginChallenge(session_id=session_id, purpose=purpose)
        return await self._ask(ChallengeOffer, "POST", "/v1/challenges", question)

    async def verify(
        self,
        user_id: str,
        *,
        authenticators: list[str],
        proof: Mapping[str, JsonValue],
        session_id: str,
        purpose: Purpose,
    ) -> Verification:
        """Have a proof judged, once. What is accepted names one of `authenticators`."""
        question = Attempt(
            session_id=session_id,
            purpose=purpose,
            authenticators=authenticators,
            proof=dict(proof),
        )
        path = f"/v1/users/{user_id}/verifications"
        verification = await self._ask(Verification, "POST", path, question)
        if verification.accepted and (
            verification.user_id != user_id or verification.authenticator_id not in authenticators
        ):
            raise _nonsense()
        return verification

    async def verify_anybody(
        self, *, proof: Mapping[str, JsonValue], session_id: str, purpose: Purpose
    ) -> Verification:
        """Have a proof judged, once, that tells who the person is.

        What is accepted names both; whether that authenticator counts is for the caller to say.
        """
        question = Attempt(session_id=session_id, purpose=purpose, proof=dict(proof))
        verification = await self._ask(Verification, "POST", "/v1/verifications", question)
        if verification.accepted and not (verification.user_id and verification.authenticator_id):
            raise _nonsense()
        return verification

    async def forget(self, user_id: str) -> None:
        """Remove everything of a person. Repeatable."""
        await self._http.delete(f"/v1/users/{user_id}")

    async def ready(self) -> None:
        """Return if the factor answers at all."""
        await self._http.get("/v1/ready")

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _ask(
        self, kind: type[A], method: str, path: str, question: Question | None = None
    ) -> A:
        content: Any = None if question is None else question.model_dump_json()
        headers = None if question is None else {"content-type": "application/json"}
        response = await self._http.request(method, path, content=content, headers=headers)
        try:
            return kind.model_validate_json(response.content)
        except ValidationError:
            raise _nonsense() from None


def _nonsense() -> Unavailable:
    return Unavailable("A factor gave an answer that makes no sense.")
