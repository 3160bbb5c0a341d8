"""Pages become those of a site: by settings, and by templates of its own."""

from pathlib import Path
from typing import Any

import pytest

from services.session.domain.colours import (
    DARK_GROUND,
    LIGHT_GROUND,
    READABLE,
    Colours,
    check_colour,
    contrast,
    ink,
)
from services.session.pages.contract import names, page_template_problems
from tests.journeys.suite import in_process
from tests.session.reader import Reader, Sheet

DRESS = ("/accounts/static/brand.", "/accounts/static/logo")
LOGO = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle r="4"/></svg>'


async def shown(tmp_path: Path, path: str, **changes: Any) -> tuple[Sheet, Reader]:
    """Return a page of a suite with these settings, and who has opened it."""
    async with in_process(tmp_path / "suite", **changes) as suite:
        reader = Reader(suite)
        sheet = await reader.get(path)
        found = [
            (await reader.http.get(part)).text
            for part in sheet.text.split('"')
            if part.startswith(DRESS)
        ]
        await reader.close()
        reader.email = "\n".join(found)
        return sheet, reader


async def test_name_logo_colours_and_links_are_those_of_the_site(tmp_path: Path) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text(LOGO)
    links = '{"Privacy": "https://www.example.org/privacy", "Help": "/help/"}'
    sheet, reader = await shown(
        tmp_path,
        "login/",
        pages_name="Ducks & Co",
        pages_logo=logo,
        pages_colour="#7A1F5C",
        pages_colour_dark="#FFB3E2",
        pages_links=links,
    )

    assert "Ducks &amp; Co</title>" in sheet.text
    assert '<a href="https://www.example.org/privacy">Privacy</a>' in sheet.text
    assert '<a href="/help/">Help</a>' in sheet.text
    assert LOGO in reader.email
    assert "--accent: #7a1f5c; --on-accent: #ffffff" in reader.email
    assert "--accent: #ffb3e2; --on-accent: #000000" in reader.email


async def test_a_template_of_the_site_takes_the_place_of_ours(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "login.html").write_text(
        '{% extends "countersign/login.html" %}'
        '{% block below %}<p>Ask {{ _("Help") }} at {{ brand.name }}.</p>{{ super() }}'
        "{% endblock %}"
    )
    sheet, _ = await shown(tmp_path, "login/", pages_templates_dir=folder)

    assert "<p>Ask Help at Countersign.</p>" in sheet.text
    assert "Create an account" in sheet.text
    assert 'name="password"' in sheet.text


async def test_a_frame_of_the_site_is_around_every_page(tmp_path: Path) -> None:
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "door.html").write_text(
        '{% extends "base.html" %}{% from "components.html" import news with context %}'
        "{% block body %}<main><h1>{% block heading %}{{ self.title() }}{% endblock %}</h1>"
        "{{ news() }}{% block content %}{% endblock %}{% block below %}{% endblock %}"
        "<hr></main>{% endblock %}"
    )
    for path in ("login/", "signup/", "nowhere/"):
        sheet, _ = await shown(tmp_path / path.strip("/"), path, pages_templates_dir=folder)
        assert "<hr></main>" in sheet.text


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("logim.html", "x", "has logim.html, which is the name of no template"),
        ("login.html", "{% if %}", "has login.html, which cannot be read"),
        ("login.html", "{% nothing %}", "has login.html, which cannot be read"),
    ],
)
def test_what_is_wrong_with_a_template_is_told_at_start(
    tmp_path: Path, name: str, text: str, told: str
) -> None:
    (tmp_path / name).write_text(text)

    (problem,) = page_template_problems(tmp_path)
    assert problem.startswith(told)


def test_parts_of_the_sites_own_may_lie_in_a_folder_of_their_own(tmp_path: Path) -> None:
    (tmp_path / "parts").mkdir()
    (tmp_path / "parts" / "foot.html").write_text("<p>Foot</p>")

    assert list(page_template_problems(tmp_path)) == []


def test_our_templates_are_fit_to_be_replaced(tmp_path: Path) -> None:
    for name in names():
        (tmp_path / name).write_text(f'{{% extends "countersign/{name}" %}}')

    assert list(page_template_problems(tmp_path)) == []


def test_colours_are_held_against_what_people_can_read() -> None:
    """WCAG 2.2, success criterion 1.4.3."""
    assert round(contrast("#000000", "#ffffff"), 2) == 21
    assert round(contrast("#777777", "#ffffff"), 2) == 4.48
    with pytest.raises(ValueError, match=r"contrast of 4\.5 to #ffffff"):
        check_colour("#777777", LIGHT_GROUND)
    assert check_colour("#767676", LIGHT_GROUND) == "#767676"
    ours = Colours()
    assert check_colour(ours.light, LIGHT_GROUND)
    assert check_colour(ours.dark, DARK_GROUND)


@pytest.mark.parametrize("grey", range(0, 256, 15))
def test_there_is_an_ink_for_every_ground(grey: int) -> None:
    ground = f"#{grey:02x}{grey:02x}{grey:02x}"

    assert contrast(ink(ground), ground) >= READABLE
