"""Where each page is: allauth's paths and names, and those that allauth has no page for."""

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote, urlencode

ROOT = "/accounts/"
MFA = f"{ROOT}2fa/"
MFA_ALIAS = f"{ROOT}mfa/"
CHANGE_PASSWORD = "/.well-known/change-password"  # noqa: S105 - a path

REFERENCE = {
    "account_login": "login/",
    "account_logout": "logout/",
    "account_signup": "signup/",
    "account_signup_by_passkey": "signup/passkey/",
    "account_reauthenticate": "reauthenticate/",
    "account_email": "email/",
    "account_email_verification_sent": "confirm-email/",
    "account_confirm_email": "confirm-email/{key}/",
    "account_change_password": "password/change/",
    "account_set_password": "password/set/",
    "account_reset_password": "password/reset/",
    "account_confirm_password_reset_code": "password/reset/confirm/",
    "account_reset_password_done": "password/reset/done/",
    "account_reset_password_from_key": "password/reset/key/{key}/",
    "account_request_login_code": "login/code/",
    "account_confirm_login_code": "login/code/confirm/",
    "mfa_index": "2fa/",
    "mfa_authenticate": "2fa/authenticate/",
    "mfa_reauthenticate": "2fa/reauthenticate/",
    "mfa_trust": "2fa/trust/",
    "mfa_activate_totp": "2fa/totp/activate/",
    "mfa_deactivate_totp": "2fa/totp/deactivate/",
    "mfa_view_recovery_codes": "2fa/recovery-codes/",
    "mfa_generate_recovery_codes": "2fa/recovery-codes/generate/",
    "mfa_download_recovery_codes": "2fa/recovery-codes/download/",
    "mfa_list_webauthn": "2fa/webauthn/",
    "mfa_add_webauthn": "2fa/webauthn/add/",
    "mfa_reauthenticate_webauthn": "2fa/webauthn/reauthenticate/",
    "mfa_remove_webauthn": "2fa/webauthn/keys/{id}/remove/",
    "mfa_edit_webauthn": "2fa/webauthn/keys/{id}/edit/",
    "mfa_login_webauthn": "2fa/webauthn/login/",
    "mfa_signup_webauthn": "2fa/webauthn/signup/",
    "usersessions_list": "sessions/",
}
"""By allauth's names of its URLs, behind `/accounts/`."""

OWN = {
    "account_index": "",
    "account_language": "language/",
    "account_resend_email_verification": "confirm-email/resend/",
    "account_change_signup_email": "confirm-email/change/",
    "account_resend_login_code": "login/code/resend/",
    "account_activity": "activity/",
    "account_delete": "delete/",
    "mfa_authenticate_webauthn": "2fa/webauthn/authenticate/",
    "mfa_webauthn_options": "2fa/webauthn/options/",
    "mfa_webauthn_signup_options": "2fa/webauthn/signup/options/",
    "mfa_trusted_browsers": "2fa/trusted-browsers/",
}
"""What allauth has no page for, or has within another."""

PATHS: Mapping[str, str] = MappingProxyType(
    {name: ROOT + rest for name, rest in {**REFERENCE, **OWN}.items()}
)
MAX_NEXT = 512  # characters


def path_of(name: str, *, query: Mapping[str, str | None] | None = None, **parts: str) -> str:
    """Return the path of a page; `parts` fill its places, and None in `query` is left out."""
    path = PATHS[name].format(**{part: quote(value, safe="") for part, value in parts.items()})
    asked = {key: value for key, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(asked)}" if asked else path


def own_path(value: str | None) -> str | None:
    """Return `value` if it is a path of this site to go on to, or None.

    Browsers take `//host`, `/\\host` and paths with tabs or line breaks in them for other sites: of
    a text that anybody can write into a link nothing counts but what is surely none.
    """
    if value is None or len(value) > MAX_NEXT or not value.startswith("/"):
        return None
    if value.startswith("//") or "\\" in value or not value.isascii() or not value.isprintable():
        return None
    return value if " " not in value else None
