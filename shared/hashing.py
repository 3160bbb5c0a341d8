"""Keys that hash what is too short to be hashed bare, made of a ring that may be turned."""

from dataclasses import dataclass, field

from shared.cipher import KeyRing
from shared.token import keyed_hash


@dataclass(frozen=True)
class HashingKeys:
    """The keys of a ring for one purpose: what one hashes, the key of another does not know.

    `primary` hashes what is new; a hash of before the ring was turned may be by any of `every`.
    """

    primary: bytes = field(repr=False)
    every: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def of(cls, ring: KeyRing, *purpose: str) -> "HashingKeys":
        """Return those that are made of the keys of `ring` for `purpose`."""
        keys = {name: keyed_hash(key, *purpose) for name, key in ring.keys.items()}
        return cls(keys[ring.primary], tuple(keys.values()))
