"""How a command says that it cannot go on: in plain sentences, without a stack trace."""

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec

import click

from shared.errors import ConfigurationError, CountersignError

EX_CONFIG = 78  # sysexits.h; the supervisor does not try again what ended with it

P = ParamSpec("P")


class Misconfigured(click.ClickException):
    """Settings that cannot work."""

    exit_code = EX_CONFIG


def telling(command: Callable[P, None]) -> Callable[P, None]:
    """Have `command` end with a message for what Countersign raises on purpose."""

    @wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> None:
        try:
            command(*args, **kwargs)
        except ConfigurationError as error:
            raise Misconfigured(
                "\n".join(("cannot work with these settings:", *error.problems))
            ) from None
        except CountersignError as error:
            raise click.ClickException(error.detail or error.code) from error

    return told
