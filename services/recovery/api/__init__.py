"""The HTTP edge: read the request, call one flow, shape the answer."""

from services.recovery.api import codes, person, trust

routers = (codes.router, trust.router, person.router)

__all__ = ["routers"]
