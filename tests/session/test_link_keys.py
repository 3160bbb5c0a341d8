"""Keys in links: good for one purpose, one state and a time."""

from datetime import UTC, datetime, timedelta

import pytest

from services.session.flows.link_keys import LinkKeys
from shared.cipher import KeyRing

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
SOON = NOW + timedelta(hours=1)
RING = KeyRing(primary="k1", keys={"k1": bytes(range(32))})
TURNED = KeyRing(primary="k2", keys={"k1": bytes(range(32)), "k2": bytes(range(32, 64))})
KEYS = LinkKeys(RING, "verify_email")
USER = "3kTMd9X2fY7QbC1vHs8NwA"
STATE = ("primary", "ada@example.org", "", "0")


def made() -> str:
    return KEYS.make(USER, *STATE, expires_at=SOON)


def fits(keys: LinkKeys, text: str, *state: str, now: datetime = NOW) -> bool:
    read = keys.read(text, now)
    return read is not None and keys.fits(read, *(state or STATE))


def test_a_key_says_whose_it_is_and_nothing_else() -> None:
    """N10: neither the address nor anything secret stands in a link."""
    read = KEYS.read(made(), NOW)

    assert read is not None
    assert read.user_id == USER
    assert fits(KEYS, made())
    assert "ada" not in made()
    assert "@" not in made()


def test_a_key_is_safe_in_an_address() -> None:
    assert set(made()) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
    assert made()[-1].isalnum(), "mail programs leave out what ends in a sign"


def test_a_key_is_good_for_a_time() -> None:
    assert fits(KEYS, made(), now=SOON - timedelta(seconds=1))
    assert KEYS.read(made(), SOON) is None


@pytest.mark.parametrize(
    "state",
    [
        ("primary", "bob@example.org", "", "0"),
        ("claimed", "ada@example.org", "", "0"),
        ("primary", "ada@example.org", "", "1"),
        ("primary", "ada@example.org", "0"),
        ("primaryada@example.org", "", "", "0"),
    ],
)
def test_a_key_is_good_for_one_state(state: tuple[str, ...]) -> None:
    assert not fits(KEYS, made(), *state)


def test_a_key_is_good_for_one_purpose() -> None:
    assert not fits(LinkKeys(RING, "reset_password"), made())


def test_a_key_outlives_a_turn_of_keys() -> None:
    """D2: the old ones are still believed; what is not on the ring is not."""
    turned = LinkKeys(TURNED, "verify_email")

    assert fits(turned, made())
    another = turned.make(USER, *STATE, expires_at=SOON)
    assert another != made()
    assert not fits(KEYS, another)


def test_nothing_of_a_key_can_be_changed() -> None:
    user, expires, mac = made().split(".")
    later = f"{int(expires, 16) + 3600:x}"
    turned = mac[:-1] + ("0" if mac[-1] != "0" else "1")

    assert not fits(KEYS, f"{USER[::-1]}.{expires}.{mac}")
    assert not fits(KEYS, f"{user}.{later}.{mac}")
    assert not fits(KEYS, f"{user}.{expires}.{turned}")


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b.c",
        f"{USER}.ffffffffff.{'0' * 39}",
        f"{USER}.fffffffffff.{'0' * 40}",
        f"{USER}.-1.{'0' * 40}",
        f"{USER}.{'f' * 5000}.{'0' * 40}",
        f"{'a' * 65}.ffff.{'0' * 40}",
        f"{USER}.ffffffffff.{'0' * 40}.",
        f"{USER}\n.ffffffffff.{'0' * 40}",
        f"{USER}.ffffffffff.{chr(0xFF10) * 40}",
    ],
)
def test_what_is_no_key_is_none(text: str) -> None:
    """D7: whatever stands there."""
    assert KEYS.read(text, NOW) is None


def test_space_around_a_key_does_not_count() -> None:
    assert fits(KEYS, f" {made()}\n")
