"""The language that whoever a request is for reads: it rides beside the call, for mails.

Nothing is ever decided by it, and it is not recorded: only what people are sent is written in it.
"""

from contextvars import ContextVar

_language: ContextVar[str | None] = ContextVar("language", default=None)


def speak(language: str) -> None:
    """Have what the running task and what it starts cause to be mailed written in `language`."""
    _language.set(language)


def spoken() -> dict[str, str]:
    """Return the language among the facts of a mail; nothing where nobody asked for it."""
    language = _language.get()
    return {} if language is None else {"language": language}
