"""Every letter says what happened, in text and in HTML, and nobody writes into it from outside."""

from pathlib import Path

import pytest
from jinja2 import UndefinedError
from jinja2.exceptions import SecurityError

from services.session.domain.mails import MailKind
from services.session.gateway.templates import Letter, Templates, template_problems

ABOUT = {"to": "ada@example.org", "site": "login.example.org", "url": "https://login.example.org"}
NOTICE = {**ABOUT, "time": "2026-05-04 12:00:15 UTC", "factor": "totp"}
NO_NOTICES = (
    MailKind.VERIFICATION_CODE,
    MailKind.VERIFICATION_LINK,
    MailKind.LOGIN_CODE,
    MailKind.PASSWORD_RESET_CODE,
    MailKind.PASSWORD_RESET_LINK,
    MailKind.ACCOUNT_EXISTS,
    MailKind.ADDRESS_TAKEN,
    MailKind.UNKNOWN_ACCOUNT,
)
NOTICES = [kind for kind in MailKind if kind not in NO_NOTICES]
OPERATORS = [kind for kind in NOTICES if kind is not MailKind.AUTHENTICATOR_REMOVED]
HOSTILE = "<script>alert(1)</script>\r\nBcc: eve@example.org\n\n\x00{{ 7 * 7 }}"


def write(kind: MailKind, **facts: str) -> Letter:
    return Templates().write(kind, {**NOTICE, **facts})


@pytest.mark.parametrize("kind", NOTICES)
def test_a_notice_says_when_from_where_and_with_what(kind: MailKind) -> None:
    letter = write(kind, address="192.0.2.1", user_agent="Browser/1.0")

    for part in (letter.text, letter.html):
        assert NOTICE["time"] in part
        assert "192.0.2.1" in part
        assert "Browser/1.0" in part
        assert "operator of" not in part


@pytest.mark.parametrize("kind", NOTICES)
def test_each_circumstance_has_a_line_of_its_own(kind: MailKind) -> None:
    letter = write(kind, address="192.0.2.1", user_agent="Browser/1.0")

    lines = f"\n\nWhen: {NOTICE['time']}\nFrom: 192.0.2.1\nWith: Browser/1.0\n\nIf "
    assert lines in letter.text
    assert "\n\n\n" not in letter.text
    assert "<br>From: 192.0.2.1<br>With: Browser/1.0</p>" in letter.html


@pytest.mark.parametrize("kind", OPERATORS)
def test_without_a_request_an_operator_did_it(kind: MailKind) -> None:
    letter = write(kind)

    assert "By: an operator of login.example.org" in letter.text
    assert "From:" not in letter.text


def test_a_removal_that_the_worker_carried_on_was_no_operators() -> None:
    letter = write(MailKind.AUTHENTICATOR_REMOVED)

    assert f"\n\nWhen: {NOTICE['time']}\n\nIf it was not you" in letter.text
    assert "operator" not in letter.text


@pytest.mark.parametrize("kind", list(MailKind))
def test_a_letter_leads_nowhere_but_to_the_site(kind: MailKind) -> None:
    """N11: links come from PUBLIC_URL."""
    letter = write(kind, code="BCDF-GHJK")

    assert letter.html.count("http") == letter.html.count(ABOUT["url"])
    assert "src=" not in letter.html
    assert letter.subject
    assert "\n" not in letter.subject


@pytest.mark.parametrize("kind", NOTICES)
def test_what_a_browser_says_of_itself_is_only_text(kind: MailKind) -> None:
    letter = write(kind, address="192.0.2.1", user_agent=HOSTILE)

    assert "<script>" not in letter.html
    assert "{{ 7 * 7 }}" in letter.text
    (line,) = (line for line in letter.text.splitlines() if "alert(1)" in line)
    assert "Bcc: eve example org" in line
    assert "\x00" not in letter.text


@pytest.mark.parametrize(
    ("factor", "called"),
    [("webauthn", "A security key or passkey"), ("yubikey", "A second factor")],
)
def test_a_copy_may_be_of_any_kind(factor: str, called: str) -> None:
    letter = write(MailKind.CLONE_SUSPECTED, factor=factor, key="Keyring")

    assert f'{called} of your account at {ABOUT["url"]} was used: "Keyring".' in letter.text


def test_a_long_user_agent_is_cut() -> None:
    letter = write(MailKind.NEW_LOGIN, address="192.0.2.1", user_agent="x" * 5000)

    assert "x" * 200 in letter.text
    assert "x" * 201 not in letter.text


def test_a_long_url_is_not_cut() -> None:
    url = f"https://login.example.org/{'x' * 300}"

    letter = write(MailKind.NEW_LOGIN, url=url)

    assert url in letter.text
    assert f'href="{url}"' in letter.html


def test_a_code_stands_alone_in_both_parts() -> None:
    letter = write(MailKind.VERIFICATION_CODE, code="BCDF-GHJK")

    assert "BCDF-GHJK" in letter.text.splitlines()
    assert ">BCDF-GHJK</p>" in letter.html


@pytest.mark.parametrize("kind", NOTICES)
def test_a_browser_writes_no_link(kind: MailKind) -> None:
    """N11: not even one that a mail program would make of what looks like it."""
    agent = "Browser/1.0 https://evil.example www.evil.example eve@evil.example"
    letter = write(kind, address="192.0.2.1", user_agent=agent)

    for part in (letter.text, letter.html):
        assert "Browser/1.0" in part
        assert "evil.example" not in part
        assert "https://evil" not in part
        assert "eve@" not in part


# An operator's own


def test_an_operators_template_takes_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "new_login.txt").write_text("Subject: Hi\n\nAt {{ time }}, {{ to }}.\n")
    (tmp_path / "layout.html").write_text("<b>{{ subject }}</b>{{ paragraphs | join }}")

    letter = Templates(tmp_path).write(MailKind.NEW_LOGIN, NOTICE)

    assert letter == Letter(
        subject="Hi",
        text="At 2026-05-04 12:00:15 UTC, ada@example.org.\n",
        html="<b>Hi</b>At 2026-05-04 12:00:15 UTC, ada@example.org.",
    )
    assert Templates(tmp_path).write(MailKind.PASSWORD_SET, NOTICE).subject != "Hi"
    assert list(template_problems(tmp_path)) == []


def test_html_of_its_own_takes_the_place_of_the_layout(tmp_path: Path) -> None:
    (tmp_path / "new_login.html").write_text("<i>{{ user_agent }}</i>")

    letter = Templates(tmp_path).write(MailKind.NEW_LOGIN, {**NOTICE, "user_agent": "<x>"})

    assert letter.html == "<i>&lt;x&gt;</i>"


def test_text_that_html_includes_is_escaped_too(tmp_path: Path) -> None:
    (tmp_path / "new_login.html").write_text('{% include "circumstances.txt" %}')
    facts = {**NOTICE, "address": "192.0.2.1", "user_agent": HOSTILE}

    letter = Templates(tmp_path).write(MailKind.NEW_LOGIN, facts)

    assert "&lt;script&gt;" in letter.html
    assert "<script>" not in letter.html


@pytest.mark.parametrize(
    ("name", "text", "problem"),
    [
        ("new_login.txt", "Subject: {{ nothing }}\n\nx", "new_login: UndefinedError"),
        ("new_login.txt", "{% if %}", "new_login: TemplateSyntaxError"),
        ("new_logins.txt", "Subject: x\n\nx", "has new_logins.txt"),
        ("new_login.txt", "{{ ''.__class__.__mro__ }}", "new_login: SecurityError"),
        ("new_login.txt", "Subject: x\n\n{{ time + 1 }}", "new_login: TypeError"),
        ("new_login.txt", "Subject: x\n\n{{ address.upper() }}", "new_login: UndefinedError"),
        ("new_login.txt", "Hello\n\nx", "new_login: TemplateError: the first line"),
        ("new_login.txt", "Subject: x\n", "new_login: it has no text"),
        ("new_login.html", " ", "new_login: it has no text"),
        ("verification_code.txt", "Subject: x\n\nIt is {{ code }}.", "line of its own"),
    ],
)
def test_what_an_operator_got_wrong_is_told_at_the_start(
    tmp_path: Path, name: str, text: str, problem: str
) -> None:
    (tmp_path / name).write_text(text)

    assert problem in "; ".join(template_problems(tmp_path))


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    assert list(template_problems(tmp_path / "no")) == ["is not a folder"]


def test_templates_are_kept_from_the_machine(tmp_path: Path) -> None:
    (tmp_path / "new_login.txt").write_text("{{ to.__class__.__base__.__subclasses__() }}")
    (tmp_path / "password_set.txt").write_text("{{ unknown }}")

    with pytest.raises(SecurityError):
        Templates(tmp_path).write(MailKind.NEW_LOGIN, NOTICE)
    with pytest.raises(UndefinedError):
        Templates(tmp_path).write(MailKind.PASSWORD_SET, NOTICE)
