"""Languages that people are spoken to in, and which of them somebody reads best."""

from collections.abc import Iterator
from dataclasses import dataclass

ENGLISH = "en"
NAMES = {
    "en": "English",
    "de": "Deutsch",
    "fr": "Français",
    "es": "Español",
    "nl": "Nederlands",
    "ar": "العربية",
    "ja": "日本語",
}
"""What is spoken, by its tag (BCP 47) and as those who speak it call it."""

FROM_RIGHT = frozenset({"ar"})
MAX_WISHES = 20  # in one header: nobody reads more, and each is looked at


@dataclass(frozen=True, kw_only=True)
class Languages:
    """The languages that are offered; `default` is for whoever reads none of them."""

    offered: tuple[str, ...] = tuple(NAMES)
    default: str = ENGLISH

    def choose(self, header: str, wish: str | None = None) -> str:
        """Return what suits best: a `wish`, or the first of Accept-Language that is offered.

        `header` is as in RFC 9110 section 12.5.4; a language does for its regions (RFC 4647
        section 3.4). What cannot be read is passed over.
        """
        if wish in self.offered:
            return str(wish)
        for tag in _wished(header):
            found = self._known(tag)
            if found is not None:
                return found
        return self.default

    def _known(self, tag: str) -> str | None:
        if tag == "*":
            return self.default
        primary = tag.partition("-")[0]
        return primary if primary in self.offered else None


def _wished(header: str) -> Iterator[str]:
    """Yield the tags of Accept-Language, in lower case, the best first."""
    weighed = [_weighed(part) for part in header.split(",")[:MAX_WISHES]]
    wished = [(tag, weight) for tag, weight in weighed if tag and weight > 0]
    # Sorting keeps the order of what weighs alike.
    for tag, _ in sorted(wished, key=lambda wish: -wish[1]):
        yield tag


def _weighed(part: str) -> tuple[str, float]:
    tag, _, parameter = part.partition(";")
    name, _, value = parameter.strip().partition("=")
    if not parameter.strip():
        return tag.strip().lower(), 1.0
    try:
        weight = float(value) if name.strip() == "q" else 0.0
    except ValueError:
        weight = 0.0
    return tag.strip().lower(), weight if 0 <= weight <= 1 else 0.0
