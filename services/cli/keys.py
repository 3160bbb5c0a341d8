"""The keys of the suite: made once, each where only its owner looks.

    keys/<owner>/caller.json    signs the credential with which the owner calls other services
    keys/<owner>/event.json     signs the events that the owner's relay sends
    keys/<owner>/sealing.json   seals what the owner keeps secret in its database
    keys/audit/checkpoint.json  signs where the ledger stands
    keys/session/tokens-*.pem   signs access and refresh tokens, with HEADLESS_TOKEN_STRATEGY jwt
    keys/public/callers.json    who may call: what every service checks credentials with
    keys/public/events.json     what audit and session check the signatures of events with
    keys/public/checkpoints.json  what the ledger is verified with

A deployment gives each service its own folder and `public`, and no other.
"""

import json
import secrets
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as generate_p256
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from services.cli.environment import (
    KEY_FILES,
    OTHERS,
    recall,
    token_key_file,
    write_private,
)
from services.cli.group import LazyGroup
from services.session.domain.token_keys import parse_signing_key
from services.session.domain.token_strategy import Algorithm
from shared import auth, cipher

RSA_BITS = 3072  # of 128 bits' strength (NIST SP 800-57 part 1, table 2)

folder = click.option(
    "--dir",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder of keys; default VAR_DIR/keys.",
)


# `reseal` needs the services themselves.
@click.group(cls=LazyGroup, later={"reseal": "services.cli.reseal"})
def keys() -> None:
    """Make and check the keys of the suite, and seal by new ones what old ones have sealed."""


@keys.command()
@folder
def init(directory: Path | None) -> None:
    """Make the keys that are missing; those that are there stay as they are."""
    for path in make(*_wanted(directory)):
        click.echo(f"made {path}")


@keys.command()
@folder
def check(directory: Path | None) -> None:
    """Say which keys are missing, unreadable, unsafe or do not fit each other."""
    problems = list(find_problems(*_wanted(directory)))
    for problem in problems:
        click.echo(problem)
    if problems:
        raise SystemExit(1)
    click.echo("All keys are there and fit each other.")


def _wanted(directory: Path | None) -> tuple[Path, str | None]:
    """Return the folder of keys, and the file in it of the key for tokens, if one is needed."""
    suite = recall()
    folder = directory or suite.key_dir
    return folder, token_key_file(suite.variables, folder)


def make(directory: Path, token_key: str | None = None) -> list[Path]:
    """Make the keys that are missing under `directory` and return their paths.

    `token_key` is the file of the key that signs tokens, if they are to be signed.

    Public keys are added to what `public/` has, so that keys of before a rotation stay valid until
    an operator takes them away.
    """
    made = []
    for path in _private_paths(directory):
        if not path.exists():
            write_private(path, json.dumps(_new_key(path.parent.name, path.stem), indent=2))
            made.append(path)
    if token_key is not None and not (directory / token_key).exists():
        write_private(directory / token_key, _new_token_key(_algorithm_of(token_key)))
        made.append(directory / token_key)
    for kind in ("caller", "event", "checkpoint"):
        public = directory / "public" / f"{kind}s.json"
        known = json.loads(public.read_text()) if public.exists() else {}
        wanted = known | _public_halves(directory, kind)
        if wanted != known:
            write_private(public, json.dumps(wanted, indent=2))
            made.append(public)
    return made


def find_problems(directory: Path, token_key: str | None = None) -> Iterator[str]:
    """Yield one plain sentence for everything that is wrong with the keys under `directory`."""
    if not directory.is_dir():
        yield f"There is no folder {directory}; `countersign keys init` makes it."
        return
    for path in (directory, *(directory / name for name in sorted(KEY_FILES.values()))):
        yield from _unsafe(path)
    for path in _private_paths(directory):
        if path.exists():
            yield from _unusable(path)
    if token_key is not None:
        yield from _unsafe(directory / token_key)
        if (directory / token_key).exists():
            yield from _unusable_token_key(directory / token_key)


def _private_paths(directory: Path) -> list[Path]:
    return [directory / name for name in KEY_FILES.values() if not name.startswith("public/")]


def _new_key(owner: str, kind: str) -> dict[str, object]:
    key_id = f"{owner}-{secrets.token_hex(4)}"
    if kind == "sealing":
        key = _encode(secrets.token_bytes(cipher.KEY_BYTES))
        return {"primary": key_id, "keys": {key_id: key}}
    private = Ed25519PrivateKey.generate()
    return {"kid": key_id, "issuer": owner, "key": _encode(private.private_bytes_raw())}


def _new_token_key(algorithm: Algorithm) -> str:
    """Return a private key in PEM."""
    key: PrivateKeyTypes = Ed25519PrivateKey.generate()
    if algorithm is Algorithm.ES256:
        key = generate_p256(SECP256R1())
    elif algorithm is Algorithm.RS256:
        key = generate_rsa(public_exponent=65537, key_size=RSA_BITS)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return pem.decode()


def _algorithm_of(token_key: str) -> Algorithm:
    return Algorithm(Path(token_key).stem.partition("-")[2])


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


def _unusable_token_key(path: Path) -> Iterator[str]:
    try:
        parse_signing_key(path.read_text(), _algorithm_of(path.name))
    except ValueError as error:
        yield f"{path} {error}."


def _encode(raw: bytes) -> str:
    return b64encode(raw).decode()
