"""ALLAUTH_USER_CODE_FORMAT and its like: what mailed codes look like, as operators write it."""

import json
from collections.abc import Mapping

from services.session.domain.codes import LONGEST, SHORTEST, CodeFormat

FORM = '{"numeric": false, "length": 8, "dashed": true}'
NAMES = ("numeric", "length", "dashed")


def parse_code_format(value: object) -> CodeFormat:
    """Return the format in a JSON object, in which each member may be left out.

    Raises ValueError, with a sentence that has the setting's name as its subject.
    """
    if isinstance(value, CodeFormat):
        return value
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ValueError(f"must be a JSON object such as {FORM}") from None
    if not isinstance(value, Mapping):
        raise ValueError(f"must be a JSON object such as {FORM}")  # noqa: TRY004 - pydantic's kind
    if unknown := sorted(str(name) for name in value if name not in NAMES):
        raise ValueError(f"has {', '.join(unknown)}, of {', '.join(NAMES)} that there are")
    return CodeFormat(
        numeric=_flag(value, "numeric", default=False),
        length=_length(value.get("length")),
        dashed=_flag(value, "dashed", default=True),
    )


def _flag(members: Mapping[str, object], name: str, *, default: bool) -> bool:
    flag = members.get(name, default)
    if not isinstance(flag, bool):
        raise ValueError(f"has a {name} that is neither true nor false")  # noqa: TRY004
    return flag


def _length(length: object) -> int | None:
    """Return how many characters are asked for: fewer could be guessed, more nobody types."""
    if length is None:
        return None
    if isinstance(length, bool) or not isinstance(length, int):
        raise ValueError("has a length that is no whole number")  # noqa: TRY004
    if not SHORTEST <= length <= LONGEST:
        raise ValueError(f"has a length that is not from {SHORTEST} to {LONGEST}")
    return length
