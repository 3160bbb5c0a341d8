"""Browsers have names that people recognise, whatever they say of themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.browser_name import LONGEST, browser_name

CHROMIUM = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0"
SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5"
NAMES = {
    f"Mozilla/5.0 (Windows NT 10.0; Win64) {CHROMIUM} Safari/537.36": "Chrome on Windows",
    f"Mozilla/5.0 (Windows NT 10.0) {CHROMIUM} Safari/537.36 Edg/126.0": "Edge on Windows",
    f"Mozilla/5.0 (Linux; Android 14) {CHROMIUM} Mobile Safari/537.36": "Chrome Mobile on Android",
    f"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) {SAFARI} Safari/605": "Safari on Mac OS X",
    f"Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) {SAFARI} Mobile/15E148 Safari/604.1": (
        "Mobile Safari on iOS"
    ),
    "Mozilla/5.0 (X11; Ubuntu; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0": (
        "Firefox on Ubuntu"
    ),
    "Mozilla/5.0 (Windows NT 10.0)": "Unknown browser on Windows",
    "curl/8.5.0": "curl",
    "": "Unknown browser",
    "<script>alert(1)</script>": "Unknown browser",
}


@pytest.mark.parametrize(("user_agent", "name"), NAMES.items())
def test_a_browser_has_a_name(user_agent: str, name: str) -> None:
    assert browser_name(user_agent) == name


@given(st.text(max_size=256) | st.text("Mozila/5.0 (;)Chrome\n\x1b[<&", max_size=256))
def test_whatever_a_browser_says_its_name_is_fit_to_be_shown(user_agent: str) -> None:
    name = browser_name(user_agent)

    assert name
    assert name.isprintable()
    assert len(name) <= 2 * LONGEST + len(" on ")
