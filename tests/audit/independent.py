"""Checks proofs and checkpoints with nothing of Countersign, as docs/audit.md says others can.

Written after RFC 9162, sections 2.1.3.2 and 2.1.4.2, and C2SP's signed-note. A test sees to it
that nothing of ours is imported here.
"""

from base64 import b64decode
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def leaf(data: bytes) -> bytes:
    """Return the hash of a leaf."""
    return sha256(b"\x00" + data).digest()


def above(left: bytes, right: bytes) -> bytes:
    """Return the hash of the node above two others."""
    return sha256(b"\x01" + left + right).digest()


def is_included(data: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    """Verify an inclusion proof."""
    if index >= size:
        return False
    node, last, found = index, size - 1, leaf(data)
    for step in path:
        if last == 0:
            return False
        if node & 1 or node == last:
            found = above(step, found)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            found = above(found, step)
        node, last = node >> 1, last >> 1
    return last == 0 and found == root


def is_consistent(
    first: int, second: int, path: list[bytes], first_root: bytes, second_root: bytes
) -> bool:
    """Verify a consistency proof."""
    if first == second:
        return not path and first_root == second_root
    path = [first_root, *path] if first & (first - 1) == 0 else path
    if not path:
        return False
    node, last = first - 1, second - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    old = new = path[0]
    for step in path[1:]:
        if last == 0:
            return False
        if node & 1 or node == last:
            old, new = above(step, old), above(step, new)
            while not node & 1 and node:
                node, last = node >> 1, last >> 1
        else:
            new = above(new, step)
        node, last = node >> 1, last >> 1
    return last == 0 and (old, new) == (first_root, second_root)


def opened(note: str, verifier_key: str) -> tuple[str, int, bytes] | None:
    """Return origin, size and root of a checkpoint, if the key has signed it."""
    name, key_id, encoded = verifier_key.split("+", maxsplit=2)
    key = Ed25519PublicKey.from_public_bytes(b64decode(encoded)[1:])
    text, _, signatures = note.partition("\n\n")
    for line in signatures.splitlines():
        dash, signer, signature = line.split(" ")
        raw = b64decode(signature)
        if dash == "\u2014" and signer == name and raw[:4].hex() == key_id:
            try:
                key.verify(raw[4:], f"{text}\n".encode())
            except InvalidSignature:
                return None
            origin, size, root = text.split("\n")[:3]
            return origin, int(size), b64decode(root)
    return None
