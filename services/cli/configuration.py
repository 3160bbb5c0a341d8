"""`countersign configuration`: every setting, as docs/configuration.md has them."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any

import click
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from services.cli.bus.settings import BusSettings, passwords_class
from services.cli.environment import SETTINGS
from services.cli.events import ReaderSettings
from services.embedded import settings_class
from services.suite import SERVICES
from shared.settings import ServiceSettings, duration_text, needed_by, parse_duration

INTRODUCTION = """\
# Configuration

Written by `make docs` from the settings classes; do not edit.

Settings come from the environment. Any setting `X` may be given as `X_FILE` instead, the path of a
file with the value, which is how secrets are best handed over. Durations are `30s`, `5m`, `1h30m`,
`14d` or seconds; lists are `totp,webauthn` or JSON. What cannot work is refused at the start, all
of it at once; `countersign doctor` says the same, and whether keys fit each other and servers
answer.

A setting that django-allauth has, or Django, keeps its name, and its default there stands beside
ours. `countersign up` makes up what is missing for a suite on one machine: keys and databases under
`VAR_DIR`, a broker of its own, addresses from the ports. `deploy/development.env` is what
`make run` adds to that.
"""


@click.command()
def configuration() -> None:
    """Print every setting with its default and effect, in Markdown."""
    click.echo(document(), nl=False)


def document() -> str:
    """Return docs/configuration.md."""
    return "\n".join((INTRODUCTION, *_sections()))


def _sections() -> Iterator[str]:
    own = [(s.name, f"`{s.default}`", s.description) for s in SETTINGS]
    yield _table("The suite and its processes", "Where things are on one machine.", own)
    classes = {service: settings_class(service) for service in SERVICES}
    shared = set.intersection(*(set(kind.model_fields) for kind in classes.values()))
    some = next(iter(classes.values()))
    yield _table("Every service", "", _rows(some, shared))
    for service, kind in classes.items():
        yield _table(service, "", _rows(kind, kind.model_fields.keys() - shared))
    users = passwords_class()
    told = [*_rows(BusSettings, BUS), *_rows(users, users.model_fields.keys() - shared)]
    lead = "For `countersign bus`, besides `BROKER_URL` with an administrator in it."
    yield _table("Looking after the bus", lead, told)
    yield _table("Reading the ledger", "For `countersign events`.", _rows(ReaderSettings, READER))


BUS = BusSettings.model_fields.keys() - ServiceSettings.model_fields.keys() - {"broker_url"}
READER = ReaderSettings.model_fields.keys() - ServiceSettings.model_fields.keys()


def _rows(kind: type[ServiceSettings], names: Iterable[str]) -> list[tuple[str, str, str]]:
    wanted = set(names)
    return [
        (name.upper(), _default(field), _effect(field))
        for name, field in kind.model_fields.items()
        if name in wanted
    ]


def _table(title: str, lead: str, rows: list[tuple[str, str, str]]) -> str:
    lines = [f"## {title}", "", *([lead, ""] if lead else [])]
    lines += ["| setting | default | effect |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | {default} | {effect} |" for name, default, effect in rows]
    return "\n".join(lines) + "\n"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    if by := needed_by(field):
        return f"required by the {by}"
    value = field.get_default(call_default_factory=True, validated_data={})
    told = f"`{_plain(value)}`" if _plain(value) else "none"
    extra = field.json_schema_extra
    theirs = str(extra["allauth"]) if isinstance(extra, dict) and "allauth" in extra else None
    if theirs is None:
        return told
    return f"{told} (allauth: {'the same' if _same(theirs, value) else f'`{theirs}`'})"


def _same(theirs: str, value: Any) -> bool:
    """Return whether a default of allauth, written as Python has it, is `value`."""
    word = theirs.removesuffix(" (Django's)").lower().replace(", ", ",")
    if isinstance(value, timedelta):
        told = word.replace(" days", "d")
        return parse_duration(told) == value if told[:1].isdigit() else False
    return word.replace("none", "") == _plain(value).lower()


def _effect(field: FieldInfo) -> str:
    return " ".join((field.description or "").split()).replace("|", "\\|")


def _plain(value: Any) -> str:
    """Return a value as one would write it in the environment; what is not set is empty."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, timedelta):
        return duration_text(value)
    if isinstance(value, SecretStr):  # a default is nobody's secret
        return value.get_secret_value()
    if isinstance(value, (tuple, frozenset)):
        return ",".join(value if isinstance(value, tuple) else sorted(value))
    return "" if value is None else str(value)
