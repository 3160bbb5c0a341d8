"""Processes are kept running, with pauses that grow, and ended for sure."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from services.cli import supervisor
from services.cli.environment import Suite
from services.cli.failing import EX_CONFIG
from services.cli.supervisor import CannotRun, Child, keep
from tests.suites import until


def child(program: str) -> Child:
    return Child("part", (sys.executable, "-c", program), {})


async def test_what_ends_is_started_again(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "log"
    kept = asyncio.create_task(keep(child(f"open({str(log)!r}, 'a').write('x'); exit(3)")))

    await asyncio.to_thread(until, lambda: log.exists() and len(log.read_text()) > 2, "a third")
    kept.cancel()
    await asyncio.gather(kept, return_exceptions=True)

    said = capfd.readouterr().err
    assert "part ended (exit code 3); it is started again in 0.25 s." in said
    assert "it is started again in 0.5 s." in said


async def test_what_cannot_work_with_its_settings_is_not_tried_again() -> None:
    with pytest.raises(CannotRun, match="part cannot work with its settings"):
        await keep(child(f"exit({EX_CONFIG})"))


async def test_what_does_not_heed_the_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervisor, "ENDING", 0.2)
    deaf = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('x', flush=True)"
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", f"{deaf}; signal.pause()", stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    await process.stdout.readline()

    await supervisor.end(process)

    assert process.returncode == -signal.SIGKILL


async def test_no_more_is_awaited_of_what_has_ended() -> None:
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", "exit(4)")
    await process.wait()

    await supervisor.end(process)

    assert process.returncode == 4


async def test_a_job_ends_when_another_has_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before the broker that it uses is ended."""
    declaring = tmp_path / "process"
    programs = {
        "keys": "",
        "migrate": f"import os\nwhile not os.path.lexists({str(declaring)!r}): pass\nexit(1)",
        "bus": f"import os, signal; os.symlink(str(os.getpid()), {str(declaring)!r});"
        "signal.pause()",
    }
    suite = Suite({"VAR_DIR": str(tmp_path)})
    preparing = supervisor.Supervisor(suite, (), lock=0, started=lambda _: None)
    monkeypatch.setattr(preparing, "_child", lambda name, *_: child(programs[name]))

    with pytest.raises(CannotRun, match="`countersign migrate` failed"):
        await preparing.run()

    with pytest.raises(ProcessLookupError):
        os.kill(int(declaring.readlink().name), 0)


async def test_a_port_where_nobody_answers_is_not_ready(unused_tcp_port: int) -> None:
    assert not await supervisor.is_ready("127.0.0.1", unused_tcp_port)
