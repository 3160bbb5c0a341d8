"""What the suite is told: the environment, over a file, over defaults that follow from VAR_DIR.

Only the standard library is used here: the supervisor reads its settings with it and stays small.
The services' own settings are checked by the services' settings classes.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.session.domain.token_strategy import STRATEGIES, Algorithm, TokenStrategy
from services.suite import ALL, SERVICES
from shared.errors import ConfigurationError

OPERATOR = "operator"
"""The name under which the command line itself calls a service."""


@dataclass(frozen=True)
class Setting:
    """One setting of the suite itself: environment variable, default, and what it does."""

    name: str
    default: str
    description: str


def _ports() -> Iterator[Setting]:
    """Yield the ports of every service: its API's, its operators', its worker's operators'."""
    inner = [service for service in ALL if service.name != "session"]
    for service in inner:
        text = f"Port of {service.name}'s API"
        embedded = "; embedded in the suite it has none." if service.is_factor else "."
        yield Setting(f"{service.name.upper()}_PORT", str(8000 + service.place), text + embedded)
    yield Setting("SESSION_OPS_PORT", "9000", "Health, readiness and metrics of session.")
    for service in inner:
        text = f"The same of {service.name}; embedded, session's port answers for it."
        yield Setting(f"{service.name.upper()}_OPS_PORT", str(9000 + service.place), text)
    text = "The same of session's worker, or the only worker."
    yield Setting("SESSION_WORKER_OPS_PORT", "9010", text)
    for service in inner:
        text = f"The same of {service.name}'s worker."
        yield Setting(f"{service.name.upper()}_WORKER_OPS_PORT", str(9010 + service.place), text)


SETTINGS = (
    Setting("VAR_DIR", "var", "Folder for keys, databases, broker data and the development inbox."),
    Setting("HOST", "127.0.0.1", "Address that session's public API listens on."),
    Setting("PORT", "8000", "Port of session's public API."),
    Setting(
        "INTERNAL_HOST",
        "127.0.0.1",
        "Address that inner services and operations ports listen on; never a public one.",
    ),
    *_ports(),
    Setting(
        "BROKER_PORT",
        "0",
        "Port of the embedded broker, used when BROKER_URL is not set; 0 picks a free one.",
    ),
)

DEFAULTS = {setting.name: setting.default for setting in SETTINGS}

LAST_PORT = 65535

OTHERS = 0o077  # permissions on a file or folder for anybody but its owner

KEY_SETTINGS = {
    "caller": "CALLER_KEY",
    "checkpoint": "CHECKPOINT_KEY",
    "event": "EVENT_KEY",
    "sealing": "SEALING_KEYS",
}

KEY_FILES = {
    **{
        f"{service.name.upper()}_{KEY_SETTINGS[kind]}": f"{service.name}/{kind}.json"
        for service in ALL
        for kind in service.keys
    },
    "OPERATOR_CALLER_KEY": f"{OPERATOR}/caller.json",
    "CALLER_KEYS": "public/callers.json",
    "EVENT_KEYS": "public/events.json",
    "AUDIT_CHECKPOINT_KEYS": "public/checkpoints.json",
}
"""Each setting that holds keys, and its file under VAR_DIR/keys: one folder per owner."""

TOKEN_KEY = "HEADLESS_JWT_PRIVATE_KEY"  # noqa: S105 - the name of a setting

OWNED = {
    **{name: path.split("/", maxsplit=1)[0] for name, path in KEY_FILES.items()},
    **{f"{service.upper()}_DATABASE_URL": service for service in SERVICES},
    "SMTP_URL": "session",
    TOKEN_KEY: "session",
}
"""Settings with a secret in them, and the one owner who is handed it; "public" is everyone."""

SECRET = {*OWNED, "BROKER_URL"}
"""Settings that are not written down where they were told as plain values."""


@dataclass(frozen=True)
class Suite:
    """The suite's own settings, checked. `variables` is the whole environment for its parts."""

    variables: Mapping[str, str] = field(repr=False)
    memorable: frozenset[str] = frozenset()
    embeds_broker: bool = False

    @property
    def var_dir(self) -> Path:
        return Path(self.variables["VAR_DIR"])

    @property
    def key_dir(self) -> Path:
        return self.var_dir / "keys"

    @property
    def key_files(self) -> tuple[str, ...]:
        """Every file of keys that the suite needs, under `key_dir`."""
        own = token_key_file(self.variables, self.key_dir)
        return (*KEY_FILES.values(), *([own] if own else []))

    @property
    def internal_host(self) -> str:
        return self.variables["INTERNAL_HOST"]

    @property
    def public_url(self) -> str:
        return self.variables["PUBLIC_URL"]

    def host_of(self, service: str) -> str:
        """Return the address that `service` listens on: only session faces anybody."""
        return self.variables["HOST" if service == "session" else "INTERNAL_HOST"]

    def port(self, name: str) -> int:
        return int(self.variables[name])

    def for_owners(self, *owners: str) -> dict[str, str]:
        """Return the variables that a process acting for `owners` may see.

        A process that has been broken into must not hold another service's keys or database.
        """
        return {
            name: value
            for name, value in self.variables.items()
            if OWNED.get(name.removesuffix("_FILE"), "public") in {*owners, "public"}
        }

    def remember(self) -> None:
        """Write down what a later command needs to find this suite; see `recall`."""
        lines = (f"{name}={self.variables[name]}\n" for name in sorted(self.memorable))
        write_private(_memory(self.var_dir), "".join(lines))


def read(env_file: Path | None = None, environ: Mapping[str, str] = os.environ) -> Suite:
    """Return the settings for a suite of its own: `environ` over `env_file` over the defaults.

    What names no place gets one under VAR_DIR. Raises ConfigurationError naming every value that
    cannot be used.
    """
    filed = parse(env_file.read_text()) if env_file else {}
    given = _over(environ, filed)
    variables = _over(given, DEFAULTS)
    _check(variables)
    derived = _derived(variables)
    whole = _over(variables, derived) | {"VAR_DIR": str(_var_dir(variables))}
    ours = DEFAULTS.keys() | filed.keys() | derived.keys()
    return Suite(
        variables=whole,
        memorable=frozenset(
            name for name in ours & whole.keys() if name not in SECRET or name not in given
        ),
        embeds_broker=not {"BROKER_URL", "BROKER_URL_FILE"} & given.keys(),
    )


def told(environ: Mapping[str, str] = os.environ) -> Suite:
    """Return the settings for one process: `environ` over the defaults, and nothing derived.

    In production each setting is told, or missed. Raises ConfigurationError like `read`.
    """
    variables = _over(environ, DEFAULTS)
    _check(variables)
    return Suite(variables | {"VAR_DIR": str(_var_dir(variables))})


def recall(environ: Mapping[str, str] = os.environ) -> Suite:
    """Return the settings for a command about a suite: as `told`, over what that suite was told.

    Where no suite has run in VAR_DIR, this is `told`.
    """
    memory = _memory(told(environ).var_dir)
    return told(_over(environ, parse(memory.read_text()) if memory.exists() else {}))


def token_key_file(variables: Mapping[str, str], key_dir: Path) -> str | None:
    """Return the file under `key_dir` with the key that signs tokens, of each algorithm another.

    None if no tokens are to be signed, or by a key that is told otherwise.
    """
    strategy = STRATEGIES.get(variables.get("HEADLESS_TOKEN_STRATEGY", ""))
    algorithm = variables.get("HEADLESS_JWT_ALGORITHM") or Algorithm.EDDSA
    if strategy is not TokenStrategy.JWT or algorithm not in set(Algorithm):
        return None
    name = f"session/tokens-{algorithm}.pem"
    elsewhere = variables.get(TOKEN_KEY) or variables.get(f"{TOKEN_KEY}_FILE")
    return name if elsewhere in (None, "", str(key_dir / name)) else None


def adopt(suite: Suite) -> None:
    """Make the suite's variables this process's own, so that settings classes find them."""
    os.environ.update(suite.variables)


def broker_url_file(var_dir: Path) -> Path:
    """Return where the embedded broker's address, with its password, is written."""
    return var_dir / "broker" / "url"


def _memory(var_dir: Path) -> Path:
    return var_dir / "suite.env"


def parse(text: str) -> dict[str, str]:
    """Return the settings of a file of `NAME=value` lines; `#` begins a comment line.

    Raises ConfigurationError naming the lines that are neither.
    """
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), start=1)]
    told = [(number, line) for number, line in lines if line and not line.startswith("#")]
    problems = [f"Line {number} is not NAME=value." for number, line in told if "=" not in line]
    if problems:
        raise ConfigurationError(problems)
    pairs = (line.split("=", maxsplit=1) for _, line in told)
    return {name.strip(): value.strip() for name, value in pairs}


def make_private_folder(path: Path) -> None:
    """Make a folder that only this user can enter, and those above it, as far as missing."""
    for folder in reversed((path, *path.parents)):
        folder.mkdir(mode=0o700, exist_ok=True)


def write_private(path: Path, text: str) -> None:
    """Write a file that only this user can read, whole or not at all."""
    make_private_folder(path.parent)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _check(variables: Mapping[str, str]) -> None:
    problems = [
        f"{name} must be a port number from {first} to {LAST_PORT}, not {variables.get(name)!r}."
        for name in DEFAULTS
        if name.endswith("PORT")
        # Others have to know the port; only the broker's is written down once it is chosen.
        and not _is_port(variables.get(name, ""), first := 0 if name == "BROKER_PORT" else 1)
    ]
    problems += [
        f"{name} must not be empty."
        for name in DEFAULTS
        if not name.endswith("PORT") and not variables.get(name, "").strip()
    ]
    if problems:
        raise ConfigurationError(problems)


def _is_port(text: str, first: int) -> bool:
    return text.isascii() and text.isdigit() and first <= int(text) <= LAST_PORT


def _over(stronger: Mapping[str, str], weaker: Mapping[str, str]) -> dict[str, str]:
    """Return both; a setting told by the stronger, plainly or as a file, hides the weaker's."""
    told = {name.removesuffix("_FILE") for name in stronger}
    return {
        **{name: value for name, value in weaker.items() if name.removesuffix("_FILE") not in told},
        **stronger,
    }


def _var_dir(variables: Mapping[str, str]) -> Path:
    return Path(variables["VAR_DIR"]).absolute()


def _derived(variables: Mapping[str, str]) -> dict[str, str]:
    """Return what follows from the rest where nothing else was said."""
    var, inner = _var_dir(variables), _authority(variables["INTERNAL_HOST"])
    databases = {f"{name.upper()}_DATABASE_URL": f"sqlite:///{var}/{name}.db" for name in SERVICES}
    addresses = {
        f"{name.upper()}_URL": f"http://{inner}:{variables[f'{name.upper()}_PORT']}"
        for name in SERVICES
        if name != "session"
    }
    keys = KEY_FILES.copy()
    if own := token_key_file(variables, var / "keys"):
        keys[TOKEN_KEY] = own
    return {
        "PUBLIC_URL": f"http://{_nearby(variables['HOST'])}:{variables['PORT']}",
        "BROKER_URL_FILE": str(broker_url_file(var)),
        "AUDIT_CHECKPOINT_PATH": str(var / "checkpoints"),
        **databases,
        **addresses,
        **{f"{name}_FILE": str(var / "keys" / path) for name, path in keys.items()},
    }


def _nearby(host: str) -> str:
    """Return how this machine's users write an address that is listened on."""
    if host in ("127.0.0.1", "0.0.0.0"):  # noqa: S104 - what was told is read, not chosen
        return "localhost"
    return _authority("::1" if host == "::" else host)


def _authority(host: str) -> str:
    return f"[{host}]" if ":" in host else host
