"""Members of a request's JSON object, read strictly, refused with allauth's codes and messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from pydantic import JsonValue

from services.session.domain.addresses import parse_address
from services.session.domain.faults import (
    USERNAME_BLACKLISTED,
    Fault,
    incorrect_code,
    invalid_email,
    required,
    too_long,
)
from services.session.domain.token_keys import MAX_TOKEN
from services.session.domain.usernames import MAX_USERNAME, UsernameRules

MAX_EMAIL = 320  # characters: 64 before the @, 255 after it (RFC 5321 section 4.5.3.1)
MAX_PASSWORD = 4096
MAX_TEXT = 1024
MAX_IDS = 100  # in one list

USERNAME_RULES = UsernameRules()

IDS_CODES = ("invalid_list", "invalid_pk_value", "max_length", "required")
OBJECT_CODES = ("incorrect_code", "invalid", "required")
"""Codes of what `read_ids` and `read_object` refuse."""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A member that holds a string. Absent, null and empty count alike: it is not there."""

    name: str
    max_length: int = MAX_TEXT  # characters
    strip: bool = True
    secret: bool = False
    optional: bool = False
    format: ClassVar[str | None] = None
    codes: ClassVar[tuple[str, ...]] = ()

    def is_absent(self, members: Mapping[str, object]) -> bool:
        """Tell whether the member is not there, or counts as that."""
        value = members.get(self.name)
        if isinstance(value, str) and self.strip:
            value = value.strip()
        return value is None or value == ""

    def read(self, members: Mapping[str, object]) -> str | Fault:
        """Return the value, or what is wrong with it."""
        value = members.get(self.name)
        if self.is_absent(members):
            return required(self.name)
        if not isinstance(value, str):
            return self.invalid()
        if self.strip:
            value = value.strip()
        if "\x00" in value:
            return null_characters(self.name)
        if len(value) > self.max_length:
            return too_long(self.name, self.max_length, len(value))
        return self.parse(value)

    def parse(self, value: str) -> str | Fault:
        """Return `value` as the flows are to get it, or what is wrong with it."""
        return value

    def invalid(self) -> Fault:
        """Return the fault of a value that is not of this kind at all."""
        return Fault(code="invalid", message="Enter a valid value.", param=self.name)


@dataclass(frozen=True, kw_only=True)
class Email(Text):
    """An address that mail can be sent to; handed on in its one canonical form."""

    max_length: int = MAX_EMAIL
    format: ClassVar[str | None] = "email"

    def parse(self, value: str) -> str | Fault:
        """Return the canonical address, or that it is none."""
        return parse_address(value) or self.invalid()

    def invalid(self) -> Fault:
        """Return the fault of something that is no address."""
        return invalid_email(self.name)


@dataclass(frozen=True, kw_only=True)
class Username(Text):
    """A username that somebody would like to have; handed on as it is kept."""

    name: str = "username"
    max_length: int = MAX_USERNAME
    rules: UsernameRules = USERNAME_RULES
    codes: ClassVar[tuple[str, ...]] = ("min_length", USERNAME_BLACKLISTED.code)

    def parse(self, value: str) -> str | Fault:
        """Return the username, or why nobody can have it."""
        return self.rules.parse(value)


EMAIL = Email(name="email")
USERNAME = Text(name="username")
LOGIN = Text(name="login")
PASSWORD = Text(name="password", max_length=MAX_PASSWORD, strip=False, secret=True)
CODE = Text(name="code", secret=True)
KEY = Text(name="key", secret=True)
REFRESH_TOKEN = Text(name="refresh_token", max_length=MAX_TOKEN, secret=True)
CURRENT_PASSWORD = Text(
    name="current_password", max_length=MAX_PASSWORD, strip=False, secret=True, optional=True
)
NEW_PASSWORD = Text(name="new_password", max_length=MAX_PASSWORD, strip=False, secret=True)


def read_ids(name: str, members: Mapping[str, object]) -> list[str] | Fault:
    """Return the ids that a member lists, each once, or what is wrong with it."""
    value = members.get(name)
    if value is None or value in ([], ""):
        return required(name)
    if not isinstance(value, list):
        return Fault(code="invalid_list", message="Enter a list of values.", param=name)
    if len(value) > MAX_IDS:
        message = f"Ensure this value has at most {MAX_IDS} items (it has {len(value)})."
        return Fault(code="max_length", message=message, param=name)
    ids = [entry for entry in value if isinstance(entry, str) and entry]
    if len(ids) < len(value):
        return Fault(code="invalid_pk_value", message="Enter a list of ids.", param=name)
    return list(dict.fromkeys(ids))


def read_object(name: str, members: Mapping[str, object]) -> dict[str, JsonValue] | Fault:
    """Return the object that a member holds, such as what a browser makes of a credential.

    What is no object is refused as what is wrong within it is; a text, as JSON written twice.
    """
    value = members.get(name)
    if value is None or value in ("", [], {}):
        return required(name)
    if isinstance(value, str):
        return Fault(code="invalid", message="Enter a valid JSON.", param=name)
    return value if isinstance(value, dict) else incorrect_code(name)


def read_flag(name: str, members: Mapping[str, object]) -> bool | Fault:
    """Return whether a member is true; absent and null are false."""
    value = members.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    return Fault(code="invalid", message="Enter true or false.", param=name)


def read(
    fields: Sequence[Text], members: Mapping[str, object]
) -> tuple[dict[str, str], list[Fault]]:
    """Return the values of `fields` by name, and what is wrong with the others, in their order.

    What is optional and not there is in neither.
    """
    values: dict[str, str] = {}
    faults: list[Fault] = []
    for field in fields:
        if field.optional and field.is_absent(members):
            continue
        outcome = field.read(members)
        if isinstance(outcome, Fault):
            faults.append(outcome)
        else:
            values[field.name] = outcome
    return values, faults


def null_characters(name: str) -> Fault:
    """Return the fault of a text with U+0000 in it, which PostgreSQL cannot store."""
    return Fault(
        code="null_characters_not_allowed",
        message="Null characters are not allowed.",
        param=name,
    )
