"""What the ledger tells on the wire."""

from pydantic import BaseModel, ConfigDict, JsonValue

END = "end"
"""The cursor behind the newest entry: for readers who want only what comes next."""


class Out(BaseModel):
    """What is answered."""

    model_config = ConfigDict(frozen=True)


class EntryOut(Out):
    """One entry: its number, when it arrived, and the event as its source signed it.

    A `redacted` one has lost what was personal in it, and with that its signature's meaning. One
    that is `dropped` is not kept any more, but for what is in the tree: id, type, source and time.
    """

    entry: int
    received_at: float  # seconds since 1970
    event: dict[str, JsonValue]
    redacted: bool = False
    dropped: bool = False


class Feed(Out):
    """Entries in order, and the cursor to ask for those behind them."""

    events: list[EntryOut]
    next: str


class CheckpointOut(Out):
    """A signed note in the form of C2SP's tlog-checkpoint, and how many entries it is of."""

    size: int
    note: str


class Checkpoints(Out):
    """Checkpoints in order, smallest first."""

    checkpoints: list[CheckpointOut]


class InclusionOut(Out):
    """Shows that an entry is in the tree whose root is in the checkpoint: RFC 9162 section 2.1.3.

    `leaf` is what is hashed; in it, `event` is the SHA-256 of the sealed event, hexadecimal.
    `index` counts from 0, the hashes are in base64.
    """

    entry: int
    index: int
    size: int
    leaf: str
    event: str | None
    hashes: list[str]
    checkpoint: str


class ConsistencyOut(Out):
    """Shows that the tree of `second` entries begins with that of `first`: section 2.1.4."""

    first: int
    second: int
    hashes: list[str]


class KeptOut(Out):
    """An entry as it is kept, sealed, with its leaf hash and link; both hexadecimal.

    `event` is null if it is not kept any more.
    """

    leaf: str
    event: str | None
    hash: str
    chain: str


class SourceOut(Out):
    """How far the numbers of a source have come. A gap is a loss, or under way for a moment."""

    source: str
    last: int
    missing: int
    gaps: list[tuple[int, int]]
    repeated: int


class Sources(Out):
    """All that have sent an event."""

    sources: list[SourceOut]
