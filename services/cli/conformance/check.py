"""Holds a factor against the rules."""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

import httpx

from services.cli.conformance.bench import Bench
from services.cli.conformance.device import DeviceError
from services.cli.conformance.rules import RULES, Rule
from services.cli.conformance.subject import Subject
from services.cli.conformance.verdicts import Broken, Skipped

AT_ONCE = 8


class Verdict(StrEnum):
    """What came of a rule."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """A rule, what came of it, and why if it did not pass."""

    rule: Rule
    verdict: Verdict
    reason: str = ""


async def check(
    subject: Subject, rules: Iterable[Rule] = RULES, *, at_once: int = AT_ONCE
) -> list[Finding]:
    """Return what came of each rule, in order. `at_once` is how many are held at the same time.

    One after the other takes long where a device has to wait for its next proof.
    """
    free = asyncio.Semaphore(at_once)

    async def held(rule: Rule) -> Finding:
        async with free:
            return await hold(rule, subject)

    return list(await asyncio.gather(*map(held, rules)))


async def hold(rule: Rule, subject: Subject) -> Finding:
    """Hold the factor against one rule, with people of its own."""
    try:
        async with Bench(subject) as bench:
            await rule.hold(bench)
    except Skipped as reason:
        return Finding(rule, Verdict.SKIPPED, str(reason))
    except Broken as reason:
        return Finding(rule, Verdict.FAILED, str(reason))
    except DeviceError as error:
        return Finding(rule, Verdict.FAILED, f"the prover: {error}")
    except httpx.HTTPError as error:
        return Finding(rule, Verdict.FAILED, f"it did not answer ({type(error).__name__})")
    return Finding(rule, Verdict.PASSED)
