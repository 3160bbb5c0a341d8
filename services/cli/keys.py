"""The keys of the suite: made once, each where only its owner looks.

    keys/<owner>/caller.json    signs the credential with which the owner calls other services
    keys/<owner>/event.json     signs the events that the owner's relay sends
    keys/<owner>/sealing.json   seals what the owner keeps secret in its database
    keys/public/callers.json    who may call: what every service checks credentials with
    keys/public/events.json     what audit checks the signatures of events with

A deployment gives each service its own folder and `public`, and no other.
"""

import json
import secrets
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.cli.environment import KEY_FILES, OTHERS, recall, write_private
from shared import auth, cipher

folder = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of keys; default VAR_DIR/keys.",
)


@click.group()
def keys() -> None:
    """Make and check the keys of the suite."""


@keys.command()
@folder
def init(directory: Path | None) -> None:
    """Make the keys that are missing; those that are there stay as they are."""
    for path in make(directory or recall().key_dir):
        click.echo(f"made {path}")


@keys.command()
@folder
def check(directory: Path | None) -> None:
    """Say which keys are missing, unreadable, unsafe or do not fit each other."""
    problems = list(find_problems(directory or recall().key_dir))
    for problem in problems:
        click.echo(problem)
    if problems:
        raise SystemExit(1)
    click.echo("All keys are there and fit each other.")


def make(directory: Path) -> list[Path]:
    """Make the keys that are missing under `directory` and return their paths.

    Public keys are added to what `public/` has, so that keys of before a rotation stay valid until
    an operator takes them away.
    """
    made = []
    for path in _private_paths(directory):
        if not path.exists():
            write_private(path, json.dumps(_new_key(path.parent.name, path.stem), indent=2))
            made.append(path)
    for kind in ("caller", "event"):
        public = directory / "public" / f"{kind}s.json"
        known = json.loads(public.read_text()) if public.exists() else {}
        wanted = known | _public_halves(directory, kind)
        if wanted != known:
            write_private(public, json.dumps(wanted, indent=2))
            made.append(public)
    return made


def find_problems(directory: Path) -> Iterator[str]:
    """Yield one plain sentence for everything that is wrong with the keys under `directory`."""
    if not directory.is_dir():
        yield f"There is no folder {directory}; `countersign keys init` makes it."
        return
    for path in (directory, *(directory / name for name in sorted(KEY_FILES.values()))):
        yield from _unsafe(path)
    for path in _private_paths(directory):
        if path.exists():
            yield from _unusable(path)


def _private_paths(directory: Path) -> list[Path]:
    return [directory / name for name in KEY_FILES.values() if not name.startswith("public/")]


def _new_key(owner: str, kind: str) -> dict[str, object]:
    key_id = f"{owner}-{secrets.token_hex(4)}"
    if kind == "sealing":
        key = _encode(secrets.token_bytes(cipher.KEY_BYTES))
        return {"primary": key_id, "keys": {key_id: key}}
    private = Ed25519PrivateKey.generate()
    return {"kid": key_id, "issuer": owner, "key": _encode(private.private_bytes_raw())}


def _public_halves(directory: Path, kind: str) -> dict[str, dict[str, str]]:
    """Return the public half of every private key of this kind, by key id."""
    halves = {}
    for path in _private_paths(directory):
        if path.stem == kind:
            private = auth.PrivateKey.parse(path.read_text())
            public = private.key.public_key().public_bytes_raw()
            halves[private.id] = {"issuer": private.issuer, "key": _encode(public)}
    return halves


def _unsafe(path: Path) -> Iterator[str]:
    if not path.exists():
        yield f"{path} is missing; `countersign keys init` makes it."
    elif path.stat().st_mode & OTHERS:
        yield f"{path} is open to other users of this machine; take those permissions away."


def _unusable(path: Path) -> Iterator[str]:
    """Read a private file, and compare a signing key with the public one that others check by."""
    try:
        if path.stem == "sealing":
            cipher.KeyRing.parse(path.read_text())
            return
        private = auth.PrivateKey.parse(path.read_text())
    except ValueError as error:
        yield f"{path} {error}."
        return
    listed = path.parent.parent / "public" / f"{path.stem}s.json"
    try:
        public = auth.PublicKeys.parse(listed.read_text()).get(private.id)
    except (OSError, ValueError):
        yield f"{listed} cannot be read as a list of public keys."
        return
    if public != auth.PublicKey(private.issuer, private.key.public_key()):
        yield f"{listed} lacks the key of {path}; what that signs will be refused."


def _encode(raw: bytes) -> str:
    return b64encode(raw).decode()
