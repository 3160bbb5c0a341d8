"""Has people forgotten: the key is destroyed under which what is personal about them is sealed."""

from services.audit.events import PersonForgotten
from services.audit.store.people import PeopleStore
from shared.clock import Clock


class Forgetting:
    """Destroys keys. What happened stays, and so does every proof of it."""

    def __init__(self, people: PeopleStore, clock: Clock) -> None:
        self._people = people
        self._clock = clock

    async def forget(self, subject: str, by: str) -> None:
        """Let nobody read any more what is personal in the events about a person. Repeatable.

        One write. What comes later about them is kept without that, and so is what is being
        entered at this moment: it is sealed under the key that is gone, or not kept.
        """
        event = PersonForgotten(user_id=subject, by=by)
        await self._people.forget(subject, self._clock(), event)
