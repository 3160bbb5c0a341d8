"""Somebody with a browser that has no scripts: follows links, fills in forms."""

import re
from dataclasses import dataclass
from html import unescape

import httpx

from tests.journeys.client import ORIGIN
from tests.journeys.suite import InProcess

HEADING = re.compile(r"<h1[^>]*>(.*?)</h1>", re.DOTALL)
TOKEN = re.compile(r'name="csrfmiddlewaretoken" value="(\w+)"')
WRONG = re.compile(r'id="wrong_(\w+)">.*?<span>(.*?)</span>', re.DOTALL)
BANNER = re.compile(r'<div class="banner \w+" role="\w+">.*?</svg>(.*?)</div>', re.DOTALL)
TAG = re.compile(r"<[^>]+>")


@dataclass(frozen=True)
class Sheet:
    """A page as somebody sees it."""

    response: httpx.Response

    @property
    def status(self) -> int:
        """Its status."""
        return self.response.status_code

    @property
    def text(self) -> str:
        """Its source."""
        return self.response.text

    @property
    def path(self) -> str:
        """Where it is, with what stands behind."""
        return self.response.url.raw_path.decode()

    @property
    def title(self) -> str:
        """Its heading."""
        found = HEADING.search(self.text)
        return plain(found[1]) if found else ""

    @property
    def wrong(self) -> dict[str, str]:
        """What it says is wrong, by field."""
        return {name: plain(text) for name, text in WRONG.findall(self.text)}

    @property
    def news(self) -> list[str]:
        """What it says in banners."""
        return [plain(text) for text in BANNER.findall(self.text)]


class Reader:
    """One browser, at one suite."""

    def __init__(self, suite: InProcess, email: str = "ada@example.org", **headers: str) -> None:
        self.suite = suite
        self.email = email
        self.password = "correct-horse-9"
        self.http = httpx.AsyncClient(
            transport=httpx.ASGITransport(suite.apps["session"], raise_app_exceptions=False),
            base_url=ORIGIN,
            follow_redirects=True,
            headers=headers,
        )
        self.sheet: Sheet | None = None

    async def get(self, path: str) -> Sheet:
        """Open a page below /accounts/."""
        self.sheet = Sheet(await self.http.get(f"/accounts/{path}"))
        return self.sheet

    async def post(self, path: str, *, follow: bool = True, **typed: str) -> Sheet:
        """Send a form of the page that is open to one below /accounts/."""
        self.sheet = Sheet(
            await self.http.post(
                f"/accounts/{path}",
                data={"csrfmiddlewaretoken": self.token, **typed},
                headers={"Origin": ORIGIN},
                follow_redirects=follow,
            )
        )
        return self.sheet

    @property
    def token(self) -> str:
        """The CSRF token in the forms of the page that is open."""
        found = TOKEN.search(self.sheet.text) if self.sheet else None
        return found[1] if found else ""

    async def sign_up(self) -> Sheet:
        """Open an account and verify its address."""
        await self.get("signup/")
        await self.post("signup/", email=self.email, password=self.password)
        code = await self.suite.mailed_code(self.email)
        return await self.post("confirm-email/", key=str(code))

    async def prove(self, next: str = "") -> Sheet:
        """Prove oneself by password, and go on."""
        await self.get(f"reauthenticate/?as=p&next=/accounts/{next}")
        return await self.post(
            f"reauthenticate/?as=p&next=/accounts/{next}", password=self.password
        )

    async def turn_on_totp(self) -> str:
        """Set up an authenticator app, and return its secret."""
        sheet = await self.prove("2fa/totp/activate/")
        found = re.search(r'id="secret">(.*?)<', sheet.text)
        assert found is not None
        secret = found[1].replace(" ", "")
        await self.post("2fa/totp/activate/", code=await self.suite.fresh_code(secret))
        return secret

    async def log_in(self, next: str = "") -> Sheet:
        """Log in by password."""
        query = f"?next={next}" if next else ""
        await self.get(f"login/{query}")
        return await self.post(f"login/{query}", email=self.email, password=self.password)

    async def close(self) -> None:
        """Hang up."""
        await self.http.aclose()


def plain(text: str) -> str:
    """Return what is read of a piece of HTML."""
    return " ".join(unescape(TAG.sub("", text)).split())
