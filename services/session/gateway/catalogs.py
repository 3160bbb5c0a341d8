"""Translations: what is said in English, said in other languages.

The catalogues are `locales/<language>.po`. They are read as they are, once each, so that there is
nothing to be compiled and nothing that could be older than its source.
"""

from functools import cache
from gettext import GNUTranslations, NullTranslations
from importlib.resources import files
from io import BytesIO

from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from services.session.domain.languages import ENGLISH


def marked(text: str) -> str:
    """Return `text` as it is, and mark it as one that is translated where it is shown."""
    return text


@cache
def translations(language: str) -> NullTranslations:
    """Return how things are said in a language of `domain.languages`."""
    if language == ENGLISH:
        return NullTranslations()
    source = files(__package__) / "locales" / f"{language}.po"
    with source.open("rb") as file:
        catalogue = read_po(file, locale=language)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    return GNUTranslations(BytesIO(compiled.getvalue()))
