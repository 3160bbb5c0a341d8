"""Everything that people read is there in every language, and says the same."""

import re
from functools import cache

import pytest

from services.session.domain.languages import NAMES, Languages
from services.session.domain.mails import MailKind
from services.session.gateway.catalogs import translations
from services.session.gateway.templates import SAMPLE, SAMPLES, Templates
from tests.translations import LANGUAGES, LOCALES, catalogue_of, wanted

PLACE = re.compile(r"%\(\w+\)[a-z]")
TAG = re.compile(r"</?\w+")
ALIKE = {"Passkey", "Code", "Account", "Sessions", "Name", "Error:", "QR"}
"""Words that are the same in some other language."""


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_left_to_translate_and_nothing_is_left_over(language: str) -> None:
    """Whoever adds a text runs `make messages` and translates it."""
    said = {message.id for message in wanted() if message.id}
    catalogue = {message.id: message for message in catalogue_of(language) if message.id}

    assert said - {name for name, message in catalogue.items() if message.string} == set()
    assert catalogue.keys() - said == set()
    assert [name for name, message in catalogue.items() if message.fuzzy] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_has_the_places_and_the_markup_of_what_it_translates(language: str) -> None:
    for message in catalogue_of(language):
        if message.id:
            there, here = str(message.id), str(message.string)
            assert sorted(PLACE.findall(there)) == sorted(PLACE.findall(here)), here
            assert TAG.findall(there) == TAG.findall(here), here
            assert re.findall(r"href=\"[^\"]*\"", there) == re.findall(r"href=\"[^\"]*\"", here)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_catalogue_is_of_that_language(language: str) -> None:
    say = translations(language).gettext
    same = {str(m.id) for m in wanted() if m.id and say(str(m.id)) == m.id} - ALIKE

    assert len(same) < 10, same


def test_there_is_a_catalogue_for_every_language() -> None:
    assert {path.stem for path in LOCALES.glob("*.po")} == set(LANGUAGES)


@pytest.mark.parametrize("language", NAMES)
@pytest.mark.parametrize("kind", MailKind)
def test_every_mail_is_written_in_every_language(kind: MailKind, language: str) -> None:
    facts = {**SAMPLE, **SAMPLES.get(kind, {}), "language": language, "address": "192.0.2.1"}
    letter = _templates().write(kind, facts)
    english = _templates().write(kind, {**facts, "language": "en"})

    assert (letter.subject == english.subject) is (language == "en")
    assert f'lang="{language}"' in letter.html
    assert ('dir="rtl"' in letter.html) is (language == "ar")
    assert len(letter.text.split("\n\n")) == len(english.text.split("\n\n"))


@pytest.mark.parametrize(
    ("header", "wish", "chosen"),
    [
        ("", None, "en"),
        ("de", None, "de"),
        ("de-CH, fr;q=0.9", None, "de"),
        ("da, fr;q=0.8, de;q=0.9", None, "de"),
        ("pt, es;q=0", None, "en"),
        ("*", None, "en"),
        ("ja;q=0.5, nl;q=oops", None, "ja"),
        ("de", "fr", "fr"),
        ("de", "xx", "de"),
        ("zh;q=2, ar", None, "ar"),
        (",;,q=1;;", None, "en"),
    ],
)
def test_the_language_is_what_somebody_reads_best(
    header: str, wish: str | None, chosen: str
) -> None:
    assert Languages().choose(header, wish) == chosen


def test_only_what_is_offered_is_chosen() -> None:
    languages = Languages(offered=("nl", "de"), default="nl")

    assert languages.choose("fr, en", "ar") == "nl"
    assert languages.choose("fr, de;q=0.1") == "de"


@cache
def _templates() -> Templates:
    return Templates()
