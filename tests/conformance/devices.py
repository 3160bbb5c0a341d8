"""What people hold: the devices that the kit proves with at our own factors and the fourth."""

from collections.abc import Callable, Sequence
from types import MappingProxyType

import pyotp

from services.cli.conformance.device import Device, Json
from tests.conformance.yubikey.otp import Secret, YubiKey
from tests.webauthn.authenticator import Device as Software


class Authenticator(Device):
    """An app for time-based codes. `wait` lets time pass until the next step."""

    def __init__(self, now: Callable[[], float], wait: Callable[[], None]) -> None:
        self._now = now
        self._wait = wait
        self._secret = ""
        self._last = -1

    @property
    def secrets(self) -> Sequence[str]:
        """What was scanned."""
        return (self._secret,)

    async def register(self, display: Json) -> Json:
        """Scan the secret, and show a code."""
        self._secret = display["secret"]
        return self._code()

    async def prove(self, challenge: Json | None) -> Json:
        """Show a code of a step that was not shown yet."""
        while self._step <= self._last:
            self._wait()
        return self._code()

    def _code(self) -> Json:
        self._last = self._step
        return {"code": pyotp.TOTP(self._secret).at(self._step * 30)}

    @property
    def _step(self) -> int:
        return int(self._now()) // 30


class Sheet(Device):
    """A sheet of recovery codes: there is nothing to prove when it is printed."""

    enrols_by_proof = False

    def __init__(self) -> None:
        self._codes: list[str] = []

    async def register(self, display: Json) -> Json:
        """Ask for the codes."""
        return {"shown": True}

    async def keep(self, display: Json) -> None:
        """Print them."""
        self._codes = list(display["codes"])

    async def prove(self, challenge: Json | None) -> Json:
        """Cross out the next one."""
        return {"code": self._codes.pop(0)}


class Passkey(Device):
    """An authenticator of WebAuthn, and the browser that it is used with."""

    options: Json = MappingProxyType({"passwordless": True})

    def __init__(self) -> None:
        self._device = Software()

    async def register(self, display: Json) -> Json:
        """Make a credential, and keep no other."""
        self._device.credentials.clear()
        return {"credential": self._device.create(display["creation_options"])}

    async def prove(self, challenge: Json | None) -> Json:
        """Sign what was asked, whoever was asked."""
        if challenge is None:
            raise ValueError("there is nothing to sign")
        (own,) = self._device.credentials.values()
        return {"credential": self._device.get(challenge["request_options"], credential=own)}


class Stick(Device):
    """A key that types one-time passwords."""

    def __init__(self) -> None:
        self._key: YubiKey | None = None
        self._display: Json = {}

    @property
    def secrets(self) -> Sequence[str]:
        """What was put into it."""
        return (self._display["key"], self._display["private_id"])

    async def register(self, display: Json) -> Json:
        """Be programmed, and touched."""
        self._display = display
        private_id, aes = (bytes.fromhex(display[name]) for name in ("private_id", "key"))
        self._key = YubiKey(Secret(display["public_id"], private_id, aes))
        return await self.prove(None)

    async def prove(self, challenge: Json | None) -> Json:
        """Be touched."""
        if self._key is None:
            raise ValueError("it was not programmed")
        return {"code": self._key.touch()}
