"""What browsers are called, for the people whose they are."""

from functools import cache

from ua_parser import BasicResolver, Domain, Resolver, load_lazy_builtins

LONGEST = 80  # characters; parts of a name come from the user agent, which may say anything


def browser_name(user_agent: str) -> str:
    """Return a name such as "Chrome on Windows", as far as `user_agent` tells."""
    found = _resolver()(user_agent, Domain.USER_AGENT | Domain.OS)
    browser = _printable(found.user_agent.family if found.user_agent else "")
    system = _printable(found.os.family if found.os else "")
    if not system:
        return browser or "Unknown browser"
    return f"{browser or 'Unknown browser'} on {system}"


@cache
def _resolver() -> Resolver:
    """Return a parser whose patterns are compiled as they are needed.

    A name is made only when a browser is trusted. That takes milliseconds, and no megabytes: the
    parsers that are faster take 25 of them.
    """
    return BasicResolver(load_lazy_builtins())


def _printable(text: str) -> str:
    return "".join(c for c in text if c.isprintable()).strip()[:LONGEST]
