"""The HTTP edge: read the request, call one flow, shape the answer."""

from typing import Annotated, Any, TypeVar, cast

from fastapi import APIRouter, Depends, Path, Request, Response
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError

from services.webauthn.domain.assertion import amr
from services.webauthn.domain.encoding import encode
from services.webauthn.domain.metadata import NO_AAGUID
from services.webauthn.domain.policy import Use
from services.webauthn.flows import Judgement, Offer, WebAuthnFlows
from services.webauthn.store import Authenticator as Kept
from services.webauthn.store import Place
from shared.auth import admitted
from shared.errors import Malformed
from shared.factor import (
    Attempt,
    Authenticator,
    BeginChallenge,
    BeginEnrolment,
    ChallengeOffer,
    CompleteEnrolment,
    Enrolled,
    EnrolmentOffer,
    EnrolmentResult,
    Id,
    Purpose,
    Rename,
    Verification,
)
from shared.http import describe_body, json_answer, json_body

KIND = "webauthn"

router = APIRouter(dependencies=[Depends(admitted)])


async def get_flows(request: Request) -> WebAuthnFlows:
    """Return the flows that `main` has built."""
    return cast("WebAuthnFlows", request.app.state.flows)


Flows = Annotated[WebAuthnFlows, Depends(get_flows)]
UserId = Annotated[Id, Path()]
EnrolmentId = Annotated[Id, Path()]
AuthenticatorId = Annotated[Id, Path()]

M = TypeVar("M", bound=BaseModel)


class Proof(BaseModel):
    """The proof that this factor takes: what `toJSON()` of the browser's credential gives.

    Any object may be tried; what is wrong inside it is a refusal like any other.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    credential: dict[str, Any] = Field(repr=False)


class Options(BaseModel):
    """What can be asked of a new credential: to serve alone, and to be none of these again."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    passwordless: bool = False
    registered: list[Id] = Field(default=[], max_length=100)


class NoOptions(BaseModel):
    """A challenge has none."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


# Routes are tried in this order, so those that every login takes are first.
@router.post(
    "/v1/users/{user_id}/verifications",
    response_model=Verification,
    openapi_extra=describe_body(Attempt),
)
async def verify(
    user_id: UserId, attempt: Annotated[Attempt, Depends(json_body(Attempt))], flows: Flows
) -> Response:
    """Answer whether an assertion is one of this person's, once."""
    if attempt.authenticators is None or attempt.purpose is Purpose.LOGIN:
        raise _misplaced()
    use, credential = Use(attempt.purpose.value), _credential(attempt.proof)
    judgement = await flows.verify(
        user_id, attempt.authenticators, attempt.session_id, use, credential
    )
    return json_answer(_verification(judgement))


@router.post("/v1/verifications", response_model=Verification, openapi_extra=describe_body(Attempt))
async def verify_anybody(
    attempt: Annotated[Attempt, Depends(json_body(Attempt))], flows: Flows
) -> Response:
    """Answer whose an assertion is, once."""
    if attempt.authenticators is not None or attempt.purpose is not Purpose.LOGIN:
        raise _misplaced()
    judgement = await flows.verify_anybody(attempt.session_id, _credential(attempt.proof))
    return json_answer(_verification(judgement))


@router.post(
    "/v1/users/{user_id}/challenges",
    response_model=ChallengeOffer,
    openapi_extra=describe_body(BeginChallenge),
)
async def challenge(
    user_id: UserId,
    question: Annotated[BeginChallenge, Depends(json_body(BeginChallenge))],
    flows: Flows,
) -> Response:
    """Answer options for one of this person's credentials."""
    if question.authenticators is None or question.purpose is Purpose.LOGIN:
        raise _misplaced()
    _read(NoOptions, question.options, "options")
    use = Use(question.purpose.value)
    offer = await flows.challenge(user_id, question.authenticators, question.session_id, use)
    return json_answer(_asked(offer))


@router.post(
    "/v1/challenges", response_model=ChallengeOffer, openapi_extra=describe_body(BeginChallenge)
)
async def challenge_anybody(
    question: Annotated[BeginChallenge, Depends(json_body(BeginChallenge))], flows: Flows
) -> Response:
    """Answer options that any passkey can answer."""
    if question.authenticators is not None or question.purpose is not Purpose.LOGIN:
        raise _misplaced()
    _read(NoOptions, question.options, "options")
    return json_answer(_asked(await flows.challenge_anybody(question.session_id)))


@router.get("/v1/ready", status_code=204)
async def ready(flows: Flows) -> Response:
    """Tell a caller that its credential is good and that the service works."""
    await flows.ready()
    return Response(status_code=204)


@router.get("/v1/users/{user_id}/authenticators", response_model=Enrolled)
async def list_authenticators(user_id: UserId, flows: Flows) -> Response:
    """Answer what a person has enrolled."""
    kept = await flows.authenticators(user_id)
    return json_answer(Enrolled.of(_shown(authenticator, flows.rp_id) for authenticator in kept))


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
    """Answer options for a credential to be made."""
    options = _read(Options, question.options, "options")
    offer = await flows.begin(
        Place(enrolment_id, user_id, question.session_id),
        question.account_name,
        passwordless=options.passwordless,
        registered=options.registered,
    )
    answer = EnrolmentOffer(
        id=enrolment_id,
        kind=KIND,
        display={"creation_options": dict(offer.options)},
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
    """Answer the new authenticator, if its credential is let in."""
    place = Place(enrolment_id, user_id, question.session_id)
    made = await flows.complete(place, _credential(question.proof), question.name)
    authenticator = None if made is None else _shown(made, flows.rp_id)
    return json_answer(EnrolmentResult(accepted=made is not None, authenticator=authenticator))


@router.patch(
    "/v1/users/{user_id}/authenticators/{authenticator_id}",
    response_model=Authenticator,
    openapi_extra=describe_body(Rename),
)
async def rename_authenticator(
    user_id: UserId,
    authenticator_id: AuthenticatorId,
    question: Annotated[Rename, Depends(json_body(Rename))],
    flows: Flows,
) -> Response:
    """Answer the authenticator under its new name."""
    renamed = await flows.rename(user_id, authenticator_id, question.name)
    return json_answer(_shown(renamed, flows.rp_id))


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


def _credential(proof: dict[str, JsonValue]) -> dict[str, Any]:
    try:
        return Proof.model_validate(proof).credential
    except ValidationError:
        raise Malformed(
            'The proof must be {"credential": {…}}.', code="invalid", field="proof.credential"
        ) from None


def _read(model: type[M], members: dict[str, JsonValue], place: str) -> M:
    try:
        return model.model_validate(members)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=False, include_input=False)[0]
        code = "unknown_member" if details["type"] == "extra_forbidden" else "invalid"
        field = ".".join([place, *(str(part) for part in details["loc"])])
        raise Malformed("There is no such option.", code=code, field=field) from None


def _misplaced() -> Malformed:
    """Return what is wrong where a login names a person, or anything else does not."""
    return Malformed(
        "A login names nobody, and all else somebody.", code="invalid", field="purpose"
    )


def _asked(offer: Offer) -> ChallengeOffer:
    return ChallengeOffer(
        kind=KIND,
        display={"request_options": dict(offer.options)},
        expires_at=offer.expires_at.timestamp(),
    )


def _verification(judgement: Judgement) -> Verification:
    credential, assertion = judgement.credential, judgement.assertion
    if credential is None or assertion is None:
        return Verification(accepted=False, facts=_told(judgement))
    is_moved = assertion.backed_up != credential.backed_up
    return Verification(
        accepted=True,
        user_id=credential.user_id,
        authenticator_id=credential.id,
        amr=amr(credential, assertion),
        facts={"user_verified": assertion.user_verified},
        changed={"backed_up": assertion.backed_up} if is_moved else {},
    )


def _told(refusal: Judgement) -> dict[str, JsonValue]:
    """Return what the caller has use for of a refusal; all else the audit trail alone tells.

    That nobody has the credential is for its browser, which had better forget it.
    """
    return {} if refusal.signal is None else {"signal": dict(refusal.signal)}


def _shown(kept: Kept, rp_id: str) -> Authenticator:
    used = kept.last_used_at
    return Authenticator(
        id=kept.id,
        type=KIND,
        created_at=kept.created_at.timestamp(),
        last_used_at=None if used is None else used.timestamp(),
        name=kept.name,
        facts={
            "is_passwordless": kept.discoverable,
            "provider": kept.provider,
            "aaguid": None if kept.aaguid == NO_AAGUID else kept.aaguid,
            "backup_eligible": kept.backup_eligible,
            "backed_up": kept.backed_up,
            "transports": list(kept.transports),
            "user_verified": kept.user_verified,
            "serves_alone": kept.serves_alone,
            "attested": kept.is_attested,
            # What the page tells the browser about this credential (section 5.1.10).
            "rp_id": kept.rp_id or rp_id,
            "user_handle": encode(kept.handle),
            "credential_id": encode(kept.credential_id),
        },
    )
