"""What the command says of the bus, and does about letters that went astray."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from services.cli.bus.letters import letters
from services.session.domain.reports import REPORTED
from shared.bus import topology
from shared.bus.lists import dead_letter
from shared.bus.publisher import Outgoing, Publisher
from shared.errors import Unavailable
from tests import trail
from tests.cli.running import run
from tests.suites import until

NONE = "There are no dead letters.\n"


def bus(url: str, *command: str, **variables: str) -> Result:
    """Run `countersign bus …`."""
    told = {"BROKER_URL": url, "EVENT_KEYS": trail.PUBLIC_KEYS_TEXT, "VAR_DIR": "/nowhere"}
    return run("bus", *command, **(told | variables))


def good(result: Result) -> str:
    """Return what a command has printed that went well."""
    assert result.exit_code == 0, result.output
    return result.output


def test_what_was_declared_is_as_it_should_be(broker_url: str) -> None:
    good(bus(broker_url, "declare"))

    assert good(bus(broker_url, "check")) == "The bus is as it should be.\n"


def test_what_was_not_declared_is_told(broker_url: str) -> None:
    checked = bus(broker_url, "check")

    assert checked.exit_code == 1
    for queue in (topology.STORE, topology.NOTICES):
        assert f"queue {queue}" in checked.output
    assert "`countersign bus declare`" in checked.output
    assert bus(broker_url, "check").output == checked.output  # to look is not to make


@pytest.mark.parametrize("queue", [topology.STORE, topology.NOTICES])
def test_a_queue_that_is_missing_is_told_alone(broker_url: str, queue: str) -> None:
    good(bus(broker_url, "declare"))
    trail.undeclare(broker_url, queue)

    checked = bus(broker_url, "check")

    assert checked.exit_code == 1
    assert {
        line.split("queue ")[1].split()[0].rstrip(";") for line in checked.output.splitlines()
    } == {queue}


def test_a_queue_that_is_no_quorum_queue_is_told(rabbitmq_url: str) -> None:
    with topology.connection(rabbitmq_url) as connection:
        channel: Any = connection.channel()
        channel.queue_declare(queue=topology.STORE, durable=True, auto_delete=False)

    declared = bus(rabbitmq_url, "declare")
    checked = bus(rabbitmq_url, "check")

    assert declared.exit_code == 1
    assert "Error: audit.store cannot be made: inequivalent arg" in declared.output
    assert "The queue audit.store is not as it should be: inequivalent arg" in checked.output


def test_what_no_queue_wanted_is_told_and_can_be_handed_in(rabbitmq_url: str) -> None:
    good(bus(rabbitmq_url, "declare"))
    with Publisher(rabbitmq_url) as publisher:
        publisher.publish([outgoing(1)])
        for queue in (topology.STORE, topology.STREAM):
            trail.undeclare(rabbitmq_url, queue)
        publisher.publish([outgoing(2)])
    good(bus(rabbitmq_url, "declare"))
    assert "audit.unrouted has 1 messages" in bus(rabbitmq_url, "check").output

    listed = good(bus(rabbitmq_url, "dead", "list"))
    assert "unrouted, good by now" in listed
    assert good(bus(rabbitmq_url, "dead", "replay", "--all")) == "1 handed in again.\n"

    until(lambda: trail.waiting(rabbitmq_url, topology.STORE) == 1, "the event")
    assert good(bus(rabbitmq_url, "check")) == "The bus is as it should be.\n"


def test_what_is_bound_beyond_is_told_of_lists(valkey_url: str) -> None:
    trail.declare(valkey_url, *REPORTED, "mfa.totp.accepted")

    checked = bus(valkey_url, "check")

    assert checked.output == (
        "The queue audit.notices is bound to mfa.totp.accepted as well, "
        "which nobody expects there.\n"
    )


def outgoing(number: int) -> Outgoing:
    """Return an event, ready for the broker."""
    return Outgoing(f"event-{number}", "mfa.demo.happened", trail.signed(number))


def refused(url: str, *bodies: bytes) -> None:
    """Have messages refused as the ledger's intake does, without a worker around it."""
    for body in bodies:
        trail.put(url, body)
    if topology.speaks_amqp(url):
        with topology.connection(url) as connection:
            channel: Any = connection.channel()
            for _ in bodies:
                message = channel.basic_get(queue=topology.STORE)
                channel.basic_reject(message.delivery_info["delivery_tag"], requeue=False)
        until(lambda: trail.waiting(url, topology.DEAD) == len(bodies), "the dead letters")
        return
    with topology.connection(url) as connection:
        lists: Any = connection.channel()
        client = lists.client
        for _ in bodies:
            message = client.rpop(topology.STORE)
            client.lpush(topology.DEAD, dead_letter(message, topology.STORE, "altered"))


ALTERED = trail.signed(2).replace(b'"ada"', b'"eve"')


def test_dead_letters_are_listed_and_shown_and_stay_where_they_are(broker_url: str) -> None:
    good(bus(broker_url, "declare"))
    assert good(bus(broker_url, "dead", "list")) == NONE
    refused(broker_url, trail.signed(1), ALTERED, b"\x1b[31m no JSON")

    for _ in range(3):
        lines = good(bus(broker_url, "dead", "list")).splitlines()
        assert ["good by now" in lines[0], "altered" in lines[1], "unreadable" in lines[2]] == [
            True
        ] * 3
        assert all("  audit.store  " in line for line in lines)
    shown = good(bus(broker_url, "dead", "show", lines[1].split()[0]))
    assert '"subject":"eve"' in shown
    shown = good(bus(broker_url, "dead", "show", lines[2].split()[0]))
    assert "\x1b" not in shown
    assert "\\u001b[31m no JSON" in shown
    until(lambda: trail.waiting(broker_url, topology.DEAD) == 3, "all three")


def test_a_letter_that_is_handed_in_is_what_it_was(broker_url: str) -> None:
    good(bus(broker_url, "declare"))
    refused(broker_url, trail.signed(1), ALTERED)
    first = good(bus(broker_url, "dead", "list")).split()[0]

    assert good(bus(broker_url, "dead", "replay", first)) == "1 handed in again.\n"

    until(lambda: trail.waiting(broker_url, topology.STORE) == 1, "the event")
    (message,) = trail.take(broker_url, topology.STORE)
    body = message.body
    assert (body.encode() if isinstance(body, str) else bytes(body)) == trail.signed(1)
    assert message.headers.keys() - {"x-delivery-count"} == {"task", "id", "lang"}  # as put
    assert message.content_type == "application/cloudevents+json"
    until(lambda: trail.waiting(broker_url, topology.DEAD) == 1, "the other one")


def test_a_letter_is_handed_in_where_it_was(broker_url: str) -> None:
    """And not to the ledger, which has it."""
    trail.declare(broker_url)
    with topology.connection(broker_url) as connection:
        channel: Any = connection.channel()
        if not topology.speaks_amqp(broker_url):
            trail.put(broker_url, ALTERED, queue=topology.NOTICES)
            message = channel.client.rpop(topology.NOTICES)
            channel.client.lpush(topology.DEAD, dead_letter(message, topology.NOTICES, "altered"))
        else:
            trail.put(broker_url, ALTERED, queue=topology.NOTICES)
            got = channel.basic_get(queue=topology.NOTICES)
            channel.basic_reject(got.delivery_info["delivery_tag"], requeue=False)
            until(lambda: trail.waiting(broker_url, topology.DEAD) == 1, "the dead letter")

    good(bus(broker_url, "dead", "replay", "--all"))

    until(lambda: trail.waiting(broker_url, topology.NOTICES) == 1, "the message")
    assert trail.waiting(broker_url, topology.STORE) == 0


def test_a_letter_whose_queue_is_gone_stays(rabbitmq_url: str) -> None:
    good(bus(rabbitmq_url, "declare"))
    refused(rabbitmq_url, trail.signed(1))
    trail.undeclare(rabbitmq_url, topology.STORE)

    assert bus(rabbitmq_url, "dead", "replay", "--all").exit_code == 1

    until(lambda: trail.waiting(rabbitmq_url, topology.DEAD) == 1, "the letter")


def test_a_letter_that_somebody_else_took_is_not_handed_in_twice(valkey_url: str) -> None:
    trail.declare(valkey_url)
    refused(valkey_url, trail.signed(1))
    with letters(valkey_url) as box:
        (letter,) = box.all()
        box.hand_in(letter)
        with pytest.raises(Unavailable):
            box.hand_in(letter)
    assert trail.waiting(valkey_url, topology.STORE) == 1


def test_a_letter_has_to_be_named(broker_url: str) -> None:
    good(bus(broker_url, "declare"))

    assert bus(broker_url, "dead", "replay").exit_code == 2
    assert "There is no dead letter 'abc'" in bus(broker_url, "dead", "show", "abc").output


def test_users_are_printed_for_rabbitmq_without_a_password() -> None:
    told = {f"{name}_BROKER_PASSWORD": "canary-password" for name in NAMES}

    printed = good(bus("amqp://admin:secret@broker/events", "users", **told))

    assert "canary" not in printed
    document = json.loads(printed)
    assert {user["name"].upper() for user in document["users"]} == set(NAMES)
    assert {entry["vhost"] for entry in document["permissions"]} == {"events"}


NAMES = ("SESSION", "TOTP", "RECOVERY", "AUDIT", "WEBAUTHN")


def test_a_user_without_a_password_is_told_by_name(tmp_path: Path) -> None:
    refused_ = bus("amqp://broker", "users", VAR_DIR=str(tmp_path))

    assert refused_.exit_code == 78
    assert "TOTP_BROKER_PASSWORD is not set" in refused_.output


def test_only_rabbitmq_has_users() -> None:
    assert "only that has users" in bus("redis://broker", "users").output


@pytest.mark.parametrize("name", ["totp", "a b", ".*", "Siem"])
def test_a_consumer_has_a_name_of_its_own(name: str) -> None:
    """Or it would be given what another has."""
    told = {f"{name.replace('-', '_')}_BROKER_PASSWORD".upper(): "x"}

    assert bus("amqp://broker", "users", "--consumer", name, **told).exit_code == 78
