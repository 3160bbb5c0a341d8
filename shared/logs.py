"""Logs: one JSON object a line on standard error, ours and those of the libraries alike."""

import json
import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from shared import context

QUIET = ("httpx", "httpcore", "aiohttp.access", "uvicorn.access")
"""Loggers that tell of every request, with addresses that may carry what is not for logs."""

STANDARD_LEVELS = logging.getLevelNamesMapping()


def configure(service: str, level: str = "INFO") -> None:
    """Send all logging of this process to standard error, as JSON, from `level` upwards.

    Each line has `time` (UTC), `level`, `event` and `service`, and while a request is served its
    `request_id`. What a value contains cannot begin a new line or reach a terminal as a command.
    """
    number = STANDARD_LEVELS[level]

    def add_service(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
        event["service"] = service
        return event

    common: list[structlog.typing.Processor] = [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        add_service,
        _add_request,
    ]
    structlog.configure(
        processors=[*common, structlog.processors.format_exc_info, _render],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    _configure_libraries(number, common)


def _configure_libraries(level: int, common: list[structlog.typing.Processor]) -> None:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*common, _add_logger],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _render,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)


def _add_request(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    current = context.current()
    if current is not None:
        event["request_id"] = current.request_id
    return event


def _add_logger(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    record: Any = event.get("_record")
    event["logger"] = getattr(record, "name", "unknown")
    return event


def _render(_: WrappedLogger, __: str, event: EventDict) -> str:
    # ASCII only: JSON escapes the control characters below space itself, and so all above 126 go.
    return json.dumps(event, default=repr, ensure_ascii=True).replace("\x7f", "\\u007f")
