"""Recovery codes as a factor: the protocol of `shared.factor`."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from services.recovery.api.given import Codes, UserId
from services.recovery.domain.codes import (
    CodeSet,
    Policy,
    changed_by,
    facts_of,
)
from services.recovery.flows.codes import Shown
from shared.auth import admitted
from shared.errors import Malformed
from shared.factor import (
    Attempt,
    Authenticator,
    BeginEnrolment,
    CompleteEnrolment,
    Enrolled,
    EnrolmentOffer,
    EnrolmentResult,
    Id,
    Revealed,
    Verification,
)
from shared.http import describe_body, json_answer, json_body

router = APIRouter(dependencies=[Depends(admitted)])

EnrolmentId = Annotated[Id, Path()]
AuthenticatorId = Annotated[Id, Path()]


class CodeProof(BaseModel):
    """The proof that a code is. Any text may be tried; most of it is simply wrong."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    code: str = Field(repr=False)


class MakingProof(BaseModel):
    """What a new set takes: nothing is proved. `shown` if its codes are shown at once."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    shown: bool = False


# Routes are tried in this order, so the one that logins take is first.
@router.post(
    "/v1/users/{user_id}/verifications",
    response_model=Verification,
    openapi_extra=describe_body(Attempt),
)
async def verify(
    user_id: UserId,
    attempt: Annotated[Attempt, Depends(json_body(Attempt))],
    codes: Codes,
) -> Response:
    """Answer whether a code is right, once."""
    if attempt.authenticators is None:
        raise Malformed(
            "Codes do not tell whose they are.", code="required", field="authenticators"
        )
    judgement = await codes.verify(user_id, attempt.authenticators, _code(attempt.proof))
    # The audit trail tells a replay from a wrong code; the caller is not told.
    if judgement.use is None:
        return json_answer(Verification(accepted=False))
    verification = Verification(
        accepted=True,
        user_id=user_id,
        authenticator_id=judgement.use.set_id,
        amr=["otp"],  # RFC 8176 has no name for look-up secrets; each is a password for one time
        changed={**changed_by(codes.policy, judgement.use)},
    )
    return json_answer(verification)


@router.get("/v1/users/{user_id}/authenticators", response_model=Enrolled)
async def list_authenticators(user_id: UserId, codes: Codes) -> Response:
    """Answer what sets a person has, without codes."""
    kept = await codes.sets(user_id)
    return json_answer(Enrolled.of(_authenticator(code_set, codes.policy) for code_set in kept))


@router.put(
    "/v1/users/{user_id}/enrolments/{enrolment_id}",
    response_model=EnrolmentOffer,
    openapi_extra=describe_body(BeginEnrolment),
)
async def begin_enrolment(
    user_id: UserId,
    enrolment_id: EnrolmentId,
    question: Annotated[BeginEnrolment, Depends(json_body(BeginEnrolment))],
    codes: Codes,
) -> Response:
    """Answer that there is nothing to show yet. Nothing is kept: completing makes the set."""
    if question.options:
        raise Malformed("Codes have no options.", code="unknown_member", field="options")
    expires_at = codes.offered_until().timestamp()
    return json_answer(
        EnrolmentOffer(id=enrolment_id, kind="codes", display={}, expires_at=expires_at)
    )


@router.post(
    "/v1/users/{user_id}/enrolments/{enrolment_id}/complete",
    response_model=EnrolmentResult,
    openapi_extra=describe_body(CompleteEnrolment),
)
async def complete_enrolment(
    user_id: UserId,
    enrolment_id: EnrolmentId,
    question: Annotated[CompleteEnrolment, Depends(json_body(CompleteEnrolment))],
    codes: Codes,
) -> Response:
    """Answer the new set, and its codes if they are `shown`."""
    if question.name is not None:
        raise Malformed("Codes have no name.", code="invalid", field="name")
    shown = _shown(question.proof)
    made = await codes.make(user_id, enrolment_id, question.session_id, shown=shown)
    result = EnrolmentResult(
        accepted=True,
        authenticator=_authenticator(made.set, codes.policy),
        display=_display(made),
    )
    return json_answer(result)


@router.post(
    "/v1/users/{user_id}/authenticators/{authenticator_id}/reveal", response_model=Revealed
)
async def reveal_authenticator(
    user_id: UserId, authenticator_id: AuthenticatorId, codes: Codes
) -> Response:
    """Answer the unused codes of a set, if they may be seen (again)."""
    revealed = await codes.reveal(user_id, authenticator_id)
    authenticator = _authenticator(revealed.set, codes.policy)
    return json_answer(Revealed(authenticator=authenticator, display=_display(revealed)))


@router.delete("/v1/users/{user_id}/authenticators/{authenticator_id}", status_code=204)
async def remove_authenticator(
    user_id: UserId, authenticator_id: AuthenticatorId, codes: Codes
) -> Response:
    """Remove a set, or make sure that there is none."""
    await codes.remove(user_id, authenticator_id)
    return Response(status_code=204)


def _code(proof: dict[str, JsonValue]) -> str:
    try:
        return CodeProof.model_validate(proof).code
    except ValidationError:
        raise Malformed(
            'The proof must be {"code": "…"}.', code="invalid", field="proof.code"
        ) from None


def _shown(proof: dict[str, JsonValue]) -> bool:
    try:
        return MakingProof.model_validate(proof).shown
    except ValidationError:
        raise Malformed(
            'The proof must be {} or {"shown": true}.', code="invalid", field="proof"
        ) from None


def _display(shown: Shown) -> dict[str, JsonValue]:
    """Return the unused codes as people read them, or nothing if they may not be seen."""
    return {} if shown.codes is None else {"codes": [*shown.codes]}


def _authenticator(kept: CodeSet, policy: Policy) -> Authenticator:
    used = kept.last_used_at
    return Authenticator(
        id=kept.id,
        type="recovery_codes",
        created_at=kept.created_at.timestamp(),
        last_used_at=None if used is None else used.timestamp(),
        facts={**facts_of(policy, kept)},
    )
