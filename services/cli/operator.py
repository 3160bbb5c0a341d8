"""Who runs a command, for the events that come of it."""

import os
from pwd import getpwuid
from socket import gethostname

from shared import context


def act() -> None:
    """Let what is done from now on be on behalf of whoever runs this process."""
    context.enter(context.Context(request_id=context.new_request_id(), operator=_operator()))


def _operator() -> str:
    """Return who runs this, as the machine knows them: behind `sudo`, who called that."""
    return f"{os.environ.get('SUDO_USER') or _account()}@{gethostname()}"


def _account() -> str:
    try:
        return getpwuid(os.getuid()).pw_name
    except KeyError:  # as in a container that was told another user
        return str(os.getuid())
