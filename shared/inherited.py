"""File descriptors that a process gets from the one that started it, named by the environment."""

import os

from shared.errors import ConfigurationError

PARENT_FD = "COUNTERSIGN_PARENT_FD"
"""Names the descriptor of a pipe whose other end the parent holds, and never writes to."""

START_FD = "COUNTERSIGN_START_FD"
"""Names the descriptor of a pipe that the parent writes to when it is time to start.

Nobody reads it: what was written stays there for all who hold the pipe, and who come later.
"""

DIGITS = 9  # no system has so many descriptors that one takes more


def inherited(name: str) -> int | None:
    """Return the descriptor that the variable `name` tells, None if it is not set.

    Whether it is open is not asked. Raises ConfigurationError if it cannot be a descriptor.
    """
    number = os.environ.get(name)
    if number is None:
        return None
    if not (number.isascii() and number.isdigit() and len(number) <= DIGITS):
        raise ConfigurationError([f"{name} must be the number of a file descriptor."])
    return int(number)
