"""On a real RabbitMQ with its management plugin: users made by `declare`, compared by `check`."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from amqp.exceptions import AccessRefused
from click.testing import Result

from services.cli.bus.management import Management
from services.suite import SERVICES
from shared.bus import topology
from shared.errors import Unavailable
from tests.chaos.servers import RabbitMQ
from tests.cli.running import run
from tests.suites import free_ports, until

PASSWORD = "a-password-of-tests"
PASSWORDS = {f"{name.upper()}_BROKER_PASSWORD": PASSWORD for name in SERVICES}


@pytest.fixture
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RabbitMQ]:
    """A node of this test's own: a plugin is switched on for all that a node has."""
    node = RabbitMQ(tmp_path_factory.mktemp("managed"))
    yield node
    node.kill()


def bus(node: RabbitMQ, command: str, url: str | None = None, **variables: str) -> Result:
    """Run a command, with the management of a node."""
    told = {"BROKER_URL": node.url, "BROKER_MANAGEMENT_URL": url or address(node)}
    return run("bus", command, **told, **variables)


def address(node: RabbitMQ, user: str = "") -> str:
    return f"http://{user}127.0.0.1:{node.management_port}"


def ask(node: RabbitMQ, method: str, path: str, **content: Any) -> httpx.Response:
    """Ask the plugin as an operator with other tools would."""
    return httpx.request(
        method, f"{address(node)}/api/{path}", auth=("guest", "guest"), timeout=30, **content
    )


def let_in(node: RabbitMQ, user: str, password: str = PASSWORD) -> bool:
    """Tell whether a user gets in."""
    url = node.url.replace("guest:guest@", f"{user}:{password}@")
    try:
        with topology.connection(url) as connection:
            connection.connect()
    except AccessRefused:
        return False
    return True


def test_users_are_made_and_compared_and_so_are_bindings(node: RabbitMQ) -> None:
    """One walk, as it takes a node of its own: nothing there, made, repeated, changed by others."""
    missing = bus(node, "check")
    assert missing.exit_code == 1

    assert bus(node, "declare", **PASSWORDS).exit_code == 0
    for _ in range(2):  # it can be repeated
        assert bus(node, "declare", **PASSWORDS).exit_code == 0
    assert bus(node, "check").output == "The bus is as it should be.\n"
    assert [name for name in SERVICES if not let_in(node, name)] == []
    assert not let_in(node, "totp", "another")
    assert bus(node, "check", address(node, "guest:guest@")).exit_code == 0

    wider = {"configure": ".*", "write": ".*", "read": ".*"}
    assert ask(node, "PUT", "permissions/%2F/totp", json=wider).is_success
    assert ask(node, "DELETE", "users/recovery").is_success
    bound = f"bindings/%2F/e/{topology.EVENTS}/q/{topology.NOTICES}"
    assert ask(node, "POST", bound, json={"routing_key": "mfa.#"}).is_success
    until(lambda: "recovery" in bus(node, "check").output, "the user that is gone")
    told = bus(node, "check").output.splitlines()
    assert sorted(told) == [
        f"The queue {topology.NOTICES} is bound to mfa.# as well, which nobody expects there.",
        "The user totp has other rights than it should; see `countersign bus users`.",
        "There is no user recovery with rights here; `countersign bus users` makes it.",
    ]
    assert bus(node, "declare", **PASSWORDS).exit_code == 0
    assert "The user" not in bus(node, "check").output

    assert "answers with 401" in bus(node, "check", address(node, "guest:wrong@")).stderr
    nowhere = f"http://127.0.0.1:{free_ports()['PORT']}"
    away = bus(node, "check", nowhere)
    assert (away.exit_code != 0, "nobody answers" in away.stderr) == (True, True)
    for user in ("guest:wrong@", ""):
        assert "wrong" not in bus(node, "check", address(node, user)).stderr
    with (
        Management(nowhere, node.url) as management,
        pytest.raises(Unavailable, match="nobody answers"),
    ):
        management.rights()
