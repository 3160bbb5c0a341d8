"""What operators see of a process, on a port of its own: health, readiness, metrics, OpenAPI."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from fastapi import FastAPI
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.errors import CountersignError

PATIENCE = 2.0  # seconds that one check may take
NO_STORE = {"cache-control": "no-store"}


@dataclass(frozen=True)
class Check:
    """Something that a process needs. `probe` returns if it is there, and raises if not.

    Without what is *required* the process gets no traffic. The rest is only reported: taking all
    replicas away because something else is down would make one failure two.
    """

    name: str
    probe: Callable[[], Awaitable[None]]
    required: bool = True


def create_operations(
    title: str, checks: Sequence[Check], *, openapi_of: FastAPI | None = None
) -> Starlette:
    """Return the application for the internal port of a process."""

    async def health(request: Request) -> Response:
        return JSONResponse({"status": "alive", "service": title}, headers=NO_STORE)

    async def readiness(request: Request) -> Response:
        troubles = await asyncio.gather(*(_trouble(check) for check in checks))
        failed = {
            check.name: check for check, trouble in zip(checks, troubles, strict=True) if trouble
        }
        unavailable = any(check.required for check in failed.values())
        status = "unavailable" if unavailable else "degraded" if failed else "ready"
        body = {
            "status": status,
            "service": title,
            "checks": {
                check.name: {"ok": trouble is None, "required": check.required}
                | ({"detail": trouble} if trouble else {})
                for check, trouble in zip(checks, troubles, strict=True)
            },
        }
        return JSONResponse(body, 503 if unavailable else 200, headers=NO_STORE)

    async def metrics(request: Request) -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    async def openapi(request: Request) -> Response:
        return JSONResponse(openapi_of.openapi() if openapi_of else None)

    routes = [
        Route("/healthz", health),
        Route("/readyz", readiness),
        Route("/metrics", metrics),
    ]
    if openapi_of is not None:
        routes.append(Route("/openapi.json", openapi))
    return Starlette(routes=routes)


async def _trouble(check: Check) -> str | None:
    """Return what is wrong, in words that give no secret away, or None."""
    try:
        async with asyncio.timeout(PATIENCE):
            await check.probe()
    except TimeoutError:
        return f"no answer within {PATIENCE:g} seconds"
    except CountersignError as error:
        return error.detail or error.code
    except Exception as error:
        return type(error).__name__
    return None
