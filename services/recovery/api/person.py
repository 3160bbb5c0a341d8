"""Routes that concern a person as a whole, or nobody."""

from fastapi import APIRouter, Depends, Response

from services.recovery.api.given import Codes, Trust, UserId
from shared.auth import admitted

router = APIRouter(dependencies=[Depends(admitted)])


@router.get("/v1/ready", status_code=204)
async def ready(codes: Codes) -> Response:
    """Tell a caller that its credential is good and that the service works."""
    await codes.ready()
    return Response(status_code=204)


@router.delete("/v1/users/{user_id}", status_code=204)
async def forget_user(user_id: UserId, codes: Codes, trust: Trust) -> Response:
    """Remove everything of a person."""
    await codes.forget(user_id)
    await trust.forget(user_id)
    return Response(status_code=204)
