"""The fourth factor: true to its format, kept to the protocol, and caught when it is flawed."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from services.cli.conformance.check import Verdict, hold
from services.cli.conformance.plugin import HeldRule
from services.cli.conformance.rules import RULES
from services.cli.conformance.subject import Subject
from tests.conformance.flawed import FLAWS, Flaw
from tests.conformance.rewriting import REWRITTEN
from tests.conformance.subjects import OURS, Hands, yubikey, yubikey_factor
from tests.conformance.yubikey.otp import Secret, Token, YubiKey, crc16, from_modhex, to_modhex

BY_NAME = {rule.name: rule for rule in RULES}


@pytest.fixture
async def factor_subject() -> AsyncIterator[Subject]:
    clock = Hands()
    async with yubikey(clock, yubikey_factor(clock=clock.seconds)) as subject:
        yield subject


async def test_the_protocol_is_kept(factor_rule: HeldRule) -> None:
    await factor_rule.held()


@pytest.mark.parametrize("flaw", FLAWS, ids=lambda flaw: flaw.what.replace(" ", "-"))
async def test_a_flaw_is_found_by_its_rule(flaw: Flaw) -> None:
    clock = Hands()
    factor = yubikey_factor(
        clock=clock.seconds, factor=flaw.factor, keeper=flaw.keeper, door=flaw.door
    )
    async with yubikey(clock, factor) as subject:
        finding = await hold(BY_NAME[flaw.rule], subject)

    assert finding.verdict is Verdict.FAILED, finding
    assert "prover" not in finding.reason
    assert "did not answer" not in finding.reason


@pytest.mark.parametrize("rule", list(REWRITTEN))
async def test_a_flaw_with_challenges_is_found_by_its_rule(rule: str, sqlite_url: str) -> None:
    async with OURS["webauthn"](sqlite_url) as honest:
        assert honest.transport is not None
        flawed = replace(honest, transport=REWRITTEN[rule](honest.transport))
        finding = await hold(BY_NAME[rule], flawed)

    assert finding.verdict is Verdict.FAILED, finding
    assert "prover" not in finding.reason


def test_every_rule_can_fail() -> None:
    """A rule that nothing breaks proves nothing."""
    assert {flaw.rule for flaw in FLAWS} | REWRITTEN.keys() == BY_NAME.keys()


def test_passwords_are_read_as_yubico_writes_them() -> None:
    """The example of Yubico's own library (ykparse): this key, this block, these numbers."""
    key = bytes.fromhex("ecde18dbe76fbd0c33330f1c354871db")

    token = Token.opened(from_modhex("dteffujehknhfjbrjnlnldnhcujvddbikngjrtgh"[8:]), key)

    assert token == Token(bytes.fromhex("8792ebfe26cc"), 19, 49712, 17, 40904)
    assert token.sealed(key) == from_modhex("hknhfjbrjnlnldnhcujvddbikngjrtgh")
    assert Token.opened(from_modhex("hknhfjbrjnlnldnhcujvddbikngjrtgh"), bytes(16)) is None


def test_modhex_is_hex_in_letters() -> None:
    assert to_modhex(bytes.fromhex("0123456789abcdef")) == "cbdefghijklnrtuv"
    assert from_modhex("cbdefghijklnrtuv") == bytes.fromhex("0123456789abcdef")
    with pytest.raises(ValueError, match="modhex"):
        from_modhex("0a")


def test_the_checksum_is_that_of_the_standard() -> None:
    assert 0xFFFF ^ crc16(b"123456789") == 0x906E


def test_positions_only_grow() -> None:
    key = YubiKey(Secret.new())
    typed = [key.touch(), key.touch()]
    key.plug_in()
    typed.append(key.touch())

    positions = [key.secret.position_of(text) or 0 for text in typed]
    assert positions == sorted(set(positions))
    assert Secret.new().position_of(typed[0]) is None
    assert key.secret.position_of(typed[0].upper()) == positions[0]
    assert key.secret.position_of("é" * 44) is None


def test_the_fourth_uses_nothing_of_ours() -> None:
    """Or it would prove nothing of what a stranger can build from the documents."""
    folder = Path(__file__).parent / "yubikey"
    sources = [path.read_text() for path in folder.glob("*.py")]
    lines = [line for source in sources for line in source.splitlines()]
    imports = [line for line in lines if line.startswith(("import ", "from "))]

    assert len(imports) > 10
    assert not [line for line in imports if line.split()[1].split(".")[0] in {"services", "shared"}]
