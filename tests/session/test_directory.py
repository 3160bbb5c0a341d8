"""The API's endpoints are found by their path alone, and all else as FastAPI finds it."""

from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from starlette.routing import Route

from services.session.api.directory import Directory
from tests.journeys.client import ORIGIN
from tests.journeys.suite import in_process

CONFIG = "/_allauth/app/v1/config"
CASES: dict[tuple[str, str], tuple[int, str | None]] = {
    ("GET", CONFIG): (200, None),
    ("GET", f"{CONFIG}?x=1"): (200, None),
    ("GET", CONFIG.replace("config", "%63onfig")): (200, None),
    ("POST", CONFIG): (405, "GET"),
    ("HEAD", CONFIG): (405, "GET"),
    ("OPTIONS", CONFIG): (405, "GET"),
    ("BREW", CONFIG): (405, "GET"),
    ("GET", f"{CONFIG}/"): (404, None),
    ("GET", CONFIG.upper()): (404, None),
    ("GET", f"/{CONFIG}"): (404, None),
    ("GET", "/_allauth/app/v1"): (404, None),
    ("GET", "/_allauth/app/v1/nothing"): (404, None),
}
"""Requests, with the status and the header Allow of their answers."""


@pytest.mark.parametrize("headless", [True, False])
async def test_what_is_not_listed_is_answered_as_before(tmp_path: Path, headless: bool) -> None:
    answers = {}
    async with in_process(tmp_path, headless_only=headless) as suite:
        transport = httpx.ASGITransport(suite.apps["session"])
        async with httpx.AsyncClient(transport=transport) as http:
            for method, path in CASES:
                answers[method, path] = await http.request(method, ORIGIN + path)

    seen = {
        case: (answer.status_code, answer.headers.get("allow")) for case, answer in answers.items()
    }
    assert seen == CASES
    assert all("x-content-type-options" in answer.headers for answer in answers.values())


async def test_a_method_that_a_path_does_not_have_is_counted_by_the_path(tmp_path: Path) -> None:
    labels = {"service": "session", "route": CONFIG, "method": "PUT", "status": "405"}

    def counted() -> float:
        return REGISTRY.get_sample_value("countersign_http_requests_total", labels) or 0

    before = counted()
    async with in_process(tmp_path, headless_only=True) as suite:
        await suite.client("app").http.put(ORIGIN + CONFIG)

    assert counted() == before + 1


async def test_every_endpoint_is_listed(tmp_path: Path) -> None:
    async with in_process(tmp_path, headless_only=True) as suite:
        app = suite.apps["session"]
        layers: list[Any] = [*app.user_middleware]
        (entries,) = (x.kwargs["entries"] for x in layers if x.cls is Directory)
        routes = {
            (method, route.path)
            for route in app.routes
            if isinstance(route, Route) and "/v1/" in route.path
            for method in route.methods or ()
        }

    assert routes == entries.keys()
