"""Pages of the operator's that mails lead to, by allauth's names (HEADLESS_FRONTEND_URLS)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import quote, urljoin, urlsplit

CONFIRM_EMAIL = "account_confirm_email"
RESET_PASSWORD = "account_reset_password"  # noqa: S105 - the name of a page
RESET_PASSWORD_FROM_KEY = "account_reset_password_from_key"  # noqa: S105
SIGNUP = "account_signup"

WITH_KEY = frozenset({CONFIRM_EMAIL, RESET_PASSWORD_FROM_KEY})
PAGES = WITH_KEY | {RESET_PASSWORD, SIGNUP}
PLACE = "{key}"


@dataclass(frozen=True)
class FrontendUrls:
    """Where those pages are. What has a key has its place in the address."""

    urls: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def page(self, name: str) -> str | None:
        """Return the address of a page, or None if there is none."""
        return self.urls.get(name)

    def over(self, others: "FrontendUrls") -> "FrontendUrls":
        """Return these, and those of `others` whose names are none of these."""
        return FrontendUrls(MappingProxyType({**others.urls, **self.urls}))

    def page_with(self, name: str, key: str) -> str | None:
        """Return the address of a page that takes a key, with that key; None if there is none."""
        url = self.urls.get(name)
        return None if url is None else url.replace(PLACE, quote(key, safe=""))


def read_frontend_urls(given: Mapping[str, str], public_url: str) -> FrontendUrls:
    """Return the pages that are `given`; one without a host is on that of `public_url`.

    Raises ValueError, with a sentence, for a name or an address that will not do.
    """
    if unknown := sorted(given.keys() - PAGES):
        raise ValueError(f"has {', '.join(unknown)}, of {', '.join(sorted(PAGES))} that there are")
    return FrontendUrls(
        MappingProxyType({name: _address(name, url, public_url) for name, url in given.items()})
    )


def _address(name: str, url: str, public_url: str) -> str:
    whole = urljoin(public_url, url)
    try:
        parts = urlsplit(whole)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or not whole.isprintable():
        raise ValueError(f"has no http or https URL for {name}")
    if " " in whole:
        raise ValueError(f"has a URL with a space in it for {name}")
    wanted = 1 if name in WITH_KEY else 0
    if whole.count(PLACE) != wanted or PLACE in parts.netloc:
        place = f"has to have {PLACE} once, after the host" if wanted else f"has no use for {PLACE}"
        raise ValueError(f"has a URL for {name} that {place}")
    return whole
