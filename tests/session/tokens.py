"""Keys of every algorithm, rules of tokens, and apps that keep some."""

from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from services.cli.keys import _new_token_key
from services.session.domain.sessions import Client
from services.session.domain.token_keys import SigningKey, TokenKeys, parse_signing_key
from services.session.domain.token_strategy import Algorithm
from services.session.domain.tokens import TokenRules, Tokens
from services.session.flows.outcomes import Outcome, Refreshed, Standing, Visit
from tests.session.house import ADA, HOME, House, Visitor

ISSUER = "http://localhost:8000"


def private_pem(algorithm: Algorithm = Algorithm.EDDSA, number: int = 0) -> str:
    """Return a private key in PEM, as `countersign keys init` makes it; another per number."""
    return _private_pem(algorithm, number)


def signing_key(algorithm: Algorithm = Algorithm.EDDSA, number: int = 0) -> SigningKey:
    """Return that key, read."""
    return parse_signing_key(private_pem(algorithm, number), algorithm)


def public_pem(algorithm: Algorithm = Algorithm.EDDSA, number: int = 0) -> str:
    """Return its public half in PEM."""
    public = signing_key(algorithm, number).public.key
    return public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def rules(**changes: Any) -> TokenRules:
    """Return rules that are allauth's but for `changes`."""
    return TokenRules(**{"keys": TokenKeys(signing_key()), "issuer": ISSUER, **changes})


@cache
def _private_pem(algorithm: Algorithm, _number: int) -> str:
    return _new_token_key(algorithm)


@dataclass
class App:
    """Somebody's app, which keeps the tokens that it is given last."""

    visitor: Visitor
    access: str = field(repr=False)
    refresh: str = field(repr=False)

    @property
    def house(self) -> House:
        """The house that it is at."""
        return self.visitor.house

    async def renew(self, token: str | None = None) -> Outcome:
        """Have the tokens renewed by the refresh token, or by `token`, and keep them."""
        outcome = await self.house.flows.tokens.refresh(self.nobody, token or self.refresh)
        if isinstance(outcome, Refreshed):
            self.access = outcome.tokens.access
            self.refresh = outcome.tokens.refresh or self.refresh
        return outcome

    async def visit(self) -> Visit:
        """Be recognised by the access token alone."""
        return await self.house.flows.visits.recognise(
            Client.APP, None, address=HOME, user_agent="test", access_token=self.access
        )

    @property
    def nobody(self) -> Visit:
        """A visit with nothing to show."""
        return Visit(client=Client.APP, address=HOME, user_agent="test")

    def keep(self, outcome: Outcome) -> Outcome:
        """Keep the tokens that an outcome tells."""
        tokens = tokens_of(outcome)
        self.access, self.refresh = tokens.access, tokens.refresh or self.refresh
        return outcome

    def copy(self, house: House | None = None) -> "App":
        """Return a thief, who has all that the app has now; perhaps at another replica."""
        return App(replace(self.visitor, house=house or self.house), self.access, self.refresh)


def tokens_of(outcome: Outcome) -> Tokens:
    """Return the tokens that an outcome tells."""
    assert isinstance(outcome, Standing)
    assert outcome.tokens is not None
    return outcome.tokens


async def join(house: House, email: str = ADA) -> App:
    """Return the app of somebody who has just signed up."""
    visitor = house.visitor()
    await visitor.sign_up(email)
    tokens = tokens_of(await visitor.verify(await house.code()))
    return App(visitor, tokens.access, tokens.refresh or "")
