"""What the ledger's feed looks like on the wire."""

from pydantic import BaseModel, ConfigDict, JsonValue

END = "end"
"""The cursor behind the newest entry: for readers who want only what comes next."""


class EntryOut(BaseModel):
    """One entry: its number, when it arrived, and the event as its source signed it.

    A `redacted` one has lost what was personal in it, and with that its signature's meaning.
    """

    model_config = ConfigDict(frozen=True)

    entry: int
    received_at: float  # seconds since 1970
    event: dict[str, JsonValue]
    redacted: bool = False


class Feed(BaseModel):
    """Entries in order, and the cursor to ask for those behind them."""

    model_config = ConfigDict(frozen=True)

    events: list[EntryOut]
    next: str
