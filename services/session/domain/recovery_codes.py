"""Recovery codes on a sheet, to be downloaded and printed."""

from collections.abc import Sequence
from datetime import datetime


def sheet(codes: Sequence[str], *, site: str, account: str, at: datetime) -> str:
    """Return what tells its finder the codes, whose they are, and nothing else to get in with."""
    lines = [
        f"Recovery codes for {account} at {site}",
        f"As of {at:%Y-%m-%d}",
        "",
        "Each code works once, in place of the second factor, when you log in",
        "and your device is not at hand. Keep them where your device is not.",
        "",
        *codes,
    ]
    return "\n".join(lines) + "\n"
