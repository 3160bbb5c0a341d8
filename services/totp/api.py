"""The HTTP edge: read the request, call one flow, shape the answer."""

from typing import Annotated, cast

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from services.totp.domain.codes import Verdict
from services.totp.flows import TotpFlows
from services.totp.store import Authenticator as Kept
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
    Verification,
)
from shared.http import describe_body, json_answer, json_body

router = APIRouter(dependencies=[Depends(admitted)])


async def get_flows(request: Request) -> TotpFlows:
    """Return the flows that `main` has built."""
    return cast("TotpFlows", request.app.state.flows)


Flows = Annotated[TotpFlows, Depends(get_flows)]
UserId = Annotated[Id, Path()]
EnrolmentId = Annotated[Id, Path()]
AuthenticatorId = Annotated[Id, Path()]


class CodeProof(BaseModel):
    """The proof that this factor takes. Any text may be tried; most of it is simply wrong."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    code: str = Field(repr=False)


# Routes are tried in this order, so the one that every login takes is first.
@router.post(
    "/v1/users/{user_id}/verifications",
    response_model=Verification,
    openapi_extra=describe_body(Attempt),
)
async def verify(
    user_id: UserId,
    attempt: Annotated[Attempt, Depends(json_body(Attempt))],
    flows: Flows,
) -> Response:
    """Answer whether a code is right, once."""
    if attempt.authenticators is None:
        raise Malformed(
            "A code does not tell whose it is.", code="required", field="authenticators"
        )
    judgement = await flows.verify(user_id, attempt.authenticators, _code(attempt.proof))
    # The audit trail tells a replay from a wrong code; the caller is not told.
    if judgement.verdict is not Verdict.ACCEPTED:
        return json_answer(Verification(accepted=False))
    verification = Verification(
        accepted=True,
        user_id=user_id,
        authenticator_id=judgement.authenticator_id,
        amr=["otp"],
    )
    return json_answer(verification)


@router.get("/v1/ready", status_code=204)
async def ready(flows: Flows) -> Response:
    """Tell a caller that its credential is good and that the service works."""
    await flows.ready()
    return Response(status_code=204)


@router.get("/v1/users/{user_id}/authenticators", response_model=Enrolled)
async def list_authenticators(user_id: UserId, flows: Flows) -> Response:
    """Answer what a person has enrolled, without secrets."""
    kept = await flows.authenticators(user_id)
    return json_answer(Enrolled.of(_shown(authenticator, flows) for authenticator in kept))


@router.put(
    "/v1/users/{user_id}/enrolments/{enrolment_id}",
    response_model=EnrolmentOffer,
    openapi_extra=describe_body(BeginEnrolment),
)
async def begin_enrolment(
    user_id: UserId,
    enrolment_id: EnrolmentId,
    question: Annotated[BeginEnrolment, Depends(json_body(BeginEnrolment))],
    flows: Flows,
) -> Response:
    """Answer a new secret to set up a device with."""
    if question.options:
        raise Malformed("TOTP has no options.", code="unknown_member", field="options")
    offer = await flows.begin(user_id, enrolment_id, question.session_id, question.account_name)
    answer = EnrolmentOffer(
        id=offer.enrolment_id,
        kind="code",
        display={"secret": offer.secret, "totp_url": offer.url, "totp_svg": offer.svg},
        expires_at=offer.expires_at.timestamp(),
    )
    return json_answer(answer)


@router.post(
    "/v1/users/{user_id}/enrolments/{enrolment_id}/complete",
    response_model=EnrolmentResult,
    openapi_extra=describe_body(CompleteEnrolment),
)
async def complete_enrolment(
    user_id: UserId,
    enrolment_id: EnrolmentId,
    question: Annotated[CompleteEnrolment, Depends(json_body(CompleteEnrolment))],
    flows: Flows,
) -> Response:
    """Answer the new authenticator, if the code is right."""
    code = _code(question.proof)
    made = await flows.complete(user_id, enrolment_id, question.session_id, code, question.name)
    authenticator = None if made is None else _shown(made, flows)
    return json_answer(EnrolmentResult(accepted=made is not None, authenticator=authenticator))


@router.delete("/v1/users/{user_id}/authenticators/{authenticator_id}", status_code=204)
async def remove_authenticator(
    user_id: UserId, authenticator_id: AuthenticatorId, flows: Flows
) -> Response:
    """Remove an authenticator, or make sure that there is none."""
    await flows.remove(user_id, authenticator_id)
    return Response(status_code=204)


@router.delete("/v1/users/{user_id}", status_code=204)
async def forget_user(user_id: UserId, flows: Flows) -> Response:
    """Remove everything of a person."""
    await flows.forget(user_id)
    return Response(status_code=204)


def _code(proof: dict[str, JsonValue]) -> str:
    try:
        return CodeProof.model_validate(proof).code
    except ValidationError:
        raise Malformed(
            'The proof must be {"code": "…"}.', code="invalid", field="proof.code"
        ) from None


def _shown(kept: Kept, flows: TotpFlows) -> Authenticator:
    used, form = kept.last_used_at, flows.code_form(kept)
    return Authenticator(
        id=kept.id,
        type="totp",
        created_at=kept.created_at.timestamp(),
        last_used_at=None if used is None else used.timestamp(),
        name=kept.name,
        facts={} if form is None else {"code_form": str(form)},
    )
