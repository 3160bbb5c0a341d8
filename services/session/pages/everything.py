"""All pages of a site, put together."""

from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response

from services.session.api.edge import EdgeSettings
from services.session.flows import Flows
from services.session.pages import (
    activity,
    deletion,
    emails,
    keys,
    language,
    login,
    overview,
    password,
    password_reset,
    reauthentication,
    recovery_codes,
    second_factor,
    sessions,
    signup,
    totp,
    trusted_browsers,
    verification,
)
from services.session.pages.frame import Frame, Pages, Route, leading_to, readable
from services.session.pages.frame import add as add_routes
from services.session.pages.mishaps import Mishaps
from services.session.pages.paths import CHANGE_PASSWORD, MFA, MFA_ALIAS, ROOT, path_of
from services.session.pages.press import Press
from services.session.pages.site import Offers
from shared.http.plain import serve


def mishaps_for(press: Press) -> Mishaps:
    """Return what tells people what went wrong, and what of it they can open again."""
    return Mishaps(press, readable(routes_for(press.site.offers)))


def add(app: FastAPI, flows: Flows, settings: EdgeSettings, press: Press, mishaps: Mishaps) -> None:
    """Serve the pages, and lead to them from the root of the site and where they are sought.

    What they are dressed in has to be served besides.
    """
    frame = Frame(flows, settings, press, mishaps)
    add_routes(app, frame, routes_for(press.site.offers), mishaps)
    mishaps.stand_in(app)
    for path, page in (("/", ROOT), (CHANGE_PASSWORD, path_of("account_change_password"))):
        serve(app, path, leading_to(page))

    async def alias(request: Request) -> Response:
        return await leading_to(MFA + request.path_params["rest"])(request)

    serve(app, MFA_ALIAS + "{rest:path}", alias)


def routes_for(offers: Offers) -> list[Route]:
    """Return the pages that there are, of all that there could be."""
    always = (
        login.pages,
        signup.pages,
        verification.code_pages if offers.verification_by_code else verification.link_pages,
        second_factor.pages,
        reauthentication.pages,
        overview.pages,
        activity.pages,
        sessions.pages,
        emails.pages,
        password.pages,
        deletion.pages,
        language.pages,
    )
    optional: tuple[tuple[Pages, bool], ...] = (
        (login.passkey_pages, offers.passkey_login),
        (login.code_request_pages, offers.login_by_code),
        (password_reset.pages, offers.resets_passwords),
        (password_reset.code_pages, offers.resets_passwords and offers.reset_by_code),
        (password_reset.link_pages, offers.resets_passwords and not offers.reset_by_code),
        (signup.passkey_pages, offers.passkey_signup),
        (second_factor.key_pages, offers.webauthn),
        (second_factor.trust_pages, offers.trust),
        (reauthentication.key_pages, offers.webauthn),
        (totp.pages, offers.totp),
        (keys.pages, offers.webauthn),
        (recovery_codes.pages, offers.recovery_codes),
        (trusted_browsers.pages, offers.trust),
    )
    there = [*always, *(pages for pages, offered in optional if offered)]
    return [route for pages in there for route in pages.all]
