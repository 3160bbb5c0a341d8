"""How the peer hashes passwords: hardly at all, or by the same parameters as Countersign."""

from django.contrib.auth.hashers import Argon2PasswordHasher, PBKDF2PasswordHasher

from services.session.flows.passwords import LANES, MEMORY, PASSES


class Cheap(PBKDF2PasswordHasher):  # type: ignore[misc]
    """A hash that takes next to nothing, so that everything else shows."""

    iterations = 1


class Owasp(Argon2PasswordHasher):  # type: ignore[misc]
    """Argon2id as OWASP wants it."""

    time_cost = PASSES
    memory_cost = MEMORY
    parallelism = LANES
