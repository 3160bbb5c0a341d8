"""A browser of somebody, which may be trusted: it keeps cookies, and asks either replica."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from http.cookies import SimpleCookie

from tests.journeys.client import Answer
from tests.races.people import Person
from tests.races.replicas import SETTINGS

TRUST = "mfa_trusted"


@dataclass
class Browser:
    """A browser at which `person` is, with what it has been given to keep, by its name."""

    person: Person
    cookies: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def is_trusted(self) -> bool:
        """Whether it has something to show for that."""
        return any(name.endswith(TRUST) for name in self.cookies)

    def another_tab(self) -> "Browser":
        """Return one that has the same cookies, and takes no notice of what this one is given."""
        return deepcopy(self, {id(self.person): self.person})

    async def log_in(self, replica: int) -> Answer:
        """Give the password, in a new session."""
        self.cookies = {name: c for name, c in self.cookies.items() if name.endswith(TRUST)}
        await self.ask(replica, "GET", "config")
        return await self.ask(replica, "POST", "auth/login", self.person.credentials)

    async def come_to_be_trusted(self, replica: int) -> None:
        """Log in by password and code, and say that it is to be trusted."""
        assert (await self.log_in(replica)).pending == ["mfa_authenticate"]
        code = {"code": self.person.device.code()}
        asked = await self.ask(1 - replica, "POST", "auth/2fa/authenticate", code)
        assert asked.pending == ["mfa_trust"]
        done = await self.ask(replica, "POST", "auth/2fa/trust", {"trust": True})
        assert (done.status, self.is_trusted) == (200, True)

    async def ask(
        self, replica: int, method: str, path: str, body: Mapping[str, object] | None = None
    ) -> Answer:
        """Ask as a page of ours does, and keep what is given."""
        csrf = next((c for name, c in self.cookies.items() if name.endswith("csrftoken")), "")
        kept = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = {
            "X-Real-IP": self.person.home,
            "Origin": SETTINGS["PUBLIC_URL"],
            "X-CSRFToken": csrf,
            "Cookie": kept,
        }
        response = await self.person.house.doors[replica].request(
            method, f"/_allauth/browser/v1/{path}", json=body, headers=headers
        )
        for given in response.headers.get_list("set-cookie"):
            self._keep(SimpleCookie(given))
        return Answer(response.status_code, response.json(), response.headers)

    def _keep(self, given: SimpleCookie) -> None:
        for name, cookie in given.items():
            if cookie.value and cookie["max-age"] != "0":
                self.cookies[name] = cookie.value
            else:
                self.cookies.pop(name, None)
