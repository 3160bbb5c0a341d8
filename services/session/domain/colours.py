"""The colour that a site is known by, held against what people can read (WCAG 2.2)."""

import re
from dataclasses import dataclass

HEX = re.compile(r"#[0-9a-fA-F]{6}")
LIGHT_GROUND = "#ffffff"
DARK_GROUND = "#16191f"
READABLE = 4.5  # contrast of text at least (success criterion 1.4.3, level AA)


@dataclass(frozen=True)
class Colours:
    """What is pressed and what leads on, on light grounds and on dark ones: `#rrggbb`."""

    light: str = "#2452c9"
    dark: str = "#8fb0ff"

    @property
    def on_light(self) -> str:
        """The colour of text on `light`."""
        return ink(self.light)

    @property
    def on_dark(self) -> str:
        """The colour of text on `dark`."""
        return ink(self.dark)


def check_colour(value: str, ground: str) -> str:
    """Return `value` in lower case. Raises ValueError, with a sentence, if it is no good."""
    if not HEX.fullmatch(value):
        raise ValueError("must be a colour such as #2452c9")
    found = contrast(value, ground)
    if found < READABLE:
        raise ValueError(
            f"has a contrast of {found:.1f} to {ground}, and people need {READABLE} to read it"
        )
    return value.lower()


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21 (WCAG 2.2, "contrast ratio")."""
    lighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def ink(ground: str) -> str:
    """Return black or white, whichever is read better on `ground`: one of them always can be."""
    return max("#ffffff", "#000000", key=lambda colour: contrast(colour, ground))


def _luminance(colour: str) -> float:
    """Return the relative luminance of `#rrggbb` (WCAG 2.2, "relative luminance")."""
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (_linear(part) for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _linear(part: float) -> float:
    return part / 12.92 if part <= 0.04045 else float(((part + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004
