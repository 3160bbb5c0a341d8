"""The apps of this process on a port, for a browser: no other process has to be started."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from tests.journeys.suite import InProcess, in_process

EVERYTHING: dict[str, Any] = {
    "mfa_supported_types": ("totp", "webauthn", "recovery_codes"),
    "mfa_passkey_login_enabled": True,
    "mfa_passkey_signup_enabled": True,
    "mfa_trust_enabled": True,
    "audit_url": "http://127.0.0.1:1",  # there is no ledger: and so one page whose part is away
    "account_login_by_code_enabled": True,
    "account_login_by_code_max_resend_count": 2,
    "account_password_reset_by_code_enabled": True,
    "account_email_verification_max_resend_count": 2,
    "account_email_verification_max_change_count": 2,
}
"""Settings with which every page is there."""


@dataclass(kw_only=True)
class Served:
    """A suite in this process, and where a browser finds it."""

    suite: InProcess
    base_url: str

    async def deliver(self) -> None:
        """Send what is due."""
        await self.suite.deliver()

    async def mailed_code(self, address: str) -> str:
        """Return the code in the newest mail to `address`."""
        return str(await self.suite.mailed_code(address))

    async def mailed_link(self, address: str) -> str:
        """Return the link to a page in the newest mail to `address`."""
        await self.deliver()
        listing = (await self.suite.client("app").http.get("/inbox.json")).json()
        text = next(mail["text"] for mail in listing["messages"] if mail["to"] == address)
        lines: list[str] = text.split("\n")
        return next(line for line in lines if line.startswith(f"{self.base_url}/accounts/"))

    async def fresh_code(self, secret: str) -> str:
        """Return a time-based code that was not used."""
        return await self.suite.fresh_code(secret)


@asynccontextmanager
async def served(directory: Path, **changes: Any) -> AsyncIterator[Served]:
    """Serve session on a free port, with every page unless `changes` say otherwise."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        base_url = f"http://localhost:{found.getsockname()[1]}"
        settings = {**EVERYTHING, "public_url": base_url, **changes}
        async with in_process(directory, **settings) as suite:
            config = uvicorn.Config(suite.apps["session"], lifespan="off", log_config=None)
            server = uvicorn.Server(config)
            running = asyncio.create_task(server.serve([found]))
            try:
                yield Served(suite=suite, base_url=base_url)
            finally:
                server.should_exit = True
                await running
