"""The calls of the factor protocol: the one list that the document and the rules are made from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.factor import (
    Answer,
    Attempt,
    Authenticator,
    BeginChallenge,
    BeginEnrolment,
    ChallengeOffer,
    CompleteEnrolment,
    Enrolled,
    EnrolmentOffer,
    EnrolmentResult,
    Question,
    Rename,
    Revealed,
    Verification,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """One call. Without an `answer` success is 204; `problems` are its own kinds of refusal.

    A factor leaves out an `optional` one by answering 404 or 405, as it does of any other path.
    """

    name: str
    method: str
    path: str
    summary: str
    question: type[Question] | None = None
    answer: type[Answer] | None = None
    optional: bool = False
    problems: Mapping[int, str] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def to(self, user_id: str, id: str) -> str:
        """Return the path for a person, and an enrolment or authenticator."""
        return self.path.format(user_id=user_id, enrolment_id=id, authenticator_id=id)


NOT_THERE = "There is none of this person's."

READY = Call(
    name="ready",
    method="GET",
    path="/v1/ready",
    summary="Tell that the credential is good and that the factor works",
)
LIST = Call(
    name="list",
    method="GET",
    path="/v1/users/{user_id}/authenticators",
    summary="What a person has enrolled, without secrets",
    answer=Enrolled,
)
BEGIN = Call(
    name="begin",
    method="PUT",
    path="/v1/users/{user_id}/enrolments/{enrolment_id}",
    summary="Begin an enrolment in place of the session's last one",
    question=BeginEnrolment,
    answer=EnrolmentOffer,
    problems={409: "The id is taken, or what it names is completed."},
)
COMPLETE = Call(
    name="complete",
    method="POST",
    path="/v1/users/{user_id}/enrolments/{enrolment_id}/complete",
    summary="Make the authenticator, if the proof is right",
    question=CompleteEnrolment,
    answer=EnrolmentResult,
    problems={
        404: "This person and session have no such enrolment, or no more.",
        409: "The id is taken.",
    },
)
RENAME = Call(
    name="rename",
    method="PATCH",
    path="/v1/users/{user_id}/authenticators/{authenticator_id}",
    summary="Give an authenticator another name",
    question=Rename,
    answer=Authenticator,
    optional=True,
    problems={404: NOT_THERE},
)
REMOVE = Call(
    name="remove",
    method="DELETE",
    path="/v1/users/{user_id}/authenticators/{authenticator_id}",
    summary="Remove an authenticator, and the enrolment of that id",
)
REVEAL = Call(
    name="reveal",
    method="POST",
    path="/v1/users/{user_id}/authenticators/{authenticator_id}/reveal",
    summary="What may be shown of an authenticator, perhaps once",
    answer=Revealed,
    optional=True,
    problems={404: NOT_THERE},
)
CHALLENGE = Call(
    name="challenge",
    method="POST",
    path="/v1/users/{user_id}/challenges",
    summary="Make a challenge that one of these authenticators can answer",
    question=BeginChallenge,
    answer=ChallengeOffer,
    optional=True,
)
VERIFY = Call(
    name="verify",
    method="POST",
    path="/v1/users/{user_id}/verifications",
    summary="Judge a proof against these authenticators, once",
    question=Attempt,
    answer=Verification,
)
CHALLENGE_ANYBODY = Call(
    name="challenge_anybody",
    method="POST",
    path="/v1/challenges",
    summary="Make a challenge for who is not known yet",
    question=BeginChallenge,
    answer=ChallengeOffer,
    optional=True,
)
VERIFY_ANYBODY = Call(
    name="verify_anybody",
    method="POST",
    path="/v1/verifications",
    summary="Judge a proof that tells who the person is, once",
    question=Attempt,
    answer=Verification,
    optional=True,
)
FORGET = Call(
    name="forget",
    method="DELETE",
    path="/v1/users/{user_id}",
    summary="Remove everything of a person",
)

CALLS = (
    READY,
    LIST,
    BEGIN,
    COMPLETE,
    RENAME,
    REMOVE,
    REVEAL,
    CHALLENGE,
    VERIFY,
    CHALLENGE_ANYBODY,
    VERIFY_ANYBODY,
    FORGET,
)
"""All of them, in the order in which an authenticator lives through them."""

ASKING = tuple(call for call in CALLS if call.question is not None)
"""Those with a body."""


def sample(call: Call) -> dict[str, Any]:
    """Return a body that is well formed, and of which nothing is true."""
    session, ids = {"session_id": "s" * 64}, ["a" * 64]
    bodies: dict[str, dict[str, Any]] = {
        "begin": {**session, "account_name": "ada@example.org"},
        "complete": {**session, "proof": {}},
        "rename": {"name": "Key"},
        "challenge": {**session, "purpose": "authenticate", "authenticators": ids},
        "verify": {**session, "purpose": "authenticate", "authenticators": ids, "proof": {}},
        "challenge_anybody": {**session, "purpose": "login"},
        "verify_anybody": {**session, "purpose": "login", "proof": {}},
    }
    return bodies[call.name]
