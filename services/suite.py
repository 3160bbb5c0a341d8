"""Which services the suite consists of, and what sets each of them apart.

Only the standard library is used here: the supervisor reads it and stays small.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Service:
    """One service: the folder of that name beside this file."""

    name: str
    place: int  # added to 8000, 9000 and 9010 it gives the ports that are its own by default
    keys: tuple[str, ...] = ()  # that nobody else has, by what is done with them
    is_factor: bool = False  # it speaks the factor protocol, and session calls it


ALL = (
    Service("session", 0, keys=("caller", "event", "sealing")),
    Service("totp", 1, keys=("event", "sealing"), is_factor=True),
    Service("recovery", 2, keys=("event", "sealing"), is_factor=True),
    Service("audit", 3, keys=("checkpoint", "event", "sealing")),
    Service("webauthn", 4, keys=("event",), is_factor=True),
)
"""Every service, in the order in which they are listed to people."""

SERVICES = tuple(service.name for service in ALL)
FACTORS = tuple(service.name for service in ALL if service.is_factor)
