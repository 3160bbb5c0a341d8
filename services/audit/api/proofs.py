"""What shows that nobody has touched the ledger: checkpoints, proofs, and entries as hashed."""

from base64 import b64encode
from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from services.audit.api.flows import ProvingFlow
from services.audit.domain.entries import envelope
from services.audit.domain.verification import Kept
from services.audit.flows.proving import Proving
from services.audit.schemas import (
    CheckpointOut,
    Checkpoints,
    ConsistencyOut,
    InclusionOut,
    KeptOut,
    SourceOut,
    Sources,
)

AT_ONCE = 500  # entries
LARGEST = 2**63 - 1

router = APIRouter()

Number = Annotated[int, Path(ge=1, le=LARGEST)]
Size = Annotated[int, Query(ge=1, le=LARGEST)]


@router.get("/v1/checkpoint", response_class=PlainTextResponse)
async def newest(flow: ProvingFlow) -> Response:
    """Return the newest checkpoint, as it was signed."""
    return PlainTextResponse((await flow.checkpoint()).note)


@router.get("/v1/checkpoints")
async def checkpoints(
    flow: ProvingFlow,
    after: Annotated[int, Query(ge=0, le=LARGEST)] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Checkpoints:
    """Return checkpoints of more than `after` entries."""
    found = await flow.checkpoints(after, limit)
    return Checkpoints(checkpoints=[CheckpointOut(size=c.size, note=c.note) for c in found])


@router.get("/v1/entries/{number}/proof")
async def inclusion(
    number: Number, flow: ProvingFlow, size: Annotated[int | None, Query(ge=1, le=LARGEST)] = None
) -> InclusionOut:
    """Prove that an entry is in the tree of a checkpoint: of `size`, or the first that has it."""
    proof = await flow.inclusion(number, size)
    return InclusionOut(
        entry=number,
        index=number - 1,
        size=proof.size,
        leaf=envelope(proof.entry),
        event=proof.entry.event,
        hashes=_encoded(proof.hashes),
        checkpoint=proof.note,
    )


@router.get("/v1/consistency")
async def consistency(flow: ProvingFlow, first: Size, second: Size) -> ConsistencyOut:
    """Prove that the first `first` of `second` entries have stayed what they were."""
    proof = await flow.consistency(first, second)
    return ConsistencyOut(first=first, second=second, hashes=_encoded(proof.hashes))


@router.get("/v1/sources")
async def sources(flow: ProvingFlow) -> Sources:
    """Return how complete the events of each source are."""
    return Sources(
        sources=[
            SourceOut(
                source=c.source,
                last=c.last,
                missing=c.missing,
                gaps=list(c.gaps),
                repeated=c.repeated,
            )
            for c in await flow.coverage()
        ]
    )


@router.get("/v1/entries/export", response_class=StreamingResponse)
async def export(flow: ProvingFlow) -> Response:
    """Return all checkpoints, and then all entries as they are kept, as lines of JSON.

    This is what `countersign audit verify --export` reads. Nothing personal is in it that could be
    read without the keys.
    """
    return StreamingResponse(_exported(flow), media_type="application/jsonl")


async def _exported(flow: Proving) -> AsyncIterator[str]:
    async for checkpoint in _all_checkpoints(flow):
        yield f"{checkpoint.model_dump_json()}\n"
    last = await flow.last()
    for after in range(0, last, AT_ONCE):
        page = await flow.kept(after, min(AT_ONCE, last - after))
        yield "".join(f"{line}\n" for kept in page for line in _lines(kept))


async def _all_checkpoints(flow: Proving) -> AsyncIterator[CheckpointOut]:
    size = 0
    while found := await flow.checkpoints(size, AT_ONCE):
        for record in found:
            yield CheckpointOut(size=record.size, note=record.note)
        size = found[-1].size


def _lines(kept: Kept) -> Sequence[str]:
    return [
        KeptOut(
            leaf=envelope(entry),
            event=entry.event,
            hash=kept.leaf.nodes[0].hex() if kept.leaf else "",
            chain=kept.leaf.chain.hex() if kept.leaf else "",
        ).model_dump_json()
        for entry in kept.entries
    ]


def _encoded(hashes: Sequence[bytes]) -> list[str]:
    return [b64encode(found).decode() for found in hashes]
