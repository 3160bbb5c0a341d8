"""Chromium's virtual authenticator, over the DevTools protocol: a device and its user."""

from dataclasses import dataclass
from typing import Any, Self

from playwright.async_api import CDPSession, Page

from tests.journeys.client import Json


@dataclass(frozen=True)
class Authenticator:
    """A device that the browser knows, with somebody before it who touches it at once."""

    devtools: CDPSession
    id: str

    @classmethod
    async def plug_in(cls, page: Page, **options: Any) -> Self:
        """Give the browser a device: one that verifies and keeps passkeys, if not said else."""
        devtools = await page.context.new_cdp_session(page)
        await devtools.send("WebAuthn.enable")
        answer = await devtools.send(
            "WebAuthn.addVirtualAuthenticator",
            {
                "options": {
                    "protocol": "ctap2",
                    "ctap2Version": "ctap2_1",
                    "transport": "internal",
                    "hasResidentKey": True,
                    "hasUserVerification": True,
                    "isUserVerified": True,
                    "automaticPresenceSimulation": True,
                    **options,
                }
            },
        )
        return cls(devtools, answer["authenticatorId"])

    async def credentials(self) -> list[Json]:
        """Return what the device keeps, with the private keys."""
        answer: Json = await self._send("getCredentials")
        return list(answer["credentials"])

    async def verifies(self, yes: bool) -> None:
        """Have its user pass verification from now on, or fail."""
        await self._send("setUserVerified", isUserVerified=yes)

    async def touches(self, yes: bool) -> None:
        """Have its user touch it as soon as it blinks, or not."""
        await self._send("setAutomaticPresenceSimulation", enabled=yes)

    async def put(self, credential: Json, **changes: Any) -> None:
        """Have the device keep a credential, one that it had or another."""
        await self._send("addCredential", credential={**credential, **changes})

    async def replace(self, credential: Json, **changes: Any) -> None:
        """Put a credential of the device back as it was, or otherwise."""
        await self._send("removeCredential", credentialId=credential["credentialId"])
        await self.put(credential, **changes)

    async def unplug(self) -> None:
        """Take the device away, with all that it keeps."""
        await self._send("removeVirtualAuthenticator")

    async def _send(self, command: str, **arguments: Any) -> Any:
        return await self.devtools.send(
            f"WebAuthn.{command}", {"authenticatorId": self.id, **arguments}
        )
