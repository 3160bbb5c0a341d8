"""The fourth factor with one thing wrong at a time, and the rule that has to notice."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from tests.conformance.yubikey import reading
from tests.conformance.yubikey.door import Door, NoCredential, Signer
from tests.conformance.yubikey.factor import Answer, Factor
from tests.conformance.yubikey.keeper import Begun, Keeper, Kept
from tests.conformance.yubikey.otp import Secret
from tests.conformance.yubikey.reading import Refused, ids


@dataclass(frozen=True)
class Flaw:
    """What is wrong, the rule that says so, and the part that is made wrongly."""

    what: str
    rule: str
    factor: type[Factor] = Factor
    keeper: type[Keeper] = Keeper
    door: type[Door] = Door


class OpenDoor(Door):
    """Lets everybody in who says nothing."""

    def admit(self, request: Request) -> None:
        if "authorization" in request.headers:
            super().admit(request)


class BodyFirst(Door):
    """Says what is wrong with a body to whoever sends it."""

    def admit(self, request: Request) -> None:
        if request.headers.get("content-length") == "1":  # the kit's body that is no JSON
            raise Refused(400, "invalid_json")
        super().admit(request)


class AnyAudience(Door):
    """Takes what was signed for others."""

    def is_good(self, claims: Mapping[str, Any], issuer: str) -> bool:
        return super().is_good({**claims, "aud": self.audience}, issuer)


class NoClock(Door):
    """Takes what has expired."""

    def is_current(self, issued: int, expires: int) -> bool:
        return True


class LongLived(Door):
    """Takes credentials for however long."""

    def is_current(self, issued: int, expires: int) -> bool:
        return issued <= self.clock() + 5 and self.clock() < expires


class NoSignature(Door):
    """Believes what it reads."""

    def read(self, token: str, signer: Signer) -> Mapping[str, Any]:
        claims: Mapping[str, Any] = jwt.decode(token, options={"verify_signature": False})
        return claims


class AnyService(Door):
    """Lets in whoever the suite knows."""

    def admit(self, request: Request) -> None:
        try:
            super().admit(request)
        except NoCredential:
            raise
        except Exception:  # noqa: S110 - that is the flaw
            pass


class FirstOfTwo(Door):
    """Overlooks that there are two credentials."""

    def admit(self, request: Request) -> None:
        first = dict(reversed(request.scope["headers"]))
        super().admit(Request({**request.scope, "headers": list(first.items())}))


class PlainText(Factor):
    """Refuses in words of its own."""

    async def verify(self, request: Request) -> Response:
        try:
            return await super().verify(request)
        except Refused as refused:
            return PlainTextResponse(refused.code, refused.status)


class Lenient(Factor):
    """Overlooks what it does not know."""

    async def verify(self, request: Request) -> Response:
        question = reading.parse(await request.body())
        if isinstance(question, dict):
            question.pop("surprise", None)
        return await super().verify(_with(request, question))


class AnySize(Factor):
    """Reads on and on."""

    async def verify(self, request: Request) -> Response:
        return await super().verify(_with(request, reading.parse(await request.body())))


class AnyId(Factor):
    """Looks up whatever it is given."""

    async def listed(self, request: Request) -> Response:
        keys = await self.keeper.keys(request.path_params["user_id"])
        return JSONResponse({"revision": self.revision(keys), "authenticators": []})


class AnyIdInside(Factor):
    """Overlooks ids of another shape in questions."""

    async def verify(self, request: Request) -> Response:
        question = reading.parse(await request.body())
        if isinstance(question, dict) and isinstance(question.get("session_id"), str):
            question["session_id"] = "s"
        return await super().verify(_with(request, question))


class NeverMissing(Factor):
    """Knows of every enrolment."""

    async def completed(self, id: str, user_id: str, session_id: str, code: str) -> Response:
        try:
            return await super().completed(id, user_id, session_id, code)
        except Refused:
            return JSONResponse({"accepted": False})


class TwiceNamed(Factor):
    """Takes the last of two members of one name."""

    async def verify(self, request: Request) -> Response:
        try:
            question = json.loads(await request.body())
        except ValueError:
            return await super().verify(request)
        return await super().verify(_with(request, question))


class BreaksOnNul(Factor):
    """Falls over what it did not expect."""

    async def verify(self, request: Request) -> Response:
        if b"\\u0000" in await request.body():
            raise ZeroDivisionError
        return await super().verify(request)


class BreaksOnProofs(Factor):
    """Takes every proof for one."""

    def code(self, proof: dict[str, Any]) -> str:
        text: str = proof["code"].strip()
        return text


class SameSecret(Factor):
    """Shows everybody the same."""

    kept = Secret.new()

    def new_secret(self) -> Secret:
        return self.kept


class FirstOffer(Keeper):
    """Keeps what was shown first."""

    async def begin(
        self, id: str, user_id: str, session_id: str, secret: Secret, until: float
    ) -> bool:
        if await self.begun(id, user_id, session_id, 0):
            return True
        return await super().begin(id, user_id, session_id, secret, until)


class ManyAtOnce(Keeper):
    """Keeps what a session has begun under other ids."""

    async def begin(
        self, id: str, user_id: str, session_id: str, secret: Secret, until: float
    ) -> bool:
        return await super().begin(id, user_id, f"{session_id}:{id}", secret, until)

    async def begun(self, id: str, user_id: str, session_id: str, now: float) -> Begun | None:
        begun = await super().begun(id, user_id, f"{session_id}:{id}", now)
        if begun is None:
            return None
        return Begun(id, user_id, session_id, begun.secret, begun.sealed)


class AnyTouch(Factor):
    """Enrols whatever is typed."""

    async def touched(self, begun: Begun, code: str, name: str | None) -> Response:
        await self.keeper.enrol(begun, begun.secret.position_of(code) or 0, name, self.clock())
        kept = await self.keeper.among(begun.user_id, [begun.id])
        return JSONResponse({"accepted": True, "authenticator": self.shown(kept[0])})


class OnlyOnce(Factor):
    """Answers a completion once: an answer that is lost, is lost."""

    async def completed(self, id: str, user_id: str, session_id: str, code: str) -> Response:
        if id in self.told:
            raise Refused(404, "enrolment_not_found")
        self.told.add(id)
        return await super().completed(id, user_id, session_id, code)

    def __init__(self, keeper: Keeper, door: Door, clock: Callable[[], float]) -> None:
        super().__init__(keeper, door, clock)
        self.told: set[str] = set()


class AnySession(Keeper):
    """Has the enrolment completed from anywhere."""

    async def begun(self, id: str, user_id: str, session_id: str, now: float) -> Begun | None:
        row = self.db.execute(
            "SELECT session_id FROM begun WHERE id = ? AND user_id = ?", (id, user_id)
        ).fetchone()
        return await super().begun(id, user_id, row["session_id"], now) if row else None


class AnyPerson(Keeper):
    """Has the enrolment completed by anybody."""

    async def begun(self, id: str, user_id: str, session_id: str, now: float) -> Begun | None:
        row = self.db.execute("SELECT user_id FROM begun WHERE id = ?", (id,)).fetchone()
        begun = await super().begun(id, row["user_id"], session_id, now) if row else None
        return Begun(id, user_id, session_id, begun.secret, begun.sealed) if begun else None


class TakesOver(Keeper):
    """Gives an id that is taken to whoever asks next."""

    async def begin(
        self, id: str, user_id: str, session_id: str, secret: Secret, until: float
    ) -> bool:
        self.db.execute("DELETE FROM keys WHERE id = ?", (id,))
        return await super().begin(id, user_id, session_id, secret, until)


class ForgetsWhatItHas(Keeper):
    """Loses the key when its owner begins again."""

    async def begin(
        self, id: str, user_id: str, session_id: str, secret: Secret, until: float
    ) -> bool:
        self.db.execute("DELETE FROM keys WHERE id = ? AND user_id = ?", (id, user_id))
        return await super().begin(id, user_id, session_id, secret, until)


class DoubleEnrolment(Factor):
    """Breaks where two complete at once."""

    async def touched(self, begun: Begun, code: str, name: str | None) -> Response:
        await asyncio.sleep(0)
        if begun.secret.position_of(code) is None:
            return JSONResponse({"accepted": False})
        if not await self.keeper.enrol(begun, 1, name, self.clock()):
            raise ZeroDivisionError
        return await self.completed(begun.id, begun.user_id, begun.session_id, code)


class LosesNames(Keeper):
    """Takes a name and loses it."""

    async def enrol(self, begun: Begun, position: int, name: str | None, now: float) -> bool:
        return await super().enrol(begun, position, None, now)


class ShowsSecrets(Factor):
    """Tells everybody what is in the key."""

    def facts(self, kept: Kept) -> dict[str, Any]:
        return super().facts(kept) | {"key": kept.secret.aes.hex()}


class Replays(Keeper):
    """Takes the last one again."""

    async def spend(self, kept: Kept, position: int, now: float) -> bool:
        return await super().spend(kept, position, now) or self._is_last(kept, position)

    def _is_last(self, kept: Kept, position: int) -> bool:
        row = self.db.execute("SELECT position FROM keys WHERE id = ?", (kept.id,)).fetchone()
        return bool(row and row["position"] == position and kept.uses)


class Races(Keeper):
    """Looks first, and writes after that."""

    async def spend(self, kept: Kept, position: int, now: float) -> bool:
        row = self.db.execute("SELECT position FROM keys WHERE id = ?", (kept.id,)).fetchone()
        await asyncio.sleep(0.01)
        if row["position"] >= position:
            return False
        await super().spend(kept, position, now)
        return True


class EnrolsForFree(Keeper):
    """Leaves the first one good for a login."""

    async def enrol(self, begun: Begun, position: int, name: str | None, now: float) -> bool:
        made = await super().enrol(begun, position, name, now)
        self.db.execute("UPDATE keys SET position = -1 WHERE id = ?", (begun.id,))
        return made


class RefusesByStatus(Factor):
    """Takes a wrong proof for a mistake."""

    def refused(self, why: str) -> Response:
        raise Refused(403, why)


class TellsWhy(Factor):
    """Tells whoever guesses what was wrong."""

    def refused(self, why: str) -> Response:
        return JSONResponse({"accepted": False, "facts": {"why": why}})


class JudgesAll(Keeper):
    """Judges whatever a person has."""

    async def among(self, user_id: str, ids: Sequence[str]) -> list[Kept]:
        return await self.keys(user_id)


class JudgesAnybodys(Keeper):
    """Judges what was named, whoever has it."""

    async def among(self, user_id: str, ids: Sequence[str]) -> list[Kept]:
        rows = self.db.execute("SELECT DISTINCT user_id FROM keys").fetchall()
        found = [kept for row in rows for kept in await self.keys(row["user_id"])]
        return [kept for kept in found if kept.id in ids]


class NamesTheFirst(Factor):
    """Names the first of the registered ones."""

    async def verify(self, request: Request) -> Response:
        judged = reading.parse(bytes((await super().verify(request)).body))
        if judged["accepted"]:
            judged["authenticator_id"] = reading.parse(await request.body())["authenticators"][0]
        return JSONResponse(judged)


class NamesNobody(Factor):
    """Accepts without saying whom."""

    def accepted(self, user_id: str, kept: Kept) -> Response:
        return JSONResponse({"accepted": True, "amr": ["hwk"], "changed": {"uses": kept.uses + 1}})


class JudgesFew(Keeper):
    """Looks at the first ten ids."""

    async def among(self, user_id: str, ids: Sequence[str]) -> list[Kept]:
        return await super().among(user_id, ids[:10])


class NullIsAll(Factor):
    """Takes no list for every one."""

    async def verify(self, request: Request) -> Response:
        question = reading.parse(await request.body())
        if isinstance(question, dict) and question.get("authenticators") is None:
            user_id = ids(request)["user_id"]
            question["authenticators"] = [kept.id for kept in await self.keeper.keys(user_id)]
        return await super().verify(_with(request, question))


class WrongForm(Factor):
    """Tells a form that its codes do not have."""

    def facts(self, kept: Kept) -> dict[str, Any]:
        return super().facts(kept) | {"code_form": "digits:6"}


class UnknownForm(Factor):
    """Tells a form that nobody knows."""

    def facts(self, kept: Kept) -> dict[str, Any]:
        return super().facts(kept) | {"code_form": "modhex:44"}


class KeepsToItself(Factor):
    """Does not tell what a use has changed."""

    def accepted(self, user_id: str, kept: Kept) -> Response:
        judged = {"user_id": user_id, "authenticator_id": kept.id, "amr": ["hwk"]}
        return JSONResponse({"accepted": True, **judged})


class RemovesOnce(Factor):
    """Finds it a mistake to remove what is not there."""

    async def remove(self, request: Request) -> Response:
        place = ids(request)
        if not await self.keeper.remove(place["user_id"], place["authenticator_id"]):
            raise Refused(404, "authenticator_not_found")
        return Response(status_code=204)


class RemovesNothing(Keeper):
    """Says that it has removed."""

    async def remove(self, user_id: str, id: str) -> bool:
        return True


class HidesTheRemoved(Keeper):
    """Lists no more what still proves."""

    hidden: frozenset[str] = frozenset()

    async def remove(self, user_id: str, id: str) -> bool:
        self.hidden |= {id}
        return True

    async def keys(self, user_id: str) -> list[Kept]:
        return [kept for kept in await super().keys(user_id) if kept.id not in self.hidden]

    async def among(self, user_id: str, ids: Sequence[str]) -> list[Kept]:
        return [kept for kept in await super().keys(user_id) if kept.id in ids]


class RemovesTheFinished(Keeper):
    """Leaves what was only begun."""

    async def remove(self, user_id: str, id: str) -> bool:
        removed = self.db.execute("DELETE FROM keys WHERE id = ? AND user_id = ?", (id, user_id))
        return bool(removed.rowcount)


class RemovesAnybodys(Keeper):
    """Removes an id, whoever has it."""

    async def remove(self, user_id: str, id: str) -> bool:
        self.db.execute("DELETE FROM begun WHERE id = ?", (id,))
        return bool(self.db.execute("DELETE FROM keys WHERE id = ?", (id,)).rowcount)


class OneRevision(Factor):
    """Never has another revision."""

    def revision(self, keys: Sequence[Kept]) -> str:
        return "1"


class CountsOnly(Factor):
    """Has a revision that sets of one size share."""

    def revision(self, keys: Sequence[Kept]) -> str:
        return str(len(keys))


class Restless(Factor):
    """Has another revision each time."""

    asked = 0

    def revision(self, keys: Sequence[Kept]) -> str:
        self.asked += 1
        return str(self.asked)


class ForgetsOnce(Factor):
    """Finds it a mistake to forget whom it does not know."""

    async def forget(self, request: Request) -> Response:
        user_id = ids(request)["user_id"]
        if not await self.keeper.keys(user_id):
            raise Refused(404, "user_not_found")
        await self.keeper.forget(user_id)
        return Response(status_code=204)


class ForgetsTheFinished(Keeper):
    """Leaves what was only begun."""

    async def forget(self, user_id: str) -> None:
        self.db.execute("DELETE FROM keys WHERE user_id = ?", (user_id,))


class ForgetsEverybody(Keeper):
    """Starts all over."""

    async def forget(self, user_id: str) -> None:
        self.db.execute("DELETE FROM begun")
        self.db.execute("DELETE FROM keys")


class RenamesAnybodys(Keeper):
    """Renames an id, whoever has it."""

    async def rename(self, user_id: str, id: str, name: str) -> Kept | None:
        self.db.execute("UPDATE keys SET name = ? WHERE id = ?", (name, id))
        return await super().rename(user_id, id, name)


class RevealsAnybodys(Factor):
    """Shows what may be shown, to whoever asks."""

    def routes(self) -> dict[tuple[str, str], Answer]:
        path = "/v1/users/{user_id}/authenticators/{authenticator_id}/reveal"
        return {**super().routes(), ("POST", path): self.reveal}

    async def reveal(self, request: Request) -> Response:
        for row in self.keeper.db.execute("SELECT id, user_id FROM keys").fetchall():
            if row["id"] == ids(request)["authenticator_id"]:
                (kept,) = await self.keeper.among(row["user_id"], [row["id"]])
                return JSONResponse({"authenticator": self.shown(kept)})
        raise Refused(404, "authenticator_not_found")


class OtherType(Factor):
    """Calls its authenticators by another kind's name."""

    def shown(self, kept: Kept) -> dict[str, Any]:
        return super().shown(kept) | {"type": "totp"}


class NoNonsense(Factor):
    """Answers numbers as text."""

    async def begin(self, request: Request) -> Response:
        response = await super().begin(request)
        document = reading.parse(bytes(response.body))
        return JSONResponse(document | {"expires_at": str(document["expires_at"])})


class OverAtOnce(Factor):
    """Offers what has expired."""

    async def begin(self, request: Request) -> Response:
        document = reading.parse(bytes((await super().begin(request)).body))
        return JSONResponse(document | {"expires_at": 0})


class NeedsContext(Factor):
    """Breaks off where it cannot read on whose behalf it is called."""

    async def ready(self, request: Request) -> Response:
        if request.headers.get("x-countersign-context") == "!!":
            raise Refused(400, "bad_context")
        return await super().ready(request)


class NotReady(Factor):
    """Is always ready in another way."""

    async def ready(self, request: Request) -> Response:
        return JSONResponse({"ready": True})


def _with(request: Request, question: Any) -> Request:
    """Return the request with another body."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": json.dumps(question).encode(), "more_body": False}

    return Request(request.scope, receive)


FLAWS = (
    Flaw("no credential is asked for", "every-call-needs-a-credential", door=OpenDoor),
    Flaw("strangers are told of their bodies", "every-call-needs-a-credential", door=BodyFirst),
    Flaw("credentials for others are good", "forged-credentials-are-refused", door=AnyAudience),
    Flaw("credentials never expire", "forged-credentials-are-refused", door=NoClock),
    Flaw("credentials last for hours", "forged-credentials-are-refused", door=LongLived),
    Flaw("signatures are not checked", "forged-credentials-are-refused", door=NoSignature),
    Flaw("the first of two credentials counts", "two-credentials-are-none", door=FirstOfTwo),
    Flaw("every service may call", "other-services-are-refused", door=AnyService),
    Flaw("the context decides", "the-context-decides-nothing", factor=NeedsContext),
    Flaw("ready is told in a body", "session-is-let-in", factor=NotReady),
    Flaw("refusals are plain text", "malformed-bodies-are-refused", factor=PlainText),
    Flaw("unknown members pass", "unknown-members-are-refused", factor=Lenient),
    Flaw("bodies of any size pass", "oversized-bodies-are-refused", factor=AnySize),
    Flaw("NUL breaks it", "strange-values-break-nothing", factor=BreaksOnNul),
    Flaw("ids of any shape are looked up", "ids-in-paths-have-a-shape", factor=AnyId),
    Flaw("a member counts that is named twice", "strange-values-break-nothing", factor=TwiceNamed),
    Flaw("any session id is taken", "ids-in-bodies-have-a-shape", factor=AnyIdInside),
    Flaw("nothing is ever missing", "what-was-not-begun-is-not-there", factor=NeverMissing),
    Flaw("proofs of another kind break it", "strange-proofs-are-refused", factor=BreaksOnProofs),
    Flaw("answers are of wrong types", "a-beginning-is-an-offer", factor=NoNonsense),
    Flaw("offers are over at once", "a-beginning-is-an-offer", factor=OverAtOnce),
    Flaw("all secrets are one", "of-two-offers-the-last-counts", factor=SameSecret),
    Flaw("the first offer counts", "of-two-offers-the-last-counts", keeper=FirstOffer),
    Flaw(
        "a session has many offers",
        "an-offer-of-another-id-takes-the-place-too",
        keeper=ManyAtOnce,
    ),
    Flaw("the type is another", "a-right-proof-makes-the-authenticator", factor=OtherType),
    Flaw("a completion is answered once", "completing-is-repeatable", factor=OnlyOnce),
    Flaw("any proof enrols", "a-wrong-proof-makes-nothing", factor=AnyTouch),
    Flaw("any session enrols", "an-enrolment-is-of-its-session", keeper=AnySession),
    Flaw("anybody enrols", "an-enrolment-is-of-its-person", keeper=AnyPerson),
    Flaw("a taken id is given away", "an-id-that-is-taken-stays", keeper=TakesOver),
    Flaw(
        "beginning again loses the key",
        "beginning-again-changes-no-authenticator",
        keeper=ForgetsWhatItHas,
    ),
    Flaw("two completions break it", "parallel-completions-make-one", factor=DoubleEnrolment),
    Flaw("names are lost", "names-are-kept-or-refused", keeper=LosesNames),
    Flaw("secrets are shown for ever", "secrets-are-shown-once", factor=ShowsSecrets),
    Flaw("acceptances name nobody", "a-right-proof-is-accepted", factor=NamesNobody),
    Flaw("the last proof is good again", "a-proof-is-good-once", keeper=Replays),
    Flaw("two at once are both good", "of-parallel-proofs-one-is-accepted", keeper=Races),
    Flaw("the first proof logs in too", "the-proof-that-enrolled-is-spent", keeper=EnrolsForFree),
    Flaw("refusals are errors", "a-wrong-proof-is-an-answer", factor=RefusesByStatus),
    Flaw("refusals say why", "refusals-are-alike", factor=TellsWhy),
    Flaw("all that there is counts", "what-is-not-registered-is-not-judged", keeper=JudgesAll),
    Flaw("the first one is named", "the-authenticator-that-proved-is-named", factor=NamesTheFirst),
    Flaw("a long list is cut off", "up-to-a-hundred-may-be-registered", keeper=JudgesFew),
    Flaw("no list is every one", "an-attempt-names-what-it-is-judged-against", factor=NullIsAll),
    Flaw("the form is another", "the-form-of-codes-is-told", factor=WrongForm),
    Flaw("the form is unheard of", "the-form-of-codes-is-told", factor=UnknownForm),
    Flaw("changes are not told", "changes-are-told", factor=KeepsToItself),
    Flaw("anybody's key is good", "another-persons-proof-is-refused", keeper=JudgesAnybodys),
    Flaw("nothing is removed twice", "removing-is-repeatable", factor=RemovesOnce),
    Flaw("nothing is removed", "removing-is-repeatable", keeper=RemovesNothing),
    Flaw("the removed still proves", "what-is-removed-is-over", keeper=HidesTheRemoved),
    Flaw("the begun is not removed", "a-pending-enrolment-is-removed", keeper=RemovesTheFinished),
    Flaw("anybody removes", "nobody-removes-another-persons", keeper=RemovesAnybodys),
    Flaw("the revision stands still", "the-revision-follows-the-set", factor=OneRevision),
    Flaw("the revision is a number", "the-revision-follows-the-set", factor=CountsOnly),
    Flaw("the revision runs on", "the-revision-follows-the-set", factor=Restless),
    Flaw("nobody is forgotten twice", "forgetting-is-repeatable", factor=ForgetsOnce),
    Flaw("the begun is not forgotten", "forgetting-takes-everything", keeper=ForgetsTheFinished),
    Flaw("all are forgotten", "forgetting-takes-everything", keeper=ForgetsEverybody),
    Flaw("anybody renames", "renaming-is-repeatable", keeper=RenamesAnybodys),
    Flaw("anybody's is revealed", "revealing-shows-ones-own", factor=RevealsAnybodys),
)
"""Every one is found, each by the rule that is about it."""
