"""Passwords hashed cheaply, where a test is not about how hard they are to guess."""

from typing import Any

QUICK = {"password_hash_memory": 8, "password_hash_passes": 1}
"""Settings of session; the real ones would take a third of the time of all tests."""


def quickly(settings: dict[str, Any]) -> dict[str, Any]:
    """Return settings of session with cheap hashes, where they are for development."""
    return QUICK | settings if settings["countersign_development"] else settings
