"""The users of RabbitMQ: one for each service, who can do what that service does and no more.

A service writes events of its own types only, which RabbitMQ checks by the routing key, and reads
its own queue if it has one. It declares nothing.
"""

import hashlib
import re
import secrets
from base64 import b64encode
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from services.suite import ALL
from shared.bus import topology
from shared.errors import ConfigurationError

Definitions = dict[str, object]

HASHING = "rabbit_password_hashing_sha256"
SALT_BYTES = 4
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")

QUEUES = {"session": topology.NOTICES, "audit": topology.STORE}
"""The queue that a service takes from."""

NOTHING, ANYTHING = "^$", ".*"


def definitions(
    vhost: str, passwords: Mapping[str, str], *, consumers: bool = False
) -> Definitions:
    """Return users with their rights in `vhost`, as `rabbitmqctl import_definitions` takes them.

    They are services by name, or else `consumers` elsewhere. What was there of the same name is
    replaced, and nothing else touched. Passwords are salted and hashed anew each time.
    """
    rights = consumer_rights if consumers else service_rights
    given = {name: rights(name) for name in passwords}
    return {
        "users": [
            {
                "name": name,
                "password_hash": hashed(password),
                "hashing_algorithm": HASHING,
                "tags": "",
            }
            for name, password in passwords.items()
        ],
        "permissions": [
            {"user": name, "vhost": vhost, **right["permissions"]} for name, right in given.items()
        ],
        "topic_permissions": [
            {
                "user": name,
                "vhost": vhost,
                "exchange": topology.EVENTS,
                **right["topic_permissions"],
            }
            for name, right in given.items()
        ],
    }


def service_rights(name: str) -> dict[str, dict[str, str]]:
    """Return what the user of a service may do: regular expressions, by what is done."""
    publishes = any(service.name == name and "event" in service.keys for service in ALL)
    reads = QUEUES.get(name)
    return {
        "permissions": {
            "configure": NOTHING,
            "write": f"^{re.escape(topology.EVENTS)}$" if publishes else NOTHING,
            "read": f"^{re.escape(reads)}$" if reads else NOTHING,
        },
        "topic_permissions": {
            "write": rf"^mfa\.{name}\." if publishes else NOTHING,
            "read": NOTHING,
        },
    }


def consumer_rights(name: str) -> dict[str, dict[str, str]]:
    """Return what a consumer elsewhere may do: have queues of its own, and read all events."""
    require_consumer(name)
    own = rf"{re.escape(name)}(\..+)?"
    others = "|".join(re.escape(other) for other in (topology.EVENTS, topology.STREAM))
    return {
        "permissions": {
            "configure": f"^{own}$",
            "write": f"^{own}$",
            "read": f"^({own}|{others})$",
        },
        "topic_permissions": {"write": NOTHING, "read": ANYTHING},
    }


def require_consumer(name: str) -> None:
    """Raise ConfigurationError unless `name` is one for a consumer: it becomes a pattern."""
    if not NAME.fullmatch(name) or name in {service.name for service in ALL}:
        raise ConfigurationError(
            [f"{name!r} is no name for a consumer: small letters, digits and hyphens."]
        )


def hashed(password: str) -> str:
    """Return a password as RabbitMQ keeps it: base64 of a salt, and of SHA-256 over it and that."""
    salt = secrets.token_bytes(SALT_BYTES)
    return b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def vhost_of(url: str) -> str:
    """Return the virtual host in a broker's address, `/` if none is named."""
    return unquote(urlsplit(url).path[1:]) or "/"
