"""Whether an event tells of something that went as it should."""

import re
from enum import StrEnum

_FAILURES = re.compile(
    r"(?:^|[._])(?:abandoned|failed|given_up|limited|refused|rejected|replayed|reused|suspected)$"
)


class Outcome(StrEnum):
    """How it ended: `failure` is what was refused, wrong, over a limit, or given up."""

    SUCCESS = "success"
    FAILURE = "failure"


def outcome_of(type: str) -> Outcome:
    """Return the outcome that the name of a type of event tells."""
    return Outcome.FAILURE if _FAILURES.search(type) else Outcome.SUCCESS
