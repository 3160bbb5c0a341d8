"""What requests look like: what is malformed is told so, and nothing breaks the factor."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from services.cli.conformance.bench import Bench, Reply, new_id
from services.cli.conformance.calls import ASKING, BEGIN, CALLS, COMPLETE, Call, sample
from services.cli.conformance.device import Json
from services.cli.conformance.person import Person, is_no_acceptance
from shared.http.bodies import MAX_BODY

NOT_OBJECTS = {
    "an empty body": b"",
    "what is not JSON": b"{",
    "what is not UTF-8": b'{"a": "\xff"}',
    "a number that is no number": b'{"session_id": NaN}',
    "a list": b"[]",
    "null": b"null",
    "a text": b'"x"',
    "brackets without end": b"[" * 60_000,
}

STRANGE = {
    "a huge number": b'{"session_id": 1e999}',
    "a long number": b'{"session_id": ' + b"9" * 5000 + b"}",
    "NUL": b'{"session_id": "\\u0000"}',
    "half a character": b'{"session_id": "\\ud800"}',
    "deep nesting": b'{"proof": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
}

TOO_LONG = "a" * 65
BAD_IDS = ("%00", "a%20b", "%F0%9F%98%80", "%ff", TOO_LONG, "a" * 3000, "a%0a", "a.b", "..%2f..")
BAD_TEXTS = ("", "a b", "a.b", "é", TOO_LONG, "a\n")

WRONG_TYPES: Mapping[str, tuple[Any, ...]] = {
    "session_id": (1, None, ["a"]),
    "account_name": (1, None, "", "a" * 321),
    "options": (1, None, []),
    "proof": (1, None, [], "x"),
    "name": (1, "a" * 101, ["a"]),
    "purpose": (1, None, "", "payment"),
    "authenticators": (1, "a", [1], {}, ["a"] * 101),
}


async def malformed_bodies_are_refused(bench: Bench) -> None:
    """What is no JSON object, or has members of the wrong type or too few, is 400."""
    for asked in await _answered(bench):
        for what, content in NOT_OBJECTS.items():
            (await asked.with_content(content)).is_refused(400, of=what)
        for what, body in _wrong(asked):
            (await asked.with_body(body)).is_refused(400, of=what)


async def unknown_members_are_refused(bench: Bench) -> None:
    """A member that the factor does not know is 400: it may be one that matters."""
    for asked in await _answered(bench):
        reply = await asked.with_body({**asked.body, "surprise": 1})
        reply.is_refused(400, of="an unknown member")


async def oversized_bodies_are_refused(bench: Bench) -> None:
    """More than 64 KiB is 400 (or 413)."""
    for asked in await _answered(bench):
        content = json.dumps(asked.body).encode() + b" " * MAX_BODY
        (await asked.with_content(content)).is_refused(400, 413, of="a body that is too large")


async def strange_values_break_nothing(bench: Bench) -> None:
    """JSON that two readers may understand differently is 400, and never an error of the server."""
    for asked in await _answered(bench):
        for what, content in STRANGE.items():
            (await asked.with_content(content)).is_refused(400, of=what)
        members = json.dumps(asked.body).removesuffix("}")
        name = next(iter(asked.body))
        twice = f"{members}, {json.dumps(name)}: {json.dumps(asked.body[name])}}}"
        (await asked.with_content(twice.encode())).is_refused(400, of="a member named twice")


async def ids_in_paths_have_a_shape(bench: Bench) -> None:
    """Ids are 1 to 64 of A-Z, a-z, 0-9, - and _. All others are 400 or 404."""
    user_id = bench.new_user()
    for call in CALLS:
        body = None if call.question is None else sample(call)
        for place in range(call.path.count("{")):
            for bad in BAD_IDS:
                ids = [user_id, new_id()]
                ids[place] = bad
                reply = await bench.call(call, *ids, body=body)
                statuses = (400, 404, 405) if call.optional else (400, 404)
                reply.is_refused(*statuses, of="an id of another shape")


async def ids_in_bodies_have_a_shape(bench: Bench) -> None:
    """The same holds for the ids in questions; there it is 400."""
    for asked in await _answered(bench):
        for text in BAD_TEXTS:
            for name, value in (("session_id", text), ("authenticators", [text])):
                if name in asked.body:
                    reply = await asked.with_body({**asked.body, name: value})
                    reply.is_refused(400, of=f"an id of another shape in {name}")


async def strange_proofs_are_refused(bench: Bench) -> None:
    """Whatever stands in a proof is refused, by an answer or by 400, and never breaks anything."""
    ada, bob = Person(bench), Person(bench)
    await ada.enrol()
    await bob.begin()
    for proof in (*PROOFS, *_mutilated(ada.proof)):
        reply = await ada.verifying(proof)
        reply.is_no_breakdown(of="a strange proof")
        is_no_acceptance(reply, of="a strange proof", statuses=(400,))
        reply = await bob.completing(proof)
        reply.is_no_breakdown(of="a strange proof")
        if bob.device.enrols_by_proof:
            is_no_acceptance(reply, of="a strange proof", statuses=(400, 404))


PROOFS: tuple[Json, ...] = (
    {},
    {"code": None},
    {"code": 0},
    {"code": ""},
    {"code": "x" * 20_000},
    {"code": "\u0661" * 6},
    {"code": ["1"]},
    {"code": "000000", "more": 1},
    {"credential": {}},
    {"credential": {"id": "x", "rawId": "x", "type": "public-key", "response": {}}},
    {"credential": {"id": 7, "response": []}},
)


def _mutilated(proof: Json) -> Iterator[Json]:
    """Yield `proof` with each of its values in turn replaced by something else."""
    values: tuple[Any, ...] = ("", "€", "A" * 5000, 7, None, [], {})
    for path in _paths(proof):
        for value in values:
            yield _with(proof, path, value)


def _paths(value: Any, at: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if at:
        yield at
    if isinstance(value, Mapping):
        for name, child in value.items():
            yield from _paths(child, (*at, name))


def _with(value: Json, path: tuple[str, ...], new: Any) -> Json:
    head, *rest = path
    inner = new if not rest else _with(value[head], tuple(rest), new)
    return {**value, head: inner}


@dataclass(frozen=True)
class Asked:
    """A call with a body that the factor answers: what is changed of it is all that is wrong."""

    bench: Bench
    call: Call
    user_id: str
    id: str
    body: Json

    async def with_body(self, body: Json) -> Reply:
        """Make the call with another body."""
        return await self.bench.call(self.call, self.user_id, self.id, body=body)

    async def with_content(self, content: bytes) -> Reply:
        """Make the call with other bytes."""
        return await self.bench.call(self.call, self.user_id, self.id, content=content)


async def _answered(bench: Bench) -> list[Asked]:
    """Return the calls with a body that the factor has.

    With a prover they are of somebody who is enrolled, with proofs that were right and are spent;
    without one the proofs are empty, and may be what is refused.
    """
    ada = None if bench.subject.device is None else Person(bench)
    spent: Json = {}
    if ada is not None:
        await ada.enrol()
        spent = await ada.prove()
        await ada.verify(spent)
    found = []
    for call in ASKING:
        asked = _asked(bench, call, ada, spent)
        reply = await asked.with_body(asked.body)
        if call.optional and reply.is_absence:
            continue
        if ada is not None:
            reply.has(200)
        found.append(asked)
    return found


def _asked(bench: Bench, call: Call, ada: Person | None, spent: Json) -> Asked:
    body = sample(call)
    if ada is None:
        return Asked(bench, call, bench.new_user(), new_id(), body)
    own = {
        "session_id": ada.session_id,
        "authenticators": [ada.id],
        "proof": ada.proof if call is COMPLETE else spent,
    }
    body |= {name: value for name, value in own.items() if name in body}
    return Asked(bench, call, ada.user_id, new_id() if call is BEGIN else ada.id, body)


def _wrong(asked: Asked) -> Iterator[tuple[str, Json]]:
    for name in asked.body:
        if name != "authenticators":  # those are left out where nobody is known
            rest = {other: value for other, value in asked.body.items() if other != name}
            yield f"a body without {name}", rest
    fields = () if asked.call.question is None else tuple(asked.call.question.model_fields)
    for name in fields:
        for value in WRONG_TYPES[name]:
            yield f"a {name} of another kind", {**asked.body, name: value}


RULES = (
    malformed_bodies_are_refused,
    unknown_members_are_refused,
    oversized_bodies_are_refused,
    strange_values_break_nothing,
    ids_in_paths_have_a_shape,
    ids_in_bodies_have_a_shape,
    strange_proofs_are_refused,
)
