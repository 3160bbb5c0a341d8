"""People with security keys and passkeys, at the pages of a suite."""

from dataclasses import dataclass, field
from typing import Any

from tests.journeys.client import Answer
from tests.journeys.person import Person
from tests.webauthn.authenticator import Device

KEYS = "account/authenticators/webauthn"
LIST = "account/authenticators"
SIGNUP = "auth/webauthn/signup"


@dataclass(kw_only=True)
class KeyHolder(Person):
    """A person with a device, which is used at the page that their client is."""

    device: Device = field(default_factory=Device)

    def __post_init__(self) -> None:
        self.device.origin = self.client.origin

    async def add_key(self, name: str | None = None, *, passwordless: bool = False) -> Answer:
        """Add a key; the session has to be reauthenticated."""
        query = "?passwordless" if passwordless else ""
        shown = await self.client.get(f"{KEYS}{query}")
        assert shown.status == 200
        body = {"name": name, "credential": self.make(shown)}
        return await self.client.post(KEYS, body)

    async def keys(self) -> list[dict[str, Any]]:
        """Return what is told of the person's keys."""
        listed = (await self.client.get(LIST)).body["data"]
        return [entry for entry in listed if entry["type"] == "webauthn"]

    async def give_key(self, path: str) -> Answer:
        """Answer what `path` asks a key for."""
        asked = await self.client.get(path)
        assert asked.status == 200
        credential = self.device.get(asked.body["data"]["request_options"])
        return await self.client.post(path, {"credential": credential})

    def make(self, shown: Answer) -> dict[str, Any]:
        """Return what the device makes of the options that were shown."""
        return self.device.create(shown.body["data"]["creation_options"])
