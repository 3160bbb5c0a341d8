"""The factory of the services' applications."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import Protocol

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.telemetry import TelemetryConfig
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from shared.http.edge import ContextOf, Edge, from_caller, from_peer
from shared.http.operations import Check
from shared.http.problems import ErrorShape, describe, problem_details

MAX_IN_FLIGHT = 256
"""Requests that one process works on at once; beyond, it is quicker for all to be told 503."""

# FastAPI's own would send values that failed validation, and messages of exceptions, to whatever
# exporter the environment names. Secrets are among them.
NO_TELEMETRY = TelemetryConfig(
    tracing=False, metrics=False, logs=False, operation_spans=False, auto_configure=False
)

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class Resource(Protocol):
    """Something with a beginning and an end, such as a database."""

    async def connect(self) -> None:
        """Begin. What is away does not keep it from starting: it is tried again when used."""

    async def close(self) -> None:
        """End."""


def closing(*resources: Resource) -> Lifespan:
    """Return a lifespan that connects `resources`, and closes them in reverse order."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for resource in resources:
                stack.push_async_callback(resource.close)
                await resource.connect()
            yield

    return lifespan


def create_service(
    title: str,
    *,
    version: str = "1",
    lifespan: Lifespan | None = None,
    checks: Sequence[Check] = (),
    errors: ErrorShape = problem_details,
    trust_context: bool = False,
    context_of: ContextOf | None = None,
    max_in_flight: int = MAX_IN_FLIGHT,
) -> FastAPI:
    """Return an application without routes: no documentation, no metrics, no health on this port.

    `checks` are what its readiness depends on; they wait in `app.state.checks` for
    `create_operations`. `trust_context` is for services that only other services reach: they
    carry on the context of the caller. `context_of` replaces how a context begins at the edge.
    """
    app = FastAPI(
        title=title,
        version=version,
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        telemetry=NO_TELEMETRY,
    )

    async def shape(request: Request, error: Exception) -> Response:
        return errors(request.scope, describe(error))

    # FastAPI answers these two itself, unless told otherwise; all others reach the edge.
    app.add_exception_handler(HTTPException, shape)
    app.add_exception_handler(RequestValidationError, shape)
    app.add_middleware(
        Edge,
        service=title,
        errors=errors,
        context_of=context_of or (from_caller if trust_context else from_peer),
        max_in_flight=max_in_flight,
    )
    app.state.checks = tuple(checks)
    return app
