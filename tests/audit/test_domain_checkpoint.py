"""Checkpoints are signed notes as C2SP has them, and are believed by whoever signed them alone."""

from base64 import b64encode

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.domain.checkpoint import (
    Checkpoint,
    NoteFlaw,
    Verifier,
    notes_in,
    read,
    sign,
)
from tests.audit import independent
from tests.audit.signing import CHECKPOINT_KEY, ORIGIN, VERIFIER

CHECKPOINT = Checkpoint(ORIGIN, 7, b"\x07" * 32)
NOTE = sign(CHECKPOINT, CHECKPOINT_KEY)
OTHER = Ed25519PrivateKey.from_private_bytes(b"o" * 32)

# The example of golang.org/x/mod/sumdb/note, whose form C2SP's signed-note is.
PETER = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ESSAY = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
PETERS_SIGNATURE = (
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)


def test_a_verifier_key_of_others_is_read_and_written() -> None:
    verifier = Verifier.parse(PETER)

    assert verifier.text == PETER
    assert independent.opened(f"{ESSAY}x\n\n— PeterNeumann {PETERS_SIGNATURE}\n", PETER) is None


def test_a_note_has_the_form_that_others_read() -> None:
    lines = NOTE.split("\n")

    assert lines[:4] == [ORIGIN, "7", b64encode(b"\x07" * 32).decode(), ""]
    assert lines[4].startswith(f"— {ORIGIN} ")
    assert lines[5:] == [""]
    assert independent.opened(NOTE, VERIFIER.text) == (ORIGIN, 7, b"\x07" * 32)


def test_what_was_signed_is_read() -> None:
    assert read(NOTE, [VERIFIER]) == CHECKPOINT
    assert read(NOTE, [Verifier(ORIGIN, OTHER.public_key()), VERIFIER]) == CHECKPOINT


@pytest.mark.parametrize(
    ("note", "flaw"),
    [
        (NOTE.replace("\n7\n", "\n8\n"), NoteFlaw.FORGED),
        (NOTE.replace("BwcH", "BwcI", 1), NoteFlaw.FORGED),
        (NOTE.replace(ORIGIN, "elsewhere"), NoteFlaw.FOREIGN),
        (sign(CHECKPOINT, OTHER), NoteFlaw.UNKNOWN_KEY),
        (NOTE.replace("\n7\n", "\n07\n"), NoteFlaw.UNREADABLE),
        (NOTE.replace("\n7\n", "\n7 \n"), NoteFlaw.UNREADABLE),
        (NOTE.partition("\n\n")[0], NoteFlaw.UNKNOWN_KEY),
        (f"{CHECKPOINT.body}\n— {ORIGIN} !!\n", NoteFlaw.UNKNOWN_KEY),
        ("", NoteFlaw.UNREADABLE),
        ("\n\n\n", NoteFlaw.UNREADABLE),
    ],
)
def test_what_was_not_signed_is_not_believed(note: str, flaw: NoteFlaw) -> None:
    """Section 3, audit: a checkpoint counts by its signature alone."""
    assert read(note, [VERIFIER]) is flaw


def test_signatures_of_witnesses_stand_beside_ours() -> None:
    cosigned = f"{NOTE}— witness.example.org {b64encode(b'w' * 76).decode()}\n"

    assert read(cosigned, [VERIFIER]) == CHECKPOINT


def test_lines_behind_the_root_are_signed_as_well() -> None:
    """A checkpoint may say more; what it says is not to be changed."""
    body = f"{CHECKPOINT.body}more\n"
    signature = VERIFIER.key_id + CHECKPOINT_KEY.sign(body.encode())
    note = f"{body}\n— {ORIGIN} {b64encode(signature).decode()}\n"

    assert read(note, [VERIFIER]) == CHECKPOINT
    assert read(note.replace("more", "less"), [VERIFIER]) is NoteFlaw.FORGED


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000+AAAA",
        PETER.replace("c74f20a3", "c74f20a4"),
        PETER.replace("ARpc", "Ahpc"),
        PETER.replace("+c7", "c7"),
    ],
)
def test_a_verifier_key_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|has a key id"):
        Verifier.parse(text)


def test_notes_are_found_in_a_file_whatever_a_crash_has_left_between() -> None:
    later = sign(Checkpoint(ORIGIN, 9, b"\x09" * 32), CHECKPOINT_KEY)

    assert list(notes_in(f"\n\n{NOTE}\n\n{later}")) == [NOTE, later]
    assert list(notes_in("")) == []
    for length in (5, 30, len(CHECKPOINT.body), len(CHECKPOINT.body) + 1):
        assert list(notes_in(f"\n\n{NOTE}\n\n{NOTE[:length]}\n\n{later}")) == [NOTE, later]
