"""What integrators are shown is what the tests of this folder run."""

import re

import pytest

from tests.suites import ROOT

PAGE = (ROOT / "docs" / "webauthn.md").read_text()


@pytest.mark.parametrize("name", ["passkeys.js", "login.html"])
def test_the_page_on_webauthn_shows_the_examples_word_for_word(name: str) -> None:
    shown = re.findall(r"^```(?:js|html)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)

    assert (ROOT / "examples" / name).read_text() in shown
