"""What an operator may replace: the templates by their names, and what is wrong with theirs."""

from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from jinja2 import TemplateError

from services.session.pages.writer import environment_with, loader_over


def names() -> frozenset[str]:
    """Return the names of our templates."""
    ours = files("services.session.pages") / "templates"
    return frozenset(entry.name for entry in ours.iterdir() if entry.name.endswith(".html"))


def page_template_problems(folder: Path) -> Iterator[str]:
    """Yield what is wrong with a folder of templates, one sentence each."""
    if not folder.is_dir():
        yield "is not a folder"
        return
    environment = environment_with(loader_over(folder))
    for path in sorted(folder.rglob("*.html")):
        name = path.relative_to(folder).as_posix()
        if name not in names() and "/" not in name:
            yield f"has {name}, which is the name of no template"
            continue
        try:
            environment.get_template(name)
        except (TemplateError, UnicodeDecodeError) as error:
            yield f"has {name}, which cannot be read: {error}"
