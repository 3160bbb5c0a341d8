"""Settings from the environment: their types, and how all of their problems are told at once."""

import json
import os
import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    SecretStr,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from shared import address, auth, cipher
from shared.errors import ConfigurationError

FILE_SUFFIX = "_FILE"
MAX_FILE = 65536  # bytes
UNITS = {"w": 604800, "d": 86400, "h": 3600, "m": 60, "s": 1}  # seconds
BOUND = re.compile(r"datetime\.timedelta\((?:0|days=(\d+))?(?:, )?(?:seconds=(\d+))?\)")
"""How pydantic writes the bounds of some durations."""
DURATION = re.compile(r"(?:\d+[wdhms])+", re.ASCII)

S = TypeVar("S", bound="ServiceSettings")
T = TypeVar("T")


def parse_duration(value: object) -> object:
    """Read "5m", "14d", "1h30m", or a bare number of seconds."""
    if isinstance(value, str):
        text = value.replace(" ", "").lower()
        if DURATION.fullmatch(text):
            return timedelta(
                seconds=sum(
                    int(count) * UNITS[unit] for count, unit in re.findall(r"(\d+)([wdhms])", text)
                )
            )
        value = int(text) if text.isascii() and text.isdigit() else text
    if isinstance(value, int) and not isinstance(value, bool):
        return timedelta(seconds=value)
    if isinstance(value, timedelta):
        return value
    raise ValueError('must be a duration such as "30s", "5m", "1h30m", "14d", or seconds')


def duration_text(duration: timedelta) -> str:
    """Return a duration of whole seconds as `parse_duration` reads it."""
    seconds = int(duration.total_seconds())
    for size, unit in ((86400, "d"), (3600, "h"), (60, "m")):
        if seconds >= size and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"


def split_commas(value: object) -> object:
    """Read "totp,webauthn" or a JSON list of strings."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("is not valid JSON") from None
    return [part.strip() for part in value.split(",") if part.strip()]


# Keys are read and used, never written: dumped settings must not carry them.
_HIDDEN = PlainSerializer(lambda _: "**********", return_type=str)


def _parsed(kind: type[T], parse: Callable[[str], T]) -> PlainValidator:
    def validate(value: object) -> T:
        if isinstance(value, kind):
            return value
        if isinstance(value, str):
            return parse(value)
        raise ValueError("must be text")

    return PlainValidator(validate, json_schema_input_type=str)


def _checked(check: Callable[[str], None]) -> AfterValidator:
    def validate(value: SecretStr) -> SecretStr:
        check(value.get_secret_value())
        return value

    return AfterValidator(validate)


DatabaseUrl = Annotated[SecretStr, _checked(address.check_database)]
BrokerUrl = Annotated[SecretStr, _checked(address.check_broker)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
CommaList = Annotated[tuple[str, ...], BeforeValidator(split_commas)]
CommaSet = Annotated[frozenset[str], BeforeValidator(split_commas)]
KeyRing = Annotated[cipher.KeyRing, _parsed(cipher.KeyRing, cipher.KeyRing.parse), _HIDDEN]
PrivateKey = Annotated[auth.PrivateKey, _parsed(auth.PrivateKey, auth.PrivateKey.parse), _HIDDEN]
PublicKeys = Annotated[auth.PublicKeys, _parsed(auth.PublicKeys, auth.PublicKeys.parse), _HIDDEN]


class ServiceSettings(BaseSettings):
    """What every service reads. A setting `x` comes from `X`, or from the file that `X_FILE` names.

    Each field says in its description what it does and in which unit; where django-allauth has
    the setting, `json_schema_extra={"allauth": <its default there>}` says how that differs. What
    only one kind of process needs has no value by default, and `{"needed_by": "worker"}` there.
    """

    model_config = SettingsConfigDict(
        frozen=True,
        extra="ignore",
        env_ignore_empty=True,
        enable_decoding=False,  # the types above read their own text
        validate_default=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
    )

    countersign_development: bool = Field(
        default=False,
        description="Allows what is fit for development only: bypass codes, the mail inbox page.",
    )
    database_connections: int = Field(
        default=8,
        ge=1,
        le=100,
        description="How many connections to PostgreSQL a process keeps at most, for each service "
        "that it runs. A worker has up to two more.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least severe level that is logged."
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments first, then the environment, then the files that it names."""
        return init_settings, env_settings, FileSource(settings_cls)


class FileSource(PydanticBaseSettingsSource):
    """Reads a setting `x` from the file whose path is in the environment as `X_FILE`."""

    def __init__(self, settings_cls: type[BaseSettings]) -> None:
        super().__init__(settings_cls)
        self._variables = _environment()  # once for all of the settings

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """Return the stripped content of the file, if one is named and can be read."""
        path = self._variables.get((field_name + FILE_SUFFIX).upper())
        content = read_file(path) if path else None
        return content if isinstance(content, str) else None, field_name, False

    def __call__(self) -> dict[str, Any]:
        """Return every setting that a file gives."""
        fields = self.settings_cls.model_fields.items()
        values = {name: self.get_field_value(field, name)[0] for name, field in fields}
        return {name: value for name, value in values.items() if value is not None}


def load(cls: type[S], by: str = "") -> S:
    """Read settings of kind `cls`. Raises ConfigurationError with every problem that there is.

    Each is one plain sentence that names the environment variable, and never its value. `by` is
    the kind of process, such as `worker`, if there are settings that no other needs.
    """
    trouble = _missing(cls, by) | _file_problems(cls)
    try:
        settings = cls()
    except ValidationError as error:
        problems = {_place(details["loc"]): _sentence(details) for details in error.errors()}
        raise ConfigurationError(list({**problems, **trouble}.values())) from None
    if trouble:
        raise ConfigurationError(list(trouble.values()))
    return settings


def needed_by(field: FieldInfo) -> str:
    """Return the one kind of process that needs a setting, or nothing."""
    extra = field.json_schema_extra
    return str(extra.get("needed_by", "")) if isinstance(extra, dict) else ""


def read_file(path: str) -> str | OSError | ValueError:
    """Return the stripped text of a settings file, or what prevents that."""
    try:
        with Path(path).open("rb") as file:
            raw = file.read(MAX_FILE + 1)
        if len(raw) > MAX_FILE:
            return ValueError("is too large")
        return raw.decode().strip()
    except UnicodeDecodeError:
        return ValueError("is not UTF-8 text")
    except (OSError, ValueError) as error:  # ValueError: a path with NUL in it
        return error


def _missing(cls: type[ServiceSettings], by: str) -> dict[str, str]:
    environment = _environment()
    fields = cls.model_fields.items()
    names = [name.upper() for name, field in fields if by and needed_by(field) == by]
    return {
        name: f"{name} is not set; the {by} needs it."
        for name in names
        if not (environment.get(name) or environment.get(name + FILE_SUFFIX))
    }


def _file_problems(cls: type[ServiceSettings]) -> dict[str, str]:
    environment = _environment()
    problems = {}
    for field in cls.model_fields:
        name = field.upper()
        path = environment.get(name + FILE_SUFFIX)
        if not path:
            continue
        content = read_file(path)
        if environment.get(name):
            problems[name] = f"{name} and {name}{FILE_SUFFIX} are both set; set one of them."
        elif isinstance(content, OSError):
            reason = (content.strerror or "unknown error").lower()
            problems[name] = f"{name}{FILE_SUFFIX} names a file that cannot be read: {reason}."
        elif isinstance(content, ValueError):
            problems[name] = f"{name}{FILE_SUFFIX} names a file that cannot be used: {content}."
        elif not content:
            problems[name] = f"{name}{FILE_SUFFIX} names a file that is empty."
    return problems


def _environment() -> Mapping[str, str]:
    """Return the environment by upper-case names: settings do not mind the case."""
    return {name.upper(): value for name, value in os.environ.items()}


def _place(loc: tuple[int | str, ...]) -> str:
    return str(loc[0]).upper() if loc else ""


def _sentence(details: Mapping[str, Any]) -> str:
    name = _place(details["loc"])
    if details["type"] == "missing":
        return f"{name} is not set, and has no default."
    message = str(details["msg"]).removeprefix("Value error, ").rstrip(".")
    message = BOUND.sub(_bound, message)
    if not name:
        return f"{message}."
    return f"{name}: {message[:1].lower()}{message[1:]}."


def _bound(found: re.Match[str]) -> str:
    """Return a bound as an operator writes it."""
    days, seconds = (int(count or 0) for count in found.groups())
    return duration_text(timedelta(days=days, seconds=seconds))
