"""What a person holds: it makes the right proofs, of which a kit for all factors knows nothing."""

import asyncio
import json
import shlex
from abc import ABC, abstractmethod
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any

Json = Mapping[str, Any]


class Device(ABC):
    """One device of one person. Made anew for each authenticator that the kit enrols."""

    options: Json = MappingProxyType({})
    """What an enrolment is begun with, such as `{"passwordless": true}`."""

    enrols_by_proof: bool = True
    """Whether there is anything to prove when an authenticator is made."""

    @property
    def secrets(self) -> Sequence[str]:
        """Texts that the factor shows when an enrolment begins, and never again."""
        return ()

    @abstractmethod
    async def register(self, display: Json) -> Json:
        """Return the proof that completes an enrolment, from what its beginning has shown.

        Asked anew, it forgets what it was shown before.
        """

    async def keep(self, display: Json) -> None:  # noqa: B027 - most have nothing to keep
        """Keep what completing the enrolment has shown, such as codes."""

    @abstractmethod
    async def prove(self, challenge: Json | None) -> Json:
        """Return a right proof that it has not given before, waiting for it if need be.

        `challenge` is what was shown to be answered, if the factor makes challenges.
        """

    async def close(self) -> None:  # noqa: B027 - most have nothing to end
        """End it."""


class DeviceError(Exception):
    """The device, rather than the factor, has failed."""


class CommandDevice(Device):
    """A device that is a program: a line of JSON in for each question, one out for each answer.

    {"call": "register", "display": {…}}                  {"proof": {…}, "secrets": ["…"]}
    {"call": "keep", "display": {…}}                      {}
    {"call": "prove", "challenge": {…} or null}           {"proof": {…}}

    One process is one device; it ends when its input does.
    """

    def __init__(self, command: Sequence[str], *, options: Json, enrols_by_proof: bool) -> None:
        self.options = options
        self.enrols_by_proof = enrols_by_proof
        self._command = command
        self._process: Process | None = None
        self._secrets: tuple[str, ...] = ()

    @property
    def secrets(self) -> Sequence[str]:
        """What the program has told to be secret."""
        return self._secrets

    async def register(self, display: Json) -> Json:
        """Have the program answer an offer."""
        answer = await self._ask({"call": "register", "display": display})
        self._secrets = tuple(map(str, answer.get("secrets", ())))
        return _proof(answer)

    async def keep(self, display: Json) -> None:
        """Hand on what completing has shown."""
        await self._ask({"call": "keep", "display": display})

    async def prove(self, challenge: Json | None) -> Json:
        """Have the program make a proof."""
        return _proof(await self._ask({"call": "prove", "challenge": challenge}))

    async def close(self) -> None:
        """End the program."""
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            await self._process.wait()

    async def _ask(self, question: Json) -> Json:
        if self._process is None:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=PIPE, stdout=PIPE
            )
        program = self._process
        if program.stdin is None or program.stdout is None:
            raise DeviceError("the command has no input or output")
        try:
            program.stdin.write(json.dumps(question).encode() + b"\n")
            await program.stdin.drain()
            answer = json.loads(await program.stdout.readline())
        except (OSError, ValueError):
            raise DeviceError(f"the command did not answer {question['call']!r} in JSON") from None
        if not isinstance(answer, dict):
            raise DeviceError("the command answered with something else than an object")
        return answer


def imported(name: str) -> Callable[[], Device]:
    """Return what makes devices, named as `module:function`. Raises ValueError."""
    module, _, function = name.partition(":")
    try:
        made = getattr(import_module(module), function)
    except (ImportError, AttributeError, ValueError) as error:
        raise ValueError(f"{name} is not module:function that can be imported: {error}") from None
    if not callable(made):
        raise ValueError(f"{name} is not a function that makes a Device")  # noqa: TRY004
    return made  # type: ignore[no-any-return]


def commanded(
    command: str, *, options: Json | None = None, enrols_by_proof: bool = True
) -> Callable[[], Device]:
    """Return what starts a program for each device."""
    words = shlex.split(command)
    return lambda: CommandDevice(words, options=options or {}, enrols_by_proof=enrols_by_proof)


def _proof(answer: Json) -> Json:
    proof = answer.get("proof")
    if not isinstance(proof, dict):
        raise DeviceError('the command answered without {"proof": {…}}')
    return proof
