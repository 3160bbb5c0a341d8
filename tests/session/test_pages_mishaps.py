"""Whatever goes wrong, people are told in a page, and programs as ever."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from services.session.api.browser import Cookie
from services.session.pages.everything import mishaps_for
from services.session.pages.press import Press
from services.session.pages.site import Site
from shared.clock import utc_now
from shared.errors import Unavailable
from shared.http import describe
from tests.journeys.suite import in_process
from tests.session.reader import Reader

PEOPLE = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
BROKEN = "{{ hidden.away.in_there }}"
OURS = "Something went wrong here"


@pytest_asyncio.fixture
async def reader(tmp_path: Path) -> AsyncIterator[Reader]:
    """Somebody at a site whose own template for the login breaks down when it is filled in."""
    folder = tmp_path / "templates"
    folder.mkdir()
    (folder / "login.html").write_text(BROKEN)
    async with in_process(tmp_path / "suite", pages_templates_dir=folder) as suite:
        reader = Reader(suite)
        yield reader
        await reader.close()


async def test_a_breakdown_is_told_with_a_number_and_a_way_on(reader: Reader) -> None:
    sheet = await reader.get("login/")

    number = sheet.response.headers["x-request-id"]
    assert (sheet.status, sheet.title) == (500, OURS)
    assert f"<code>{number}</code>" in sheet.text
    assert '<a class="button" href="/accounts/login/">Try again</a>' in sheet.text
    assert 'href="/accounts/">To the start</a>' in sheet.text
    assert "hidden" not in sheet.text.replace("visually-hidden", "").replace('type="hidden"', "")
    policy = sheet.response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")


async def test_it_is_told_in_the_language_of_who_reads_it(reader: Reader) -> None:
    reader.http.headers["Accept-Language"] = "ar"

    sheet = await reader.get("login/")

    assert 'lang="ar" dir="rtl"' in sheet.text
    assert OURS not in sheet.text


async def test_it_is_told_even_where_the_page_for_it_is_broken_too(tmp_path: Path) -> None:
    for name in ("login.html", "error.html"):
        (tmp_path / name).write_text(BROKEN)
    async with in_process(tmp_path / "suite", pages_templates_dir=tmp_path) as suite:
        reader = Reader(suite)

        sheet = await reader.get("login/")

        assert (sheet.status, sheet.title) == (500, OURS)
        await reader.close()


@pytest.mark.parametrize(
    ("method", "path", "allowed", "again"),
    [
        ("GET", "confirm-email/resend/", "POST", False),
        ("POST", "confirm-email/resend/?a", None, False),
        ("DELETE", "login/", "GET, POST", True),
        ("POST", "", "GET", True),
        ("PUT", "nowhere/", None, False),
        ("POST", "nowhere/", None, False),
    ],
)
async def test_what_a_page_does_not_understand_is_told_in_a_page(
    reader: Reader, method: str, path: str, allowed: str | None, again: bool
) -> None:
    """A form without our token (403) too; only what can be opened is offered once more."""
    answer = await reader.http.request(method, f"/accounts/{path}")

    status = 404 if path == "nowhere/" else 405 if allowed else 403
    assert answer.status_code == status
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers.get("allow") == allowed
    assert ("Try again" in answer.text) is again
    assert "To the start" in answer.text


async def test_what_is_too_large_is_told_in_a_page(reader: Reader) -> None:
    answer = await reader.http.post("/accounts/login/", content=b"a=" + b"b" * 3_000_000)

    assert "That was too much" in answer.text


@pytest.mark.parametrize(
    ("path", "headers", "page"),
    [
        ("/nowhere", PEOPLE, True),
        ("/accounts/nowhere/", {}, True),
        ("/accounts/static/nothing.css", {}, True),
        ("/nowhere", {}, False),
        ("/_allauth/browser/v1/nowhere", PEOPLE, False),
        ("/.well-known/nowhere", PEOPLE, False),
    ],
)
async def test_a_page_is_for_people_and_an_envelope_for_programs(
    reader: Reader, path: str, headers: dict[str, str], page: bool
) -> None:
    answer = await reader.http.get(path, headers=headers)

    assert answer.status_code == 404
    if page:
        assert "There is no such page" in answer.text
    else:
        assert answer.json() == {"status": 404}


def test_what_never_reaches_a_page_is_told_in_one() -> None:
    """As by a service that has no place for one more request."""
    cookie = Cookie(name="csrftoken", age=None, secure=False, httponly=False)
    mishaps = mishaps_for(Press(Site(cookie=cookie), cookie, utc_now))
    scope = {"type": "http", "method": "POST", "path": "/accounts/login/", "headers": []}
    busy = Unavailable("The service is busy.", retry_after=timedelta(seconds=2))

    answer = mishaps.shape(scope, describe(busy))

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")
    text = bytes(answer.body).decode()
    assert "This does not work just now" in text
    assert "Try again in 2 seconds." in text
    assert "busy" not in text


async def test_without_pages_there_are_no_such_pages_either(tmp_path: Path) -> None:
    async with in_process(tmp_path / "suite", headless_only=True) as suite:
        reader = Reader(suite)
        for path in ("/accounts/login/", "/nowhere"):
            answer = await reader.http.get(path, headers=PEOPLE)
            assert (answer.status_code, answer.json()) == (404, {"status": 404})
        await reader.close()


async def test_the_inbox_is_dressed_as_pages_are(tmp_path: Path) -> None:
    """Even where there are none: developers read codes there all the same."""
    async with in_process(tmp_path / "suite", headless_only=True) as suite:
        reader = Reader(suite)
        inbox = await reader.http.get("/inbox")
        styles = inbox.text.partition('<link rel="stylesheet" href="')[2].partition('"')[0]

        assert (await reader.http.get(styles)).headers["content-type"].startswith("text/css")
        assert "/accounts/login" not in inbox.text
        await reader.close()


async def test_a_code_in_the_inbox_is_there_to_be_copied(tmp_path: Path) -> None:
    async with in_process(tmp_path / "suite") as suite:
        reader = Reader(suite)
        await reader.get("signup/")
        await reader.post("signup/", email=reader.email, password=reader.password)
        code = await suite.mailed_code(reader.email)

        inbox = await reader.http.get("/inbox")

        assert f'data-copy="{code}"' in inbox.text
        assert f'href="{suite.settings.public_url}"' in inbox.text
        assert 'href="/accounts/">To the start</a>' in inbox.text
        await reader.close()
