"""Examples of the main calls, by the names of their handlers: a login from end to end."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

EMAIL = "ada@example.org"
PASSWORD = "correct horse battery staple"  # noqa: S105 - an example
TOKEN = "UzJm0GyDb1Wd0fJpWqJ9mCkZ2oJb7cXkq1o3b8T0x5E"  # noqa: S105
SECRET = "J4ZKKXTK7NOVU7EPUVY23LCDV4T2QZYM"  # noqa: S105
WAYS = [{"id": "login"}, {"id": "signup"}]
USER = {
    "id": "3kTMd9X2fY7QbC1vHs8NwA",
    "display": EMAIL,
    "email": EMAIL,
    "has_usable_password": True,
}
BY_PASSWORD = {"method": "password", "at": 1773489600.0, "email": EMAIL}
BY_TOTP = {
    "method": "mfa",
    "at": 1773489630.0,
    "id": "p0Yc7dT1Rk2Zs9LmX4vBqg",
    "type": "totp",
}
TOTP = {"type": "totp", "created_at": 1773489600.0, "last_used_at": None}


@dataclass(frozen=True, kw_only=True)
class Example:
    """A body to send, if any, and answers to it by status and name."""

    request: Json | None = None
    answers: Mapping[int, Mapping[str, Json]]


def pending(stage: str, *types: str) -> Json:
    """Return the answer to a login that waits at `stage`."""
    waiting: Json = {"id": stage, "is_pending": True} | ({"types": [*types]} if types else {})
    return {
        "status": 401,
        "data": {"flows": [*WAYS, waiting]},
        "meta": {"is_authenticated": False, "session_token": TOKEN},
    }


def logged_in(*methods: Json) -> Json:
    """Return the answer to whoever is logged in, by these methods."""
    return {
        "status": 200,
        "data": {"user": USER, "methods": [*methods]},
        "meta": {"is_authenticated": True},
    }


def refused(code: str, message: str, param: str) -> Json:
    """Return the answer with one error."""
    return {"status": 400, "errors": [{"message": message, "code": code, "param": param}]}


NOBODY: Json = {
    "status": 401,
    "data": {"flows": WAYS},
    "meta": {"is_authenticated": False},
}
PROVE_AGAIN: Json = {
    "status": 401,
    "data": {"user": USER, "methods": [BY_PASSWORD], "flows": [{"id": "reauthenticate"}]},
    "meta": {"is_authenticated": True},
}
INCORRECT_CODE = refused("incorrect_code", "Incorrect code.", "code")

EXAMPLES: Mapping[str, Example] = {
    "show_session": Example(
        answers={200: {"logged_in": logged_in(BY_PASSWORD)}, 401: {"nobody": NOBODY}}
    ),
    "sign_up": Example(
        request={"email": EMAIL, "password": PASSWORD},
        answers={
            400: {
                "password_too_short": refused(
                    "password_too_short",
                    "This password is too short. It must contain at least 8 characters.",
                    "password",
                )
            },
            401: {"verify_email": pending("verify_email")},
        },
    ),
    "verify_email": Example(
        request={"key": "KQTM-WXRD"},
        answers={
            200: {"logged_in": logged_in(BY_PASSWORD)},
            400: {"incorrect_code": refused("incorrect_code", "Incorrect code.", "key")},
        },
    ),
    "log_in": Example(
        request={"email": EMAIL, "password": PASSWORD},
        answers={
            200: {"logged_in": logged_in(BY_PASSWORD)},
            400: {
                "mismatch": refused(
                    "email_password_mismatch",
                    "The email address and/or password you specified are not correct.",
                    "password",
                )
            },
            401: {"second_factor": pending("mfa_authenticate", "recovery_codes", "totp")},
        },
    ),
    "authenticate": Example(
        request={"code": "314159"},
        answers={
            200: {"logged_in": logged_in(BY_PASSWORD, BY_TOTP)},
            400: {"incorrect_code": INCORRECT_CODE},
        },
    ),
    "reauthenticate": Example(
        request={"password": PASSWORD},
        answers={200: {"proved": logged_in(BY_PASSWORD)}},
    ),
    "show_totp": Example(
        answers={
            200: {"active": {"status": 200, "data": TOTP}},
            401: {"prove_again": PROVE_AGAIN},
            404: {
                "offer": {
                    "status": 404,
                    "meta": {
                        "secret": SECRET,
                        "totp_url": f"otpauth://totp/Countersign:ada%40example.org?secret={SECRET}",
                        "totp_svg": "<svg>…</svg>",
                    },
                }
            },
        }
    ),
    "activate_totp": Example(
        request={"code": "314159"},
        answers={
            200: {
                "activated": {
                    "status": 200,
                    "data": TOTP,
                    "meta": {"recovery_codes_generated": True},
                }
            },
            400: {"incorrect_code": INCORRECT_CODE},
            401: {"prove_again": PROVE_AGAIN},
        },
    ),
    "log_out": Example(answers={401: {"logged_out": NOBODY}}),
}
