"""What people are known by when they log in, or to those who look them up."""

from dataclasses import dataclass
from enum import StrEnum

from services.session.domain.addresses import parse_address
from services.session.domain.usernames import key_of


class LoginMethod(StrEnum):
    """By what people log in, as in ACCOUNT_LOGIN_METHODS."""

    EMAIL = "email"
    USERNAME = "username"


@dataclass(frozen=True, kw_only=True)
class Identifier:
    """A name of an account: one of its addresses or its username, canonical, or its id.

    Exactly one of them is there. `typed` is what was written, as what `method` has it.
    """

    typed: str = ""
    method: LoginMethod = LoginMethod.EMAIL
    address: str | None = None
    username_key: str | None = None
    user_id: str | None = None

    @property
    def canonical(self) -> str:
        """The one way to write it, by which attempts are counted where there is no account.

        No username is an address, nor an id.
        """
        return f"username {self.username_key}" if self.address is None else self.address


def by_address(address: str) -> Identifier:
    """Name an account by a canonical address."""
    return Identifier(typed=address, address=address)


def by_username(typed: str, *, or_address: bool = False) -> Identifier:
    """Name an account by its username; with `or_address`, by an address that is typed instead."""
    address = parse_address(typed) if or_address else None
    return Identifier(
        typed=typed,
        method=LoginMethod.USERNAME,
        address=address,
        username_key=None if address else key_of(typed),
    )


def by_id(user_id: str) -> Identifier:
    """Name an account by its id."""
    return Identifier(user_id=user_id)
