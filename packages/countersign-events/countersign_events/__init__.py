"""The events of Countersign, as whoever takes them off the bus reads and checks them.

`wire` is the form of an event and the check of its signature, `keys` what that is checked with,
`serializer` how kombu and Celery read a message, `types` the catalogue of what there is.
"""

from countersign_events.keys import PublicKey, PublicKeys
from countersign_events.serializer import register_serializer
from countersign_events.wire import CONTENT_TYPE, EventVerifier, Flaw, Received, Refused

__all__ = [
    "CONTENT_TYPE",
    "EventVerifier",
    "Flaw",
    "PublicKey",
    "PublicKeys",
    "Received",
    "Refused",
    "register_serializer",
]
