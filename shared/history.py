"""The contract between session and the ledger about what has happened to a person."""

from pydantic import Field, JsonValue

from shared.factor import Answer

MAX_EVENTS = 200  # in one answer


class PastEvent(Answer):
    """Something that happened to a person. `entry` grows from one to the next.

    `outcome` is `success` or `failure`, `session` the hash by which events name a session, and
    `data` what is particular to this type of event. Where nothing is known any more of who asked,
    `address` and `user_agent` are None.
    """

    entry: int
    type: str
    occurred_at: float  # seconds since 1970
    outcome: str
    address: str | None = None
    user_agent: str | None = None
    session: str | None = None
    data: dict[str, JsonValue] = Field(default_factory=dict)


class History(Answer):
    """What happened to a person, the newest first."""

    events: list[PastEvent] = Field(max_length=MAX_EVENTS)
