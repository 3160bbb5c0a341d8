"""The `countersign` command.

Each command is a module of its own and is imported when it is called, so that the supervisor
stays small and an image with one factor needs no other factor's packages.
"""

from collections.abc import Sequence

import click

from services.cli.group import LazyGroup

COMMANDS = {
    "up": "Start the whole suite and keep it running.",
    "serve": "Serve the HTTP API of one or several services.",
    "worker": "Run the background work of one or several services.",
    "migrate": "Bring the databases up to date.",
    "keys": "Make and check the keys of the suite, and reseal by new ones.",
    "bus": "Declare and check the audit bus, its users, and look after dead letters.",
    "user": "Look after accounts: create, disable, unlock, delete and more.",
    "events": "Print what reached the audit ledger.",
    "catalogue": "Print every type of event, as docs/events.md has them.",
    "audit": "Verify, export and look after the audit ledger.",
    "mail": "Print the development inbox.",
    "factor": "Hold a factor against the protocol, and print that.",
    "doctor": "Say in plain words what is wrong with the configuration.",
    "configuration": "Print every setting, as docs/configuration.md has them.",
}
"""Name and summary of each command; the module of that name has the command itself."""


class Commands(LazyGroup):
    """A group that says what its commands are for without importing any."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=Commands,
    later={name: f"services.cli.{name}" for name in COMMANDS},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="countersign")
def countersign() -> None:
    """Multi-factor authentication as a suite of small services."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command that `arguments` (default: the process's own) ask for, and exit."""
    countersign.main(args=arguments, prog_name="countersign")
