"""The factor that is examined: where it is, who may call it, and how right proofs are made."""

from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from services.cli.conformance.device import Device
from shared.auth import PrivateKey
from shared.clock import Clock, utc_now


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What the kit is told of a factor.

    `key` is that of a caller whom the factor takes for session, `audience` the name by which it
    is called, `type` the kind of its authenticators. Without a `device` nothing is enrolled, and
    with a `stranger`'s key it is seen whether another service may call.

    `transport` stands in for the network, and `clock` is the one that credentials are made by.
    Each race is run so many `rounds`.
    """

    url: str
    key: PrivateKey
    audience: str
    type: str
    device: Callable[[], Device] | None = None
    stranger: PrivateKey | None = None
    transport: httpx.AsyncBaseTransport | None = field(default=None, repr=False)
    clock: Clock = utc_now
    rounds: int = 3
