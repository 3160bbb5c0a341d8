"""The flows that `main` has made, for the routes."""

from typing import Annotated

from fastapi import Depends, Request

from services.audit.flows.forgetting import Forgetting
from services.audit.flows.proving import Proving
from services.audit.flows.reading import Reading


def _reading(request: Request) -> Reading:
    flow: Reading = request.app.state.reading
    return flow


def _proving(request: Request) -> Proving:
    flow: Proving = request.app.state.proving
    return flow


def _forgetting(request: Request) -> Forgetting:
    flow: Forgetting = request.app.state.forgetting
    return flow


ReadingFlow = Annotated[Reading, Depends(_reading)]
ProvingFlow = Annotated[Proving, Depends(_proving)]
ForgettingFlow = Annotated[Forgetting, Depends(_forgetting)]
