"""A group of commands, some of which are imported only when they are called."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click

from services.cli.loading import loading


class LazyGroup(click.Group):
    """A group whose commands named in `later` are imported, from the module told there, by name.

    So that nobody loads what only another command needs.
    """

    def __init__(self, *args: Any, later: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._later = later

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *self._later])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._later:
            return super().get_command(ctx, cmd_name)
        with loading():
            command: click.Command = getattr(import_module(self._later[cmd_name]), cmd_name)
        return command
