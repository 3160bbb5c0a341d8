"""What there is to be translated, and the catalogues: `make messages` brings them up to date."""

from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po, write_po

from services.session.domain.languages import ENGLISH, NAMES
from tests.suites import ROOT

SESSION = ROOT / "services" / "session"
LOCALES = SESSION / "gateway" / "locales"
LANGUAGES = [language for language in NAMES if language != ENGLISH]
KEYWORDS = {"_": None, "gettext": None, "ngettext": (1, 2), "marked": None}
PAGES = {"trimmed": "true", "silent": "false"}
MAILS = {"trimmed": "false", "silent": "false"}


def wanted() -> Catalog:
    """Return everything that is said in English, with where."""
    catalogue = Catalog(charset="utf-8")
    for path, line, message, comments in _found():
        catalogue.add(message, None, [(path, line)], auto_comments=comments)
    return catalogue


def catalogue_of(language: str) -> Catalog:
    """Return the translations into a language; empty if there are none yet."""
    path = LOCALES / f"{language}.po"
    if not path.exists():
        return Catalog(locale=language, charset="utf-8")
    with path.open("rb") as file:
        return read_po(file, locale=language)


def update() -> None:
    """Put what is new into each catalogue, and take out what is said no more."""
    template = wanted()
    for language in LANGUAGES:
        catalogue = catalogue_of(language)
        catalogue.update(template, no_fuzzy_matching=True)
        catalogue.obsolete.clear()
        catalogue.project, catalogue.version = "Countersign", ""
        with (LOCALES / f"{language}.po").open("wb") as file:
            write_po(
                file, catalogue, width=100, omit_header=True, no_location=True, sort_output=True
            )


def _found() -> Iterator[tuple[str, int, str | tuple[str, ...], list[str]]]:
    sources: list[tuple[Path, str, str, dict[str, str]]] = [
        (SESSION / "pages", "*.py", "python", {}),
        (SESSION / "gateway", "*.py", "python", {}),
        (SESSION / "pages" / "templates", "*.html", "jinja2", PAGES),
        (SESSION / "gateway" / "templates", "*.txt", "jinja2", MAILS),
    ]
    for folder, pattern, method, options in sources:
        for path in sorted(folder.glob(pattern)):
            for line, message, comments, _ in extract_from_file(
                method, path, keywords=KEYWORDS, options=options
            ):
                yield path.relative_to(ROOT).as_posix(), line, message, list(comments)


if __name__ == "__main__":
    update()
