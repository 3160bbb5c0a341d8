"""`countersign mail`: what would have been mailed, had there been a mail server."""

import click

from services.cli.environment import recall
from services.cli.failing import telling
from services.session.gateway.postbox import Inbox, text_of


@click.command()
@click.option("--last", default=5, show_default=True, help="How many messages to print.")
@telling
def mail(last: int) -> None:
    """Print the development inbox, the newest message last."""
    suite = recall()
    messages = Inbox(suite.var_dir / "inbox").messages(last)
    if not messages:
        click.echo("The inbox is empty.")
    for message in reversed(messages):
        for name in ("To", "Date", "Subject"):
            click.echo(f"{name}: {message[name]}")
        click.echo(f"\n{text_of(message).strip()}\n")
