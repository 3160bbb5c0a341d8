"""What people sign up with, in allauth's notation: `email*`, `username`, `password1*`."""

from collections.abc import Sequence
from dataclasses import dataclass

EMAIL = "email"
USERNAME = "username"
PASSWORD = "password1"  # noqa: S105 - the name of a field
REPEATED = frozenset({"email2", "password2"})
"""What is typed twice on allauth's own pages; its headless API has no use for the password."""


@dataclass(frozen=True, kw_only=True)
class SignupFields:
    """The names of the fields in the order in which faults are told, and those of them that are
    `required`. The password comes last, whatever its place.
    """

    names: tuple[str, ...] = (EMAIL,)
    required: frozenset[str] = frozenset({EMAIL})

    def requires(self, name: str) -> bool:
        """Tell whether nobody signs up without it."""
        return name in self.required


def parse_signup_fields(listed: Sequence[str]) -> SignupFields:
    """Return what is listed. Raises ValueError, with the reason, for what cannot be.

    `password2*` means nothing, as with allauth's headless API.
    """
    fields = {name.removesuffix("*"): name.endswith("*") for name in listed}
    if len(fields) < len(listed):
        raise ValueError("has a field twice")
    if "password" in fields:
        raise ValueError("has `password`, which is called `password1` here")
    if "email2" in fields:
        raise ValueError("has `email2`: an address is typed twice on a page, and asked for once")
    if "phone" in fields:
        raise ValueError("has `phone`, and there are no telephone numbers yet")
    if unknown := sorted(fields.keys() - {EMAIL, USERNAME, PASSWORD, *REPEATED}):
        raise ValueError(f"has {', '.join(unknown)}, of email, username, password1 and password2")
    if not fields.get(PASSWORD):
        raise ValueError(
            "needs `password1*`: only sign-ups by passkey, which go another way, do without"
        )
    if EMAIL not in fields and USERNAME not in fields:
        raise ValueError("needs `email` or `username`: people have to be called something")
    names = tuple(name for name in fields if name in (EMAIL, USERNAME))
    return SignupFields(names=names, required=frozenset(n for n in names if fields[n]))
