"""The suite with all that it can offer: every endpoint that there is."""

from typing import Any

from services.session.settings import Settings
from tests.session.tokens import private_pem

CHOICES = ("_enabled", "_supports_resend", "_supports_change")
KINDS = ("recovery_codes", "totp", "webauthn")

EVERYTHING: dict[str, Any] = {
    **{name: True for name in Settings.model_fields if name.endswith(CHOICES)},
    "mfa_supported_types": KINDS,
    "mfa_other_factors": '{"yubikey": "http://yubikey"}',
    "headless_serve_specification": True,
    "headless_token_strategy": "jwt",
    "headless_jwt_private_key": private_pem(),
}
"""Settings of the session service, and of others where they have the same."""
