"""Where a person is logged in, and how they end that."""

from services.session.domain.access import Access
from services.session.flows.outcomes import Sessions, Standing
from services.session.pages.answers import Answer, GoTo, Show
from services.session.pages.call import Call, settle
from services.session.pages.frame import Pages
from services.session.pages.paths import path_of

MAX_ID = 256  # characters

pages = Pages()


@pages.get("usersessions_list", access=Access.LOGGED_IN)
async def show(call: Call) -> Answer:
    """Show the sessions, those of apps as well."""
    outcome = await call.flows.sessions.list(call.visit)
    if not isinstance(outcome, Sessions):
        return settle(call, outcome, _page(()))
    return _page(outcome.listed)


@pages.post("usersessions_list", access=Access.LOGGED_IN)
async def end(call: Call) -> Answer:
    """End one of them, or every one."""
    login = GoTo(url=path_of("account_login"), notice="sessions_ended")
    if call.form.get("all") == "true":
        outcome = await call.flows.sessions.end_all(call.visit)
        return settle(call, outcome, _page(()), login)
    outcome = await call.flows.sessions.end(call.visit, [call.form.get("session", "")[:MAX_ID]])
    ended = isinstance(outcome, Standing)
    done = GoTo(url=path_of("usersessions_list"), notice="session_ended")
    return settle(call, outcome, _page(()), login if ended else done)


def _page(sessions: object) -> Show:
    return Show(template="sessions.html", facts={"sessions": sessions})
