"""The rules of the register: what counts, what goes along, and which ids are made."""

import re
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.session.domain.factors import KINDS, RECOVERY_CODES, TYPES, is_real, service_of
from services.session.domain.register import (
    Entry,
    Intent,
    Named,
    Pending,
    Register,
    added,
    emptied,
    given_up,
    removed,
    repaired,
    replaced,
)
from services.session.store.rows import EMPTY_REGISTER, register_json, register_of
from shared.factor import Authenticator

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ONE, TWO = (Entry(id=own, type="totp", created_at=NOW) for own in ("a1", "a2"))
KEY = Entry(id="k1", type="webauthn", created_at=NOW)
CODES = Entry(
    id="c1",
    type=RECOVERY_CODES,
    created_at=NOW,
    facts={"code_form": "digits:8", "total": 10, "unused": 10, "low": False, "confirmed": True},
)

ADDING = Pending(intent=Intent.ADD, type="totp", id="a9", codes="c9")


def ids(register: Register) -> list[str]:
    return [entry.id for entry in register.entries]


# Kinds


def test_there_is_one_list_of_kinds() -> None:
    services = {kind.type: kind.service for kind in KINDS}

    assert (services["totp"], services["recovery_codes"]) == ("totp", "recovery")
    assert len(services) == len(KINDS)
    assert tuple(services) == TYPES
    assert [kind for kind in TYPES if not is_real(kind)] == [RECOVERY_CODES]
    assert [service_of(kind) for kind in services] == list(services.values())


def test_what_is_unknown_counts_as_a_second_factor() -> None:
    """O4: a register that a newer version has written asks for what this one cannot judge."""
    assert is_real("carrier_pigeon")
    assert service_of("carrier_pigeon") == "carrier_pigeon"


# Entries


def test_a_register_knows_its_entries() -> None:
    register = Register(entries=(ONE, KEY, TWO, CODES))

    assert register.types == ("totp", "webauthn", "recovery_codes")
    assert register.of_type("totp") == (ONE, TWO)
    assert register.find("k1") == KEY
    assert register.find("k2") is None
    assert register.used("a2", NOW).find("a2") == replace(TWO, last_used_at=NOW)


def test_what_a_use_changes_is_merged_into_the_facts() -> None:
    used = Register(entries=(ONE, CODES)).used("c1", NOW, {"unused": 9, "new": [1]})

    found = used.find("c1")
    assert found is not None
    assert found.last_used_at == NOW
    assert found.facts == {**CODES.facts, "unused": 9, "new": [1]}
    assert used.find("a1") == ONE


@pytest.mark.parametrize("order", [(8, 9), (9, 8)])
def test_of_two_uses_the_lower_number_of_what_is_left_stays(order: tuple[int, int]) -> None:
    """R2: the earlier one may be written down last."""
    register = Register(entries=(CODES,))
    for unused in order:
        told = {"unused": unused, "low": unused < 9, "confirmed": True}
        register = register.used("c1", NOW, told)

    found = register.find("c1")
    assert found is not None
    assert found.facts == {**CODES.facts, "unused": 8, "low": True, "confirmed": True}


def test_facts_cannot_be_changed_by_whoever_handed_them_in() -> None:
    facts = {"unused": 10}
    entry = Entry(id="c", type=RECOVERY_CODES, created_at=NOW, facts=facts)
    facts["unused"] = 0

    assert entry.facts == {"unused": 10}
    with pytest.raises(TypeError):
        entry.facts["unused"] = 0  # type: ignore[index]


def test_recovery_codes_alone_are_no_second_factor() -> None:
    """R5."""
    assert not Register(entries=(CODES,)).has_second_factor
    assert Register(entries=(CODES, ONE)).has_second_factor
    assert Register(entries=(KEY,)).has_second_factor


@pytest.mark.parametrize(
    ("confirmed", "offered", "types"),
    [
        (True, ("totp", "recovery_codes"), ("recovery_codes", "totp")),
        (True, ("totp",), ("totp",)),
        (True, (), ("totp",)),
        (False, ("totp", "recovery_codes"), ("totp",)),
    ],
)
def test_the_kinds_that_are_told_are_those_by_which_one_can_get_in(
    confirmed: bool, offered: tuple[str, ...], types: tuple[str, ...]
) -> None:
    """What is real is always asked for; codes only if offered, and saved if that is asked for."""
    codes = replace(CODES, facts={**CODES.facts, "confirmed": confirmed})

    assert Register(entries=(ONE, codes)).types_among(offered) == types


# Changes


def test_what_is_made_along_is_added_along() -> None:
    register = Register(number=3, pending=ADDING, serials={"totp": 2})
    nine, codes = replace(ONE, id="a9"), replace(CODES, id="c9")

    assert added(register, nine, codes) == Register(
        number=3, entries=(nine, codes), serials={"totp": 3, RECOVERY_CODES: 1}
    )


def test_what_could_not_be_made_along_is_given_up() -> None:
    """Its id is never used again: the factor may have made it, and removes it later."""
    nine = replace(ONE, id="a9")
    grown = added(Register(pending=ADDING), nine)

    assert ids(grown) == ["a9"]
    assert grown.serials == {"totp": 1, RECOVERY_CODES: 1}


@pytest.mark.parametrize(
    ("entries", "gone", "left"),
    [
        ((ONE, CODES), "a1", []),
        ((CODES, ONE), "a1", []),
        ((ONE, CODES, KEY), "a1", ["c1", "k1"]),
        ((ONE, CODES, KEY), "k1", ["a1", "c1"]),
        ((ONE, CODES), "c1", ["a1"]),
        ((ONE,), "a1", []),
        ((CODES,), "nothing", []),
    ],
)
def test_recovery_codes_go_with_the_last_real_factor(
    entries: tuple[Entry, ...], gone: str, left: list[str]
) -> None:
    """R5."""
    register = Register(entries=entries)
    after = removed(register, gone)

    assert ids(after) == left
    lost = [entry.name for entry in entries if entry.id not in left]
    assert list(register.lost_by(after)) == lost
    assert after.serials == {name.type: 1 for name in lost}


def test_a_new_set_takes_the_place_of_the_old_one() -> None:
    """R4."""
    pending = Pending(intent=Intent.ADD, type=RECOVERY_CODES, id="c2")
    register = Register(entries=(CODES, ONE), pending=pending, serials={RECOVERY_CODES: 1})
    new = replace(CODES, id="c2")
    after = replaced(register, new)

    assert after.entries == (ONE, new)
    assert after.pending is None
    assert register.lost_by(after) == (Named(RECOVERY_CODES, "c1"),)
    assert after.serials == {RECOVERY_CODES: 2}


@pytest.mark.parametrize(
    ("pending", "left"),
    [
        (ADDING, ["a1", "k1", "c1"]),
        (Pending(intent=Intent.ADD, type=RECOVERY_CODES, id="c2"), ["a1", "k1", "c1"]),
        (Pending(intent=Intent.REMOVE, type="totp", id="a1"), ["k1", "c1"]),
        (Pending(intent=Intent.REMOVE, type="webauthn", id="k1"), ["a1", "c1"]),
        (None, ["a1", "k1", "c1"]),
    ],
)
def test_a_repair_undoes_additions_completes_removals_and_changes_nothing_else(
    pending: Pending | None, left: list[str]
) -> None:
    clean = repaired(Register(number=4, entries=(ONE, KEY, CODES), pending=pending))

    assert ids(clean) == left
    assert clean.pending is None


def test_a_repaired_removal_of_the_last_real_factor_takes_the_codes_along() -> None:
    """R5."""
    pending = Pending(intent=Intent.REMOVE, type="totp", id="a1")

    assert repaired(Register(entries=(ONE, CODES), pending=pending)).entries == ()


def test_a_change_that_is_given_up_leaves_what_there_was() -> None:
    register = Register(entries=(CODES, ONE), pending=ADDING)
    after = given_up(register)

    assert after.entries == register.entries
    assert after.pending is None
    assert after.serials == {"totp": 1, RECOVERY_CODES: 1}


def test_a_register_that_is_emptied_remembers_what_it_has_held() -> None:
    after = emptied(Register(entries=(ONE, CODES), pending=ADDING, serials={"totp": 5}))

    assert after == Register(serials={"totp": 6, RECOVERY_CODES: 1})


# Ids


def test_an_id_follows_from_person_session_kind_and_serial() -> None:
    register = Register(serials={"totp": 1})
    made = {
        register.next_id("u1", "s1", "totp"),
        register.next_id("u1", "s1", RECOVERY_CODES),
        register.next_id("u1", "s2", "totp"),
        register.next_id("u2", "s1", "totp"),
        Register().next_id("u1", "s1", "totp"),
    }

    assert len(made) == 5
    assert register.next_id("u1", "s1", "totp") in made
    for own in made:
        assert Authenticator(id=own, type="totp", created_at=0).id == own  # the wire takes it
        assert re.fullmatch(r"[0-9a-f]{64}", own)


CHANGES = ["add", "add without codes", "give up", "remove", "renew", "repair", "empty"]


@given(st.lists(st.sampled_from(CHANGES), max_size=30))
def test_no_id_is_ever_made_twice(changes: list[str]) -> None:
    """What was buried may be removed at its factor at any time: nothing that counts is named so."""
    register, used = Register(), set[str]()
    for change in changes:
        register, involved = _after(register, change)
        assert not used & involved
        used |= involved


def _after(register: Register, change: str) -> tuple[Register, set[str]]:
    """Return the register after a change in one and the same session, and the ids it has made."""
    totp, codes = (register.next_id("u", "s", kind) for kind in ("totp", RECOVERY_CODES))
    match change:
        case "empty":
            return emptied(register), set()
        case "remove":
            first = register.of_type("totp")[:1]
            return (removed(register, first[0].id) if first else register), set()
        case "renew":
            if not register.has_second_factor:
                return register, set()
            pending = Pending(intent=Intent.ADD, type=RECOVERY_CODES, id=codes)
            return replaced(replace(register, pending=pending), replace(CODES, id=codes)), {codes}
    along = None if register.of_type(RECOVERY_CODES) else codes
    pending = Pending(intent=Intent.ADD, type="totp", id=totp, codes=along)
    dirty, involved = replace(register, pending=pending), {totp} | ({along} if along else set())
    new = replace(ONE, id=totp)
    match change:
        case "give up":
            return given_up(dirty), involved
        case "repair":
            return repaired(dirty), involved
        case "add" if along:
            return added(dirty, new, replace(CODES, id=along)), involved
    return added(dirty, new), involved


# Columns


def test_a_register_is_read_as_it_was_written() -> None:
    register = Register(number=7, entries=(ONE, CODES), serials={"totp": 2})

    assert register_of(7, register_json(register), None) == register
    assert register_of(0, EMPTY_REGISTER, None) == Register()
