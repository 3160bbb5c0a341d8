"""The public halves of keys: who is believed to have signed something."""

import json
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


@dataclass(frozen=True)
class PublicKey:
    """What shows that `issuer` signed something."""

    issuer: str
    key: Ed25519PublicKey = field(repr=False)


class PublicKeys(dict[str, PublicKey]):
    """Public keys by key id."""

    @classmethod
    def parse(cls, text: str) -> "PublicKeys":
        """Read `{"<kid>": {"issuer": "session", "key": "<base64 of 32 bytes>"}}`.

        Raises ValueError.
        """
        try:
            return cls(
                {
                    str(name): PublicKey(
                        issuer=_text(entry["issuer"]),
                        key=Ed25519PublicKey.from_public_bytes(
                            b64decode(entry["key"], validate=True)
                        ),
                    )
                    for name, entry in json.loads(text).items()
                }
            )
        except (ValueError, TypeError, KeyError, AttributeError, Base64Error):
            shape = '{"<kid>": {"issuer": "<service>", "key": "<base64 of 32 bytes>"}}'
            raise ValueError(f"must be JSON of the form {shape}") from None


def _text(value: object) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError
    return value
