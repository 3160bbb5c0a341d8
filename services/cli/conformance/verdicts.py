"""How a rule ends early: broken, or of no use here."""


class Broken(Exception):
    """The factor does not keep the rule; the message says how."""


class Skipped(Exception):
    """The rule says nothing about this factor; the message says why."""


def expect(kept: object, otherwise: str) -> None:
    """Raise Broken, saying `otherwise`, unless what is expected is so."""
    if not kept:
        raise Broken(otherwise)
