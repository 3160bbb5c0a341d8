"""What is believed on the bus, and where it goes."""

import asyncio
import json
from base64 import b64decode, urlsafe_b64decode
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from unittest.mock import Mock

import pytest
import redis
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import REGISTRY

from countersign_events.tree import STEP_BYTES
from shared.auth import PrivateKey
from shared.bus import lists, publisher, topology
from shared.bus.publisher import BrokerAway, Outgoing, Publisher
from shared.bus.reach import reachable
from shared.bus.wire import (
    MAX_BYTES,
    MAX_DEPTH,
    SIGNED_AT_ONCE,
    EventSigner,
    EventVerifier,
    Flaw,
    Form,
    Refused,
    canonical,
)
from shared.errors import Unavailable
from tests import trail
from tests.servers import as_declared
from tests.suites import until

VERIFIER = EventVerifier(trail.PUBLIC_KEYS)

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(st.characters(max_codepoint=126), max_size=8), inner, max_size=3)
    ),
    max_leaves=8,
)


def test_the_canonical_form_is_that_of_rfc_8785() -> None:
    """Section 3.2.2.2: these escapes and no others; 3.2.3: members sorted."""
    value = {"b": '\u20ac$\x0f\nA\'B"\\\\"/', "a": [1, True, None, "\x7f"]}

    assert (
        canonical(value).decode()
        == '{"a":[1,true,null,"\x7f"],"b":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


@pytest.mark.parametrize(
    "value", [1.5, float("nan"), 2**53, {"ü": 1}, ["\ud800"], {"a": {"b": [0.1]}}]
)
def test_what_two_languages_could_write_differently_has_no_canonical_form(value: object) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        canonical(value)


NAMES = st.text("signature_az", max_size=10) | st.sampled_from(
    ["signature", "signaturea", "signaturepatg", "signaturepath", "signaturepathology", "source"]
)


@given(event=st.dictionaries(NAMES, values, max_size=5))
def test_a_signature_is_put_where_the_canonical_form_has_it(event: dict[str, Any]) -> None:
    rest = {name: value for name, value in event.items() if name != "signature"}

    rest.pop("signaturepath", None)

    form = Form.of(event)

    assert form.signed == canonical(rest)
    assert form.whole("é").encode() == canonical({**rest, "signature": "é"})
    led = {**rest, "signature": "é", "signaturepath": "ü"}
    assert form.whole("é", "ü").encode() == canonical(led)


@given(data=st.dictionaries(st.text("abcdefgh_", min_size=1), values, max_size=4))
def test_what_a_source_signs_is_believed_and_kept_as_it_is(data: dict[str, Any]) -> None:
    body = trail.signed(data=data)

    received = VERIFIER.verify(body)

    assert (received.id, received.source, received.number) == ("event-1", "demo", 1)
    assert received.occurred_at == trail.NOON
    assert received.text.encode() == body


@given(count=st.integers(1, 2 * SIGNED_AT_ONCE + 1))
@example(count=SIGNED_AT_ONCE)
def test_of_events_that_are_signed_together_each_is_believed_alone(count: int) -> None:
    """Section 3, bus: in whatever order they come, and whoever gets but one of them."""
    bodies = trail.signed_together(count)

    received = [EventVerifier(trail.PUBLIC_KEYS).verify(body) for body in reversed(bodies)]

    assert [event.number for event in received] == list(range(count, 0, -1))
    assert [event.text.encode() for event in received] == bodies[::-1]
    signatures = {json.loads(body)["signature"] for body in bodies}
    assert len(signatures) == -(-count // SIGNED_AT_ONCE)


def test_a_signature_is_checked_once_for_all_that_it_is_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    verifier = EventVerifier(trail.PUBLIC_KEYS)
    check = Mock(wraps=verifier._check)
    monkeypatch.setattr(verifier, "_check", check)

    for body in trail.signed_together(2 * SIGNED_AT_ONCE):
        verifier.verify(body)

    assert check.call_count == 2


def test_the_layout_of_the_json_does_not_matter() -> None:
    event = json.loads(trail.signed())

    received = VERIFIER.verify(json.dumps(event, indent=4).encode())

    assert received.text.encode() == trail.signed()


@given(place=st.integers(0, 10**6), change=st.integers(1, 255))
def test_a_changed_byte_is_never_believed(place: int, change: int) -> None:
    """Section 3, bus: altered events are refused."""
    body = bytearray(trail.signed())
    position = place % len(body)
    body[position] ^= change

    try:
        received = VERIFIER.verify(bytes(body))
    except Refused:
        return
    raise AssertionError(received)


TOGETHER = trail.signed_together(5)


@given(which=st.integers(0, 4), place=st.integers(0, 10**6), change=st.integers(1, 255))
def test_a_changed_byte_of_one_of_several_is_never_believed(
    which: int, place: int, change: int
) -> None:
    """Section 3, bus: nor when the signature that they share is known by then."""
    for body in TOGETHER:
        VERIFIER.verify(body)
    changed = bytearray(TOGETHER[which])
    changed[place % len(changed)] ^= change

    try:
        received = VERIFIER.verify(bytes(changed))
    except Refused:
        return
    raise AssertionError(received)


def led(path: object, body: bytes = TOGETHER[0]) -> bytes:
    """Return a signed event with another path, or none."""
    event = {**json.loads(body), "signaturepath": path}
    return json.dumps({k: v for k, v in event.items() if v is not ...}).encode()


PATH = json.loads(TOGETHER[0])["signaturepath"]
STEP = STEP_BYTES // 3 * 4  # of base64url


@pytest.mark.parametrize(
    "body",
    [
        led(...),
        led(None),
        led(7),
        led([PATH]),
        led(""),
        led(PATH[:-1]),
        led(PATH[STEP:]),
        led(PATH + PATH[:STEP]),
        led(PATH + "===="),
        led(PATH + " "),
        led("AgAA" + PATH[4:]),
        led("é" * 44),
        led(PATH[:STEP] * 100),
        led(json.loads(TOGETHER[1])["signaturepath"]),
        led(PATH, trail.signed()),
        led("", trail.signed()),
        led(None, trail.signed()),
        led(PATH, TOGETHER[0].replace(b'"ada"', b'"eve"')),
        led(PATH, trail.signed_together(6)[0]),
    ],
)
def test_a_path_leads_from_its_own_event_to_the_root_that_was_signed(body: bytes) -> None:
    """Section 3, bus: the path is a part of the signature, and refused like one."""
    for other in TOGETHER:
        VERIFIER.verify(other)

    with pytest.raises(Refused) as refusal:
        VERIFIER.verify(body)

    assert refusal.value.flaw is Flaw.ALTERED


def resigned(**changes: object) -> bytes:
    """Return an event with members replaced, signed with the right key."""
    event = {**trail.event(), **changes}
    return EventSigner(trail.KEY).sign({k: v for k, v in event.items() if v is not ...})


def tampered(**changes: object) -> bytes:
    """Return a signed event with members replaced after signing."""
    event = {**json.loads(trail.signed()), **changes}
    return json.dumps({k: v for k, v in event.items() if v is not ...}).encode()


def written_otherwise() -> list[str]:
    """Return the right signature, as a decoder that is not strict would read it too."""
    right: str = json.loads(trail.signed())["signature"]
    assert right[-1] in "AQgw"
    return [right + "==", right + "!", "!" + right, right[:-1] + chr(ord(right[-1]) + 1)]


def nested(depth: int) -> bytes:
    """Return something with a known key, and lists within each other that anyone could send."""
    lists = "[" * (depth - 1) + "]" * (depth - 1)
    return f'{{"keyid":"demo-1","signature":"AAAA","x":{lists}}}'.encode()


OTHER = PrivateKey("other-1", "demo", Ed25519PrivateKey.from_private_bytes(b"x" * 32))


@pytest.mark.parametrize(
    ("flaw", "body"),
    [
        (Flaw.UNREADABLE, b"not JSON"),
        (Flaw.UNREADABLE, b"\xff\xfe"),
        (Flaw.UNREADABLE, b"[]"),
        (Flaw.UNREADABLE, b'{"a":NaN}'),
        (Flaw.UNREADABLE, b'{"id":1,"id":2}'),
        (Flaw.UNREADABLE, b"[" * 100_000),
        *((Flaw.UNREADABLE, nested(depth)) for depth in (21, 300, 900, 960, 990, 2000)),
        (Flaw.UNREADABLE, b" " * MAX_BYTES + trail.signed()),
        (Flaw.UNSIGNED, canonical(trail.event())),
        (Flaw.UNSIGNED, tampered(signature=...)),
        (Flaw.UNSIGNED, tampered(signature=7)),
        (Flaw.UNSIGNED, tampered(keyid=...)),
        (Flaw.UNKNOWN_KEY, EventSigner(OTHER).sign(trail.event())),
        (Flaw.ALTERED, tampered(keyid="demo-1", subject="eve")),
        (Flaw.ALTERED, tampered(added=1)),
        (Flaw.ALTERED, tampered(data={"number": 1.5})),
        (Flaw.ALTERED, tampered(data={"text": "\ud800"})),
        (Flaw.ALTERED, tampered(signature="!")),
        (Flaw.ALTERED, tampered(signature="é")),
        *((Flaw.ALTERED, tampered(signature=text)) for text in written_otherwise()),
        (Flaw.FOREIGN, resigned(source="urn:countersign:totp")),
        (Flaw.FOREIGN, resigned(type="mfa.totp.accepted")),
        (Flaw.MISSHAPEN, resigned(type="mfa.demo")),
        (Flaw.MISSHAPEN, resigned(type=...)),
        (Flaw.MISSHAPEN, resigned(id="")),
        (Flaw.MISSHAPEN, resigned(id="a\x00")),
        (Flaw.MISSHAPEN, resigned(id=7)),
        (Flaw.MISSHAPEN, resigned(sequence="1")),
        (Flaw.MISSHAPEN, resigned(sequence="\u0660" * 20)),
        (Flaw.MISSHAPEN, resigned(sequence="9" * 20)),
        (Flaw.MISSHAPEN, resigned(sequence=f"{2**63:020}")),
        (Flaw.MISSHAPEN, resigned(time="2026-02-30T00:00:00.000000Z")),
        (Flaw.MISSHAPEN, resigned(subject="a" * 65)),
    ],
)
def test_what_is_not_an_event_of_a_known_source_is_refused(flaw: Flaw, body: bytes) -> None:
    """Section 3, bus: unsigned, unknown or altered is refused, and it is said why."""
    with pytest.raises(Refused) as refusal:
        VERIFIER.verify(body)

    assert refusal.value.flaw is flaw


def test_what_fits_a_database_and_a_parser_is_believed() -> None:
    """D7: the last of what is allowed."""
    lists: object = []
    for _ in range(MAX_DEPTH - 3):
        lists = [lists]

    received = VERIFIER.verify(trail.signed(number=2**63 - 1, id="last", data={"lists": lists}))

    assert received.number == 2**63 - 1
    with pytest.raises(ValueError, match="too deeply"):
        trail.signed(data={"lists": [lists]})


def test_an_event_is_a_cloudevent_that_a_stranger_can_check() -> None:
    event = json.loads(trail.signed(number=7))

    assert event["specversion"] == "1.0"
    assert event["source"] == "urn:countersign:demo"
    assert event["time"] == "2026-07-01T12:00:00.250000Z"
    assert event["sequence"] == "00000000000000000007"
    assert event["partitionkey"] == event["subject"] == "ada"
    assert event["traceparent"].split("-")[1] == "0af7651916cd43dd8448eb211c80319c"
    signature = urlsafe_b64decode(event.pop("signature") + "==")
    rest = json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    trail.KEY.key.public_key().verify(signature, rest.encode())


def outgoing(number: int = 1) -> Outgoing:
    """Return an event, ready for the broker."""
    return Outgoing(f"event-{number}", "mfa.demo.happened", trail.signed(number))


def test_a_batch_arrives_whole_and_in_order(broker_url: str) -> None:
    trail.declare(broker_url)
    trail.declare(broker_url)  # to be repeated at will

    with Publisher(broker_url) as publisher:
        publisher.publish([outgoing(number) for number in range(1, 51)])
        publisher.publish([outgoing(51)])

    messages = trail.take(broker_url, topology.STORE)
    assert [message.headers["id"] for message in messages] == [
        f"event-{number}" for number in range(1, 52)
    ]
    assert {message.content_type for message in messages} == {"application/cloudevents+json"}
    assert {message.headers["task"] for message in messages} == {"audit.record"}
    assert VERIFIER.verify(bytes_of(messages[0])).id == "event-1"


def test_whoever_binds_a_queue_gets_a_copy(broker_url: str) -> None:
    trail.declare(broker_url)

    with (
        trail.bound_queue(broker_url, "siem") as arrived,
        Publisher(broker_url) as publisher,
    ):
        publisher.publish([outgoing()])

        assert len(arrived()) == len(trail.take(broker_url, topology.STORE)) == 1


def test_an_event_that_no_queue_wants_is_kept_aside(rabbitmq_url: str) -> None:
    """As when they are deleted while events are sent."""
    trail.declare(rabbitmq_url)

    with Publisher(rabbitmq_url) as publisher:
        publisher.publish([outgoing(1)])
        trail.undeclare(rabbitmq_url, topology.STORE)
        trail.undeclare(rabbitmq_url, topology.STREAM)
        publisher.publish([outgoing(2)])

    (kept,) = trail.take(rabbitmq_url, topology.UNROUTED)
    assert kept.headers["id"] == "event-2"


@pytest.mark.parametrize("missing", [topology.STORE, topology.NOTICES])
def test_without_one_of_our_queues_a_batch_is_not_sent(broker_url: str, missing: str) -> None:
    """D5: as after an update; it waits until the queue is there, and the operator is told why."""
    assert_waits_for(missing, broker_url)


def test_without_the_stream_a_batch_is_not_sent(rabbitmq_url: str) -> None:
    """Which only RabbitMQ has."""
    assert_waits_for(topology.STREAM, rabbitmq_url)


def assert_waits_for(missing: str, broker_url: str) -> None:
    """Hold a publisher against a broker without one of our queues."""
    trail.declare(broker_url)
    trail.undeclare(broker_url, missing)

    with (
        trail.bound_queue(broker_url, "siem") as arrived,
        Publisher(broker_url) as publisher,
    ):
        for _ in range(2):
            with pytest.raises(BrokerAway) as away:
                publisher.publish([outgoing()])
            assert str(away.value.cause) == (
                f"There is no queue {missing}; `countersign bus declare` makes it."
            )
        assert arrived() == []

        trail.declare(broker_url)
        publisher.publish([outgoing()])

        assert len(arrived()) == trail.waiting(broker_url, topology.STORE) == 1


def test_where_nothing_is_declared_nothing_is_sent(broker_url: str) -> None:
    with Publisher(broker_url) as publisher, pytest.raises(BrokerAway) as away:
        publisher.publish([outgoing()])

    assert topology.STORE in str(away.value.cause)


def test_without_its_exchange_a_batch_is_not_sent(rabbitmq_url: str) -> None:
    trail.declare(rabbitmq_url)
    with topology.connection(rabbitmq_url) as connection:
        channel: Any = connection.channel()
        channel.exchange_delete(exchange=topology.EVENTS)

    with Publisher(rabbitmq_url) as publisher, pytest.raises(BrokerAway) as away:
        publisher.publish([outgoing()])

    assert "no exchange 'audit'" in str(away.value.cause)


def test_a_queue_that_is_full_refuses_and_the_publisher_says_so(rabbitmq_url: str) -> None:
    trail.declare(rabbitmq_url)
    with topology.connection(rabbitmq_url) as connection:
        channel: Any = connection.channel()
        limits = {"x-queue-type": "quorum", "x-max-length": 1, "x-overflow": "reject-publish"}
        channel.queue_declare(queue="full", durable=True, auto_delete=False, arguments=limits)
        channel.queue_bind(queue="full", exchange=topology.EVENTS, routing_key="#")

    def fill(publisher: Publisher) -> None:
        for number in range(1, 201):  # the queue says that it is full a few messages late
            publisher.publish([outgoing(number)])

    with Publisher(rabbitmq_url) as publisher, pytest.raises(BrokerAway) as away:
        fill(publisher)
    assert "refused" in str(away.value.cause)


def test_the_bus_is_hardened(rabbitmq_url: str) -> None:
    """Section 3, bus: as RabbitMQ itself says that it was declared."""
    trail.declare(rabbitmq_url)

    queues = as_declared(rabbitmq_url, "queues")
    exchanges = as_declared(rabbitmq_url, "exchanges")

    assert queues["audit.store"] == {
        "x-queue-type": "quorum",
        "x-delivery-limit": "20",
        "x-dead-letter-exchange": "audit.dlx",
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    assert queues["audit.notices"]["x-queue-type"] == "quorum"
    assert queues["audit.notices"]["x-overflow"] == "drop-head"
    assert queues["audit.stream"] == {"x-queue-type": "stream", "x-max-age": "7D"}
    assert {queues[name]["x-queue-type"] for name in (topology.DEAD, topology.UNROUTED)} == {
        "quorum"
    }
    assert exchanges["audit"] == {"alternate-exchange": "audit.unrouted"}


def test_a_dead_consumer_of_notices_does_not_hold_up_the_ledger(rabbitmq_url: str) -> None:
    """Its queue has a bound of its own, beyond which the oldest are dead letters."""
    trail.declare(rabbitmq_url)
    body, count = b"x" * 60_000, 400
    assert count * len(body) > topology.NOTICES_BYTES

    with Publisher(rabbitmq_url) as publisher:
        for n in range(0, count, 50):
            publisher.publish([Outgoing(f"event-{n + i}", trail.REPORT, body) for i in range(50)])

    until(lambda: trail.waiting(rabbitmq_url, topology.STORE) == count, "all of them in the store")
    kept = trail.waiting(rabbitmq_url, topology.NOTICES)
    assert 0 < kept < count
    until(lambda: trail.waiting(rabbitmq_url, topology.DEAD) == count - kept, "the rest of them")


def test_on_valkey_the_queue_of_notices_is_kept_short_too(
    valkey_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """D5: beyond its bound the oldest are dead letters; the ledger's queue has none."""
    monkeypatch.setattr(publisher, "NOTICES_LENGTH", 5)
    trail.declare(valkey_url)
    before = overflowed()

    with Publisher(valkey_url) as sender:
        for first in (1, 5, 9):
            sender.publish([report(number) for number in range(first, first + 4)])
        assert trail.waiting(valkey_url, topology.NOTICES) == 9  # five, and the last batch
        sender.publish([outgoing(13)])

    assert ids(valkey_url, topology.NOTICES) == [f"event-{n}" for n in range(8, 13)]
    assert trail.waiting(valkey_url, topology.STORE) == 13
    dead = trail.take(valkey_url, topology.DEAD)
    assert [message.headers["id"] for message in dead] == [f"event-{n}" for n in range(1, 8)]
    assert {message.headers["x-refused"] for message in dead} == {"overflow"}
    assert overflowed() - before == 7


def test_many_who_shorten_a_list_at_once_lose_nothing(valkey_url: str) -> None:
    """Each removes only what it has read."""
    total, length = 3000, 20
    with redis.Redis.from_url(valkey_url) as client:
        client.lpush("list", *(f"message-{n}" for n in range(total)))
        with ThreadPoolExecutor(8) as threads:
            for _ in range(total // lists.AT_ONCE):
                list(threads.map(lambda _: lists.shorten(client, "list", length), range(8)))

        kept: Any = client.lrange("list", 0, -1)
        dead: Any = client.lrange(topology.DEAD, 0, -1)
    assert [message.decode() for message in reversed(kept)] == [
        f"message-{n}" for n in range(total - length, total)
    ]
    bodies = [b64decode(json.loads(letter)["body"]).decode() for letter in reversed(dead)]
    assert bodies == [f"message-{n}" for n in range(total - length)]


def report(number: int) -> Outgoing:
    """Return an event that people are told of."""
    return Outgoing(f"event-{number}", trail.REPORT, trail.signed(number, type=trail.REPORT))


def ids(url: str, queue: str) -> list[str]:
    """Take the ids of the events in `queue`, the oldest first."""
    return [message.headers["id"] for message in trail.take(url, queue)]


def overflowed() -> float:
    """Return how many messages have become dead letters for want of room."""
    name = "countersign_bus_overflowed_total"
    return REGISTRY.get_sample_value(name, {"queue": topology.NOTICES}) or 0.0


async def test_a_broker_that_is_away_is_found_to_be(
    broker_url: str, unused_tcp_port_factory: Callable[[], int]
) -> None:
    await reachable(broker_url)()

    with pytest.raises(Unavailable):
        await reachable(f"amqp://127.0.0.1:{unused_tcp_port_factory()}")()


@pytest.mark.parametrize("scheme", ["amqp", "redis"])
async def test_a_broker_that_only_listens_is_found_to_be_away(scheme: str) -> None:
    """As one does that is stuck, or a proxy in front of none."""
    greeted = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        greeted.set()
        writer.close()

    async with await asyncio.start_server(hang, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(Unavailable):
            await reachable(f"{scheme}://127.0.0.1:{port}")()
    assert greeted.is_set()


def bytes_of(message: Any) -> bytes:
    """Return a message's body."""
    return message.body.encode() if isinstance(message.body, str) else bytes(message.body)
