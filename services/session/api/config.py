"""`config`: what this site offers, for clients to ask before anything else."""

from dataclasses import dataclass

from services.session import schemas
from services.session.api.edge import Call, Routes
from services.session.api.envelope import Shown
from services.session.domain.access import Access


@dataclass(frozen=True, kw_only=True)
class Configured:
    """What the operator chose, as far as clients have to know."""

    login_methods: list[str]
    email_verification_by_code_enabled: bool
    supported_types: list[str]
    passkey_login_enabled: bool
    login_by_code_enabled: bool
    password_reset_by_code_enabled: bool
    track_activity: bool


def routes_for(configured: Configured) -> Routes:
    """Return the endpoint that tells what is configured."""
    routes = Routes()
    data = {
        "account": {
            "login_methods": configured.login_methods,
            "is_open_for_signup": True,
            "email_verification_by_code_enabled": configured.email_verification_by_code_enabled,
            "login_by_code_enabled": configured.login_by_code_enabled,
            "password_reset_by_code_enabled": configured.password_reset_by_code_enabled,
            "authentication_method": "_".join(reversed(configured.login_methods)),
        },
        "mfa": {
            "supported_types": configured.supported_types,
            "passkey_login_enabled": configured.passkey_login_enabled,
        },
        "usersessions": {"track_activity": configured.track_activity},
    }

    @routes.get("/config", access=Access.ANYONE, answers={200: schemas.Configured})
    async def show_config(_call: Call) -> Shown:
        """Show what this site offers."""
        return Shown(data)

    return routes
