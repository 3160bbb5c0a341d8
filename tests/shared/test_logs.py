"""A log line is one line of JSON, whatever was in the value."""

import json
import subprocess
import sys
from typing import Any

SCRIPT = """
import logging, sys, warnings
import structlog
from shared import context, logs

early = structlog.get_logger()
logs.configure("totp", {level!r})
context.enter(context.Context(request_id="r1"))
{body}
"""


def lines(body: str, level: str = "INFO") -> list[dict[str, Any]]:
    """Run `body` in a process of its own, and return what it has logged."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(level=level, body=body)],
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == b""
    assert all(32 <= byte < 127 or byte == 10 for byte in done.stderr)
    return [json.loads(line) for line in done.stderr.decode().splitlines()]


def test_our_own_lines_say_when_where_and_for_whom() -> None:
    (line,) = lines('early.info("accepted", count=1)')

    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "event": "accepted",
        "service": "totp",
        "request_id": "r1",
        "count": 1,
    }


def test_libraries_log_in_the_same_form() -> None:
    line, warning = lines(
        'logging.getLogger("uvicorn.error").warning("lost %s", "peer"); warnings.warn("old")'
    )

    assert (line["event"], line["level"], line["logger"]) == (
        "lost peer",
        "warning",
        "uvicorn.error",
    )
    assert line["request_id"] == "r1"
    assert "old" in warning["event"]


def test_control_characters_begin_no_line_and_reach_no_terminal() -> None:
    """D4: newlines and control characters are escaped."""
    nasty = "a\\nb\\r\\x1b[31m\\x7f\\x9b\\u2028\\ud800\\0"

    (line,) = lines(f'early.warning("{nasty}", value="{nasty}")')

    assert line["event"] == line["value"] == "a\nb\r\x1b[31m\x7f\x9b\u2028\ud800\0"


def test_levels_below_are_silent() -> None:
    body = 'early.info("x"); logging.getLogger("a").info("x"); early.warning("y")'

    assert [line["event"] for line in lines(body, "WARNING")] == ["y"]


def test_libraries_do_not_log_addresses() -> None:
    """D4: what is asked of whom is ours to log, without queries."""
    body = 'logging.getLogger("httpx").info("GET http://x/?code=1"); early.debug("z")'

    assert [line["event"] for line in lines(body, "DEBUG")] == ["z"]


def test_an_exception_is_told_without_the_values_of_its_variables() -> None:
    """D6: the trace is for the log, and the secret that was being worked on is not."""
    body = """
def work():
    code = "".join(["27", "18", "28"])
    raise RuntimeError("broken")
try:
    work()
except RuntimeError as error:
    early.error("failed", exc_info=error)
    logging.getLogger("lib").exception("failed too")
"""

    ours, theirs = lines(body)

    for line in (ours, theirs):
        assert "RuntimeError: broken" in line["exception"]
        assert "271828" not in json.dumps(line)


def test_values_that_are_not_json_are_shown_somehow() -> None:
    (line,) = lines('early.info("x", value={1}, raw=b"y")')

    assert (line["value"], line["raw"]) == ("{1}", "b'y'")
