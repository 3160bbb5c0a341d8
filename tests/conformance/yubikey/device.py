"""A key as a program: what `--prover-command` starts, one process for each device.

Lines of JSON come in and go out; docs/factors.md has them. Any language would do.
"""

import json
import sys
from typing import Any

from tests.conformance.yubikey.otp import Secret, YubiKey


class Program:
    """Answers the questions of the kit."""

    def __init__(self) -> None:
        self._key = YubiKey(Secret.new())

    def answer(self, question: dict[str, Any]) -> dict[str, Any]:
        """Return the answer to one line."""
        if question["call"] == "register":
            shown = question["display"]
            private_id, aes = (bytes.fromhex(shown[name]) for name in ("private_id", "key"))
            self._key = YubiKey(Secret(shown["public_id"], private_id, aes))
            secrets = [shown["private_id"], shown["key"]]
            return {"proof": {"code": self._key.touch()}, "secrets": secrets}
        if question["call"] == "prove":
            return {"proof": {"code": self._key.touch()}}
        return {}


def main() -> None:
    """Answer line by line until there are no more."""
    program = Program()
    for line in sys.stdin:
        print(json.dumps(program.answer(json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
