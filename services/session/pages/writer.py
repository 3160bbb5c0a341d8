"""Templates filled in: ours, under those that an operator puts in their place."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from babel import Locale
from babel.dates import format_datetime, format_skeleton, format_timedelta
from babel.numbers import format_decimal
from jinja2 import BaseLoader, ChoiceLoader, FileSystemLoader, PackageLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from services.session.domain.faults import Fault
from services.session.domain.languages import FROM_RIGHT, NAMES
from services.session.gateway.catalogs import translations
from services.session.pages import wording
from services.session.pages.answers import Show
from services.session.pages.assets import Assets
from services.session.pages.call import Call
from services.session.pages.paths import own_path, path_of
from services.session.pages.site import Site
from shared.browser_name import browser_name
from shared.clock import Clock

SECONDS_SHOWN = 90  # waits are told in seconds up to here, and in minutes beyond
JUST_NOW = timedelta(seconds=45)
SECRETS = frozenset({"password", "current_password", "new_password", "code", "key", "credential"})
"""Fields whose values are never written into a page again."""


class Writer:
    """Writes pages in any of the languages that are offered."""

    def __init__(self, site: Site, assets: Assets, clock: Clock) -> None:
        self._site = site
        self._assets = assets
        self._clock = clock
        self._tongues = {language: Tongue(language, site.templates) for language in NAMES}

    def write(
        self,
        show: Show,
        language: str,
        *,
        csrf: str,
        call: Call | None,
        path: str,
        notice: str | None,
    ) -> str:
        """Return the page. `call` is None where it is not known who asks."""
        tongue = self._tongues[language]
        say = tongue.say
        known = wording.NOTICES.get(notice or "")
        person = None if call is None or not call.visit.authenticated else call.visit.account
        facts: dict[str, object] = {
            "site": self._site,
            "brand": self._site.brand,
            "offers": self._site.offers,
            "languages": {tag: NAMES[tag] for tag in self._site.languages.offered},
            "language": language,
            "direction": "rtl" if language in FROM_RIGHT else "ltr",
            "csrf": csrf,
            "path": path,
            "notice": None if known is None else say(known),
            "person": person,
            "visit": None if call is None else call.visit,
            "next": None if call is None else call.next,
            "typed": {} if call is None else _harmless(call.form),
            "faults": self._told(show.faults, say),
            "wait": None if show.retry_after is None else tongue.wait(show.retry_after),
            "url": path_of,
            "here": path_of if call is None else call.url,
            "come_back": _come_back(path, call),
            "asset": self._assets.url,
            "ago": partial(tongue.ago, now=self._clock()),
            "now": self._clock(),
            "kinds": wording.KINDS,
            **self._problem(show, say),
        }
        return tongue.render(show.template, {**facts, **show.facts})

    def _told(self, faults: tuple[Fault, ...], say: Callable[[str], str]) -> dict[str, list[str]]:
        """Return what is wrong, by the field that it is about; what is about none is under ""."""
        told: dict[str, list[str]] = {}
        for fault in faults:
            text = say(wording.said(fault.code, fault.param))
            if fault.code == "password_too_short":
                least = self._site.offers.password_min_length
                text = say(wording.TOO_SHORT) % {"least": least}
            told.setdefault(fault.param or "", []).append(text)
        return told

    def _problem(self, show: Show, say: Callable[[str], str]) -> dict[str, object]:
        if show.template != "error.html":
            return {}
        code = str(show.facts.get("problem"))
        title, sentence = wording.PROBLEMS.get(code, wording.OTHER_PROBLEM)
        nothing = {"problem": None, "again": None, "reference": None}
        return {**nothing, "problem_title": say(title), "problem_text": say(sentence)}


class Tongue:
    """One language: its words, and how it writes times and numbers."""

    def __init__(self, language: str, folder: Path | None) -> None:
        self._language = language
        self._folder = folder
        self._locale = Locale.parse(language)

    def say(self, text: str) -> str:
        """Return what `text` is in this language."""
        return translations(self._language).gettext(text)

    def render(self, template: str, facts: Mapping[str, object]) -> str:
        """Return the template filled in."""
        return self._environment.get_template(template).render(facts)

    def wait(self, wait: timedelta) -> str:
        """Return how long something takes, in words."""
        brief = wait.total_seconds() <= SECONDS_SHOWN
        return format_timedelta(
            wait,
            granularity="second" if brief else "minute",
            threshold=10,
            locale=self._locale,
        )

    def ago(self, at: datetime, *, now: datetime) -> Markup:
        """Return a moment as how long ago it was, and exactly for whoever wants to know."""
        if abs(at - now) < JUST_NOW:
            words = self.say(wording.JUST_NOW)
        else:
            words = format_timedelta(at - now, add_direction=True, locale=self._locale)
        exact = format_datetime(at.astimezone(UTC), "medium", locale=self._locale)
        return Markup('<time datetime="{}" title="{} UTC">{}</time>').format(
            at.astimezone(UTC).isoformat(timespec="seconds"), exact, words
        )

    def day(self, day: date) -> str:
        """Return a day, without its year."""
        return format_skeleton("MMMd", day, locale=self._locale)

    def number(self, value: float) -> str:
        """Return a number as this language writes it."""
        return format_decimal(value, locale=self._locale)

    @cached_property
    def _environment(self) -> ImmutableSandboxedEnvironment:
        environment = environment_with(loader_over(self._folder))
        # What the extension adds is not in the types.
        installed: Any = environment
        installed.install_gettext_translations(translations(self._language), newstyle=True)
        environment.filters["number"] = self.number
        environment.filters["browser"] = browser_name
        environment.filters["moment"] = _moment
        environment.filters["day"] = self.day
        return environment


def loader_over(folder: Path | None) -> BaseLoader:
    """Return what finds templates: in `folder` first, and then ours.

    Ours can be extended and included by whoever replaces one, behind `countersign/`.
    """
    ours = PackageLoader("services.session.pages", "templates")
    own: list[BaseLoader] = [] if folder is None else [FileSystemLoader(folder)]
    return ChoiceLoader([*own, ours, Prefixed(ours)])


class Prefixed(BaseLoader):
    """Finds the templates of another loader behind `countersign/`."""

    def __init__(self, loader: BaseLoader) -> None:
        self._loader = loader

    def get_source(
        self, environment: Any, template: str
    ) -> tuple[str, str | None, Callable[[], bool] | None]:
        """Return the source of a template. Raises TemplateNotFound."""
        return self._loader.get_source(environment, template.removeprefix("countersign/"))


def environment_with(loader: BaseLoader) -> ImmutableSandboxedEnvironment:
    """Return where templates are filled in. What they are filled with is nothing of ours."""
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    environment.policies["ext.i18n.trimmed"] = True
    return environment


def _moment(value: float) -> datetime:
    return datetime.fromtimestamp(value, UTC)


def _harmless(form: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in form.items() if name not in SECRETS}


def _come_back(path: str, call: Call | None) -> str | None:
    """Return where somebody is led who changes the language: here, or to the start of it."""
    if call is None:
        return own_path(path)
    query = {name: call.query.get(name) for name in ("next", "by", "as")}
    asked = {name: value for name, value in query.items() if value is not None}
    return own_path(f"{path}?{urlencode(asked)}" if asked else path)
