"""Has a process read the time from the file that `TURNED_CLOCK` names, and not from the system.

Python imports this at its start wherever this folder is in PYTHONPATH: `tests.reference.running`
puts it there for the processes of a suite whose clock tests turn.
"""

import os
from datetime import datetime
from pathlib import Path

from shared import clock

FILE = Path(os.environ["TURNED_CLOCK"])


def told() -> datetime:
    """Return what the clock shows."""
    return datetime.fromisoformat(FILE.read_text())


clock.utc_now = told
