"""What a reader of the ledger may do, each by a credential of its own."""

from collections.abc import Mapping
from enum import StrEnum


class Scope(StrEnum):
    """One kind of access."""

    FEED = "feed"  # every event, as it was signed
    PROOFS = "proofs"  # entries as they are hashed, checkpoints, proofs, how complete sources are
    HISTORY = "history"  # what happened to one person at a time
    FORGET = "forget"  # have a person forgotten


Scopes = Mapping[str, frozenset[Scope]]
"""What each caller may do, by the name that its key has."""


def who_may(scopes: Scopes, scope: Scope) -> frozenset[str]:
    """Return the callers that have a scope."""
    return frozenset(caller for caller, granted in scopes.items() if scope in granted)
