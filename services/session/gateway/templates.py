"""The texts of mails: ours, under those that an operator puts in their place."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import (
    BaseLoader,
    ChoiceLoader,
    FileSystemLoader,
    PackageLoader,
    StrictUndefined,
    TemplateError,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from services.session.domain.languages import ENGLISH, FROM_RIGHT
from services.session.domain.languages import NAMES as LANGUAGES
from services.session.domain.mails import MailKind
from services.session.gateway.catalogs import marked, translations

LAYOUT = "layout.html"
PARTS = ("circumstances.txt", "not_you.txt")
OWN = frozenset(f"{kind}{ending}" for kind in MailKind for ending in (".txt", ".html"))
NAMES = OWN | {LAYOUT, *PARTS}
FACTORS = {
    "totp": marked("An authenticator app"),
    "webauthn": marked("A security key or passkey"),
    "recovery_codes": marked("A set of recovery codes"),
}
OTHER_FACTOR = marked("A second factor")
MAX_AGENT = 200  # characters
LINK = re.compile(r"://|@|\.(?![0-9])")
CODE = "BCDF-GHJK"
LINKED = "https://app.example.org/verify/u1.6a2f.0c"
SAMPLE = {
    "to": "ada@example.org",
    "site": "login.example.org",
    "url": "https://login.example.org",
    "time": "2026-05-04 12:00:15 UTC",
}
SAMPLE_BROWSER = {"address": "192.0.2.1", "user_agent": "Browser/1.0"}
SAMPLES: Mapping[MailKind, Mapping[str, str]] = {
    MailKind.VERIFICATION_CODE: {"code": CODE},
    MailKind.VERIFICATION_LINK: {"link": LINKED},
    MailKind.LOGIN_CODE: {"code": CODE},
    MailKind.PASSWORD_RESET_CODE: {"code": CODE},
    MailKind.PASSWORD_RESET_LINK: {"link": LINKED},
    MailKind.EMAIL_ADDED: {"email": "ada@example.com"},
    MailKind.EMAIL_CHANGED: {"email": "ada@example.com"},
    MailKind.EMAIL_REMOVED: {"email": "ada@example.com"},
    MailKind.AUTHENTICATOR_ADDED: {"factor": "totp"},
    MailKind.AUTHENTICATOR_REMOVED: {"factor": "totp"},
    MailKind.CLONE_SUSPECTED: {"factor": "webauthn", "key": "YubiKey"},
    MailKind.RECOVERY_CODES_LOW: {"left": "3"},
    MailKind.RECOVERY_CODE_USED: {"left": "7"},
}
OPTIONAL = (
    "code",
    "link",
    "email",
    "factor",
    "key",
    "left",
    "proof",
    "time",
    "address",
    "user_agent",
)


@dataclass(frozen=True)
class Letter:
    """What a mail says, twice."""

    subject: str
    text: str
    html: str


class Templates:
    """Writes letters. What is in `folder` takes the place of ours of the same name.

    One without a language of its own is written in `language`.
    """

    def __init__(self, folder: Path | None = None, language: str = ENGLISH) -> None:
        ours: BaseLoader = PackageLoader("services.session.gateway", "templates")
        own = [FileSystemLoader(folder)] if folder is not None else []
        loader = ChoiceLoader([*own, ours])
        self._language = language
        self._pens = {tag: Pen(loader, tag) for tag in LANGUAGES}

    def write(self, kind: MailKind, facts: Mapping[str, str]) -> Letter:
        """Return the letter of that kind. Raises whatever a template that cannot be used raises.

        It is in the `language` of the facts, if that is spoken here. The text begins with a line
        `Subject: …` and an empty one. The HTML says the same, by the layout, unless there is a
        template of its own.
        """
        language = facts.get("language", "")
        pen = self._pens.get(language) or self._pens[self._language]
        return pen.write(kind, facts)


class Pen:
    """Writes letters in one language."""

    def __init__(self, loader: BaseLoader, language: str) -> None:
        self._language = language
        # Two, so that what HTML includes is escaped too, whatever its name ends in.
        self._text = _environment(loader, language, escaping=False)
        self._pages = _environment(loader, language, escaping=True)

    def write(self, kind: MailKind, facts: Mapping[str, str]) -> Letter:
        """Return the letter of that kind, as `Templates.write` does."""
        told: dict[str, str | None] = {**dict.fromkeys(OPTIONAL), **_harmless(facts)}
        told["language"] = self._language
        told["direction"] = "rtl" if self._language in FROM_RIGHT else "ltr"
        if told["factor"] is not None:
            factor = FACTORS.get(told["factor"], OTHER_FACTOR)
            told["factor"] = translations(self._language).gettext(factor)
        whole = self._text.get_template(f"{kind}.txt").render(told)
        head, _, text = whole.partition("\n\n")
        subject = _subject(head)
        paragraphs = [part.strip() for part in text.split("\n\n") if part.strip()]
        page = self._pages.select_template([f"{kind}.html", LAYOUT])
        html = page.render({**told, "subject": subject, "paragraphs": paragraphs})
        return Letter(subject=subject, text=text.strip() + "\n", html=html)


def template_problems(folder: Path) -> Iterator[str]:
    """Yield what is wrong with a folder of templates, one sentence each."""
    if not folder.is_dir():
        yield "is not a folder"
        return
    for path in sorted(folder.iterdir()):
        if path.suffix in (".txt", ".html") and path.name not in NAMES:
            yield f"has {path.name}, which is the name of no template"
    templates = Templates(folder)
    for kind in MailKind:
        if problem := _problem(templates, kind):
            yield f"makes no letter {kind.value}: {problem}"


def _problem(templates: Templates, kind: MailKind) -> str | None:
    """Return what is wrong with a letter, with a browser to tell of or without."""
    facts = {**SAMPLE, **SAMPLES.get(kind, {})}
    try:
        letters = [templates.write(kind, {**facts, **more}) for more in (SAMPLE_BROWSER, {})]
    except Exception as error:  # a template can raise anything that an expression can
        return f"{type(error).__name__}: {error}"
    if not all(letter.text.strip() and letter.html.strip() for letter in letters):
        return "it has no text"
    if "code" in facts and not all(CODE in letter.text.splitlines() for letter in letters):
        return "the code does not stand on a line of its own"
    if "link" in facts and not all(LINKED in letter.text.splitlines() for letter in letters):
        return "the link does not stand on a line of its own"
    return None


def _environment(
    loader: BaseLoader, language: str, *, escaping: bool
) -> ImmutableSandboxedEnvironment:
    # Templates are the operator's, what they are filled with is not: nothing in it is code.
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=escaping,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    # What the extension adds is not in the types.
    installed: Any = environment
    installed.install_gettext_translations(translations(language), newstyle=True)
    return environment


def _subject(head: str) -> str:
    """Return the subject, in one line. Raises TemplateError without one."""
    name, _, subject = head.partition(":")
    if name.strip() != "Subject" or not subject.strip():
        raise TemplateError("the first line has to be `Subject: …`, with an empty one after it")
    return " ".join(subject.split())


def _harmless(facts: Mapping[str, str]) -> dict[str, str]:
    """Return facts in one line each: a browser says of itself what it likes, at any length."""
    lines = {
        name: "".join(c if c.isprintable() else " " for c in value) for name, value in facts.items()
    }
    if "user_agent" in lines:
        # Mail programs make links of what looks like one: a stranger is not to write any.
        lines["user_agent"] = LINK.sub(" ", lines["user_agent"])[:MAX_AGENT]
    return lines
