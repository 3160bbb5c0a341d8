"""What can go wrong, without HTTP.

A wrong proof is none of these: it is an answer, returned as a value, so that the attempt stays
counted and on record.

    CountersignError
    ├── Mistake            the caller's: asking again unchanged gives the same
    │   ├── Malformed      the request cannot be read
    │   ├── Unauthenticated  the caller did not prove who it is
    │   ├── NotFound
    │   ├── Conflict       the request does not fit the present state
    │   ├── Forbidden      the caller may not
    │   └── TooManyAttempts
    ├── Unavailable        a part is away or full: asking again later may work
    └── ConfigurationError settings that cannot work, all of them at once
"""

from collections.abc import Sequence
from datetime import timedelta


class CountersignError(Exception):
    """Anything that Countersign raises on purpose.

    `code` is stable and fit for programs, `detail` is for people; neither carries a secret.
    """

    code = "error"

    def __init__(self, detail: str = "", *, code: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        if code is not None:
            self.code = code


class Mistake(CountersignError):
    """The caller's mistake."""


class Malformed(Mistake):
    """The request cannot be read. `field` names the member at fault, if one can be named."""

    code = "malformed"

    def __init__(
        self, detail: str = "", *, code: str | None = None, field: str | None = None
    ) -> None:
        super().__init__(detail, code=code)
        self.field = field


class Unauthenticated(Mistake):
    """The caller did not say who it is, or not convincingly."""

    code = "unauthenticated"


class NotFound(Mistake):
    """There is no such thing, or not for this caller."""

    code = "not_found"


class Conflict(Mistake):
    """The request does not fit the present state."""

    code = "conflict"


class Forbidden(Mistake):
    """The caller is not allowed to do this."""

    code = "forbidden"


class TooManyAttempts(Mistake):
    """A limit is reached; what was tried has not been judged."""

    code = "too_many_attempts"

    def __init__(self, detail: str = "", *, retry_after: timedelta) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class Unavailable(CountersignError):
    """A part that is needed is away, slow, full or answers nonsense. Nothing was let past."""

    code = "unavailable"

    def __init__(self, detail: str = "", *, retry_after: timedelta = timedelta(seconds=2)) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class ConfigurationError(CountersignError):
    """Settings that cannot work. `problems` has one plain sentence for each."""

    code = "configuration"

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = tuple(problems)
