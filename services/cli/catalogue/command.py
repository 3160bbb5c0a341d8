"""The command, and which forms there are."""

import json
from collections.abc import Callable

import click

from services.catalogue import catalogue as entries
from services.cli.catalogue.asyncapi import asyncapi
from services.cli.catalogue.page import page
from services.cli.catalogue.schemas import schemas
from services.cli.catalogue.typed import typed

FORMS: dict[str, Callable[[], str]] = {
    "markdown": lambda: page(entries()),
    "schemas": lambda: _json(schemas(entries())),
    "asyncapi": lambda: _json(asyncapi(entries())),
    "python": lambda: typed(entries()),
}
"""Each form by its name, and what writes it."""


@click.command()
@click.option("--form", type=click.Choice(list(FORMS)), default="markdown", show_default=True)
def catalogue(form: str) -> None:
    """Print every type of event: for people, as JSON Schemas, as AsyncAPI, as types for Python."""
    click.echo(FORMS[form](), nl=False)


def _json(document: object) -> str:
    return json.dumps(document, indent=2) + "\n"
