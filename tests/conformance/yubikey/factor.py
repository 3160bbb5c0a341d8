"""The factor: the calls of the protocol, and the application that answers them."""

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.conformance.yubikey.door import Door, NoCredential, WrongCaller
from tests.conformance.yubikey.keeper import Begun, Keeper, Kept
from tests.conformance.yubikey.otp import Secret
from tests.conformance.yubikey.reading import Refused, body, ids, problem

TYPE = "yubikey"
LIFETIME = 600.0  # seconds to program a key and touch it
FORM = "base32:44"  # the letters of modhex are among those of base32

Answer = Callable[[Request], Awaitable[Response]]


class Factor:
    """Judges what keys type."""

    def __init__(self, keeper: Keeper, door: Door, clock: Callable[[], float]) -> None:
        self.keeper = keeper
        self.door = door
        self.clock = clock

    async def ready(self, request: Request) -> Response:
        """GET /v1/ready."""
        await self.keeper.keys("")
        return Response(status_code=204)

    async def listed(self, request: Request) -> Response:
        """GET /v1/users/{user_id}/authenticators."""
        keys = await self.keeper.keys(ids(request)["user_id"])
        shown = [self.shown(kept) for kept in keys]
        return JSONResponse({"revision": self.revision(keys), "authenticators": shown})

    async def begin(self, request: Request) -> Response:
        """PUT /v1/users/{user_id}/enrolments/{enrolment_id}."""
        place, question = ids(request), await body(request, "BeginEnrolment")
        if question.get("options"):
            raise Refused(400, "unknown_member")
        secret, until = self.new_secret(), self.clock() + LIFETIME
        named, user_id = place["enrolment_id"], place["user_id"]
        if not await self.keeper.begin(named, user_id, question["session_id"], secret, until):
            raise Refused(409, "enrolment_taken")
        display = {
            "public_id": secret.public_id,
            "private_id": secret.private_id.hex(),
            "key": secret.aes.hex(),
        }
        return JSONResponse({"id": named, "kind": "code", "display": display, "expires_at": until})

    async def complete(self, request: Request) -> Response:
        """POST /v1/users/{user_id}/enrolments/{enrolment_id}/complete."""
        place, question = ids(request), await body(request, "CompleteEnrolment")
        code, name = self.code(question["proof"]), question.get("name")
        where = place["enrolment_id"], place["user_id"], question["session_id"]
        begun = await self.keeper.begun(*where, self.clock())
        if begun is None:
            return await self.completed(*where, code)
        return await self.touched(begun, code, name)

    async def touched(self, begun: Begun, code: str, name: str | None) -> Response:
        """Make the key that is pending, if it was the one that was touched."""
        position = begun.secret.position_of(code)
        if position is None:
            return JSONResponse({"accepted": False})
        await self.keeper.enrol(begun, position, name, self.clock())  # or another request has
        return await self.completed(begun.id, begun.user_id, begun.session_id, code)

    async def completed(self, id: str, user_id: str, session_id: str, code: str) -> Response:
        """Answer once more what was answered when the key was made."""
        for kept in await self.keeper.among(user_id, [id]):
            if kept.session_id == session_id:
                accepted = kept.secret.position_of(code) == kept.enrolled_position
                made = {"authenticator": self.shown(kept)} if accepted else {}
                return JSONResponse({"accepted": accepted, **made})
        raise Refused(404, "enrolment_not_found")

    async def verify(self, request: Request) -> Response:
        """POST /v1/users/{user_id}/verifications."""
        user_id, question = ids(request)["user_id"], await body(request, "Attempt")
        registered = question.get("authenticators")
        if registered is None:
            raise Refused(400, "required")
        code = self.code(question["proof"])
        for kept in await self.keeper.among(user_id, registered):
            position = kept.secret.position_of(code)
            if position is None:
                continue
            if await self.keeper.spend(kept, position, self.clock()):
                return self.accepted(user_id, kept)
            return self.refused("replayed")
        return self.refused("unknown")

    def accepted(self, user_id: str, kept: Kept) -> Response:
        """Answer that it was that key."""
        judged = {
            "accepted": True,
            "user_id": user_id,
            "authenticator_id": kept.id,
            "amr": ["hwk"],
            "changed": {"uses": kept.uses + 1},
        }
        return JSONResponse(judged)

    def refused(self, why: str) -> Response:
        """Answer that it was none. `why` is for nobody who asks."""
        return JSONResponse({"accepted": False})

    async def rename(self, request: Request) -> Response:
        """PATCH /v1/users/{user_id}/authenticators/{authenticator_id}."""
        place, question = ids(request), await body(request, "Rename")
        kept = await self.keeper.rename(
            place["user_id"], place["authenticator_id"], question["name"]
        )
        if kept is None:
            raise Refused(404, "authenticator_not_found")
        return JSONResponse(self.shown(kept))

    async def remove(self, request: Request) -> Response:
        """DELETE /v1/users/{user_id}/authenticators/{authenticator_id}."""
        place = ids(request)
        await self.keeper.remove(place["user_id"], place["authenticator_id"])
        return Response(status_code=204)

    async def forget(self, request: Request) -> Response:
        """DELETE /v1/users/{user_id}."""
        await self.keeper.forget(ids(request)["user_id"])
        return Response(status_code=204)

    def new_secret(self) -> Secret:
        """Return what is to be put into a key."""
        return Secret.new()

    def code(self, proof: dict[str, Any]) -> str:
        """Return what was typed. Raises Refused for what is no such proof."""
        if proof.keys() != {"code"} or not isinstance(proof["code"], str):
            raise Refused(400, "invalid")
        return str(proof["code"])

    def shown(self, kept: Kept) -> dict[str, Any]:
        """Return a key, without what is in it."""
        return {
            "id": kept.id,
            "type": TYPE,
            "created_at": kept.created_at,
            "last_used_at": kept.last_used_at,
            "name": kept.name,
            "facts": self.facts(kept),
        }

    def facts(self, kept: Kept) -> dict[str, Any]:
        """Return what everybody may know who shows the key."""
        return {"code_form": FORM, "public_id": kept.secret.public_id, "uses": kept.uses}

    def revision(self, keys: list[Kept]) -> str:
        """Return a text that changes whenever the set of keys does."""
        return hashlib.sha256(" ".join(sorted(kept.id for kept in keys)).encode()).hexdigest()

    def routes(self) -> dict[tuple[str, str], Answer]:
        """Return what answers each call."""
        user = "/v1/users/{user_id}"
        return {
            ("GET", "/v1/ready"): self.ready,
            ("GET", f"{user}/authenticators"): self.listed,
            ("PUT", f"{user}/enrolments/{{enrolment_id}}"): self.begin,
            ("POST", f"{user}/enrolments/{{enrolment_id}}/complete"): self.complete,
            ("PATCH", f"{user}/authenticators/{{authenticator_id}}"): self.rename,
            ("DELETE", f"{user}/authenticators/{{authenticator_id}}"): self.remove,
            ("POST", f"{user}/verifications"): self.verify,
            ("DELETE", user): self.forget,
        }


def create_app(factor: Factor) -> Starlette:
    """Return the application."""

    def guarded(answer: Answer) -> Answer:
        async def endpoint(request: Request) -> Response:
            try:
                factor.door.admit(request)
                return await answer(request)
            except NoCredential:
                return problem(401, "unauthenticated")
            except WrongCaller:
                return problem(403, "caller_not_allowed")
            except Refused as refused:
                return problem(refused.status, refused.code)

        return endpoint

    async def absent(request: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else 500
        return problem(status, "not_found")

    routes = [
        Route(path, guarded(answer), methods=[method])
        for (method, path), answer in factor.routes().items()
    ]
    return Starlette(routes=routes, exception_handlers={HTTPException: absent})
