"""What routes are given."""

from typing import Annotated, cast

from fastapi import Depends, Path, Request

from services.recovery.flows import CodeFlows, TrustFlows
from shared.factor import Id


async def get_codes(request: Request) -> CodeFlows:
    """Return the flows about codes that `main` has built."""
    return cast("CodeFlows", request.app.state.codes)


async def get_trust(request: Request) -> TrustFlows:
    """Return the flows about trust that `main` has built."""
    return cast("TrustFlows", request.app.state.trust)


Codes = Annotated[CodeFlows, Depends(get_codes)]
Trust = Annotated[TrustFlows, Depends(get_trust)]
UserId = Annotated[Id, Path()]
