"""The language that somebody wants to read, kept in a cookie."""

from services.session.domain.access import Access
from services.session.pages.answers import Answer, GoTo
from services.session.pages.call import Call
from services.session.pages.frame import Pages

pages = Pages()


@pages.post("account_language", access=Access.ANYONE)
async def choose(call: Call) -> Answer:
    """Go back to where one was, in that language."""
    chosen = call.form.get("language", "")
    language = chosen if chosen in call.site.languages.offered else None
    return GoTo(url=call.next or call.site.home, language=language)
