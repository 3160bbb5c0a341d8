"""What pages are dressed in: one style sheet, a few scripts, a logo. All of it is ours."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from importlib.resources import files

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from services.session.pages.paths import ROOT
from services.session.pages.site import Brand
from shared.http.plain import serve

FOLDER = f"{ROOT}static/"
HEADERS = {
    # Under its hash a file never changes.
    "Cache-Control": "public, max-age=31536000, immutable",
    "Cross-Origin-Resource-Policy": "same-origin",
}
NAMES = ("pages.css", "keys.js", "comfort.js", "inbox.js", "icon.svg")
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".webp": "image/webp",
}
COLOURS = """\
:root {{ --accent: {light}; --on-accent: {on_light}; }}
@media (prefers-color-scheme: dark) {{
  :root {{ --accent: {dark}; --on-accent: {on_dark}; }}
}}
"""


@dataclass(frozen=True)
class Asset:
    """A file, whole."""

    body: bytes
    type: str


class Assets:
    """The files by their names, each at an address that changes with it."""

    def __init__(self, brand: Brand) -> None:
        found = {name: _ours(name) for name in NAMES}
        found["brand.css"] = _colours(brand)
        if brand.logo is not None:
            suffix = brand.logo.suffix.lower()
            found["logo"] = Asset(brand.logo.read_bytes(), TYPES[suffix])
        self._urls = {name: _address(name, asset) for name, asset in found.items()}
        self._by_url = {self._urls[name]: asset for name, asset in found.items()}

    def url(self, name: str) -> str:
        """Return where a file is. Raises KeyError if there is none of that name."""
        return self._urls[name]

    @property
    def all(self) -> Mapping[str, Asset]:
        """The files by where they are."""
        return self._by_url

    def add(self, app: FastAPI) -> None:
        """Serve them."""
        for path, asset in self._by_url.items():
            serve(app, path, _serving(asset))


def _ours(name: str) -> Asset:
    source = files(__package__) / "static" / name
    return Asset(source.read_bytes(), TYPES[f".{name.rpartition('.')[2]}"])


def _colours(brand: Brand) -> Asset:
    colours = brand.colours
    text = COLOURS.format(
        light=colours.light,
        on_light=colours.on_light,
        dark=colours.dark,
        on_dark=colours.on_dark,
    )
    return Asset(text.encode(), TYPES[".css"])


def _address(name: str, asset: Asset) -> str:
    stem, dot, suffix = name.partition(".")
    return f"{FOLDER}{stem}.{sha256(asset.body).hexdigest()[:12]}{dot}{suffix}"


def _serving(asset: Asset) -> Callable[[Request], Awaitable[Response]]:
    async def serve(_request: Request) -> Response:
        return Response(
            asset.body,
            headers={
                **HEADERS,
                "Content-Type": asset.type,
                # An SVG is a document of its own where it is opened as one.
                "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            },
        )

    return serve
