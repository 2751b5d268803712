"""Code of tools runs in real processes: limits, endings, systems without a sandbox."""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from muster.adapters.sandbox import (
    SandboxFailed,
    SandboxFilesExceeded,
    SandboxForbidden,
    SandboxLimits,
    SandboxLimitsInvalid,
    SandboxMemoryExceeded,
    SandboxTimeout,
    SandboxUnavailable,
    confinement,
    runner,
    sandbox_layers,
)

# Generous, for a busy machine; tests of the time limits set their own.
from tests.adapters.sandbox_runs import fail, run, until_gone

pytestmark = pytest.mark.anyio

# --- Limits ---


async def test_wall_time() -> None:
    source = "import time, os\ndef run():\n    print(os.getpid())\n    time.sleep(100)"
    started = time.monotonic()
    error = await fail(SandboxTimeout, source, wall_s=1)
    assert time.monotonic() - started < 6
    assert error.code == "tool_code_timeout"
    assert "1 seconds" in error.detail
    await until_gone(int(error.details["stdout"]))


@pytest.mark.parametrize("guard", ["pass", "signal.signal(signal.SIGXCPU, signal.SIG_IGN)"])
async def test_processor_time(guard: str) -> None:
    source = f"import signal\ndef run():\n    {guard}\n    while True: pass"
    error = await fail(SandboxTimeout, source, cpu_s=1)
    assert "1 seconds of processor time" in error.detail


@pytest.mark.parametrize(
    "bomb",
    [
        "'x' * 10 ** 9",
        "bytearray(300 * 2 ** 20)",
        "[bytearray(2 ** 20) for _ in range(1000)]",
        "[[n] for n in range(10 ** 9)]",
    ],
)
async def test_memory(bomb: str) -> None:
    error = await fail(SandboxMemoryExceeded, f"def run():\n    return len({bomb})", memory_mb=128)
    assert error.code == "tool_code_memory"
    assert "128 MB" in error.detail


async def test_killed_by_the_machine_counts_as_memory() -> None:
    source = "import os\ndef run(): os.kill(os.getpid(), 9)"
    assert "ran out of memory" in (await fail(SandboxMemoryExceeded, source)).detail


async def test_prints_are_cut() -> None:
    source = "def run():\n    for _ in range(200): print('x' * 1000)\n    return 1"
    result = await run(source, output_kb=2)
    assert result.value == 1
    assert result.stdout_truncated
    assert len(result.stdout) == 2048


async def test_large_result() -> None:
    assert len((await run("def run(): return 'x' * 200000")).value) == 200_000
    error = await fail(SandboxFailed, "def run(): return 'x' * 5000", output_kb=4)
    assert "larger than 4 KB" in error.detail


async def test_size_of_one_file() -> None:
    source = """
        def run():
            with open("big", "wb", buffering=0) as file:
                while True:
                    file.write(bytes(2 ** 20))
    """
    error = await fail(SandboxFailed, source, file_mb=2)
    assert "File too large" in error.detail


@pytest.mark.parametrize(
    "flood",
    [
        # Many large files, many small ones, files in a folder nobody may list, endless nesting.
        "open(str(n), 'wb').write(bytes(2 ** 20))",
        "open(str(n), 'w').close()",
        "os.mkdir(str(n), 0)",
        "os.mkdir('d' * 100) or os.chdir('d' * 100)",
    ],
)
async def test_all_files_together(flood: str) -> None:
    source = f"""
        import itertools, os, time
        def run():
            print(os.getcwd())
            for n in itertools.count():
                if n > 3000:
                    time.sleep(1)
                {flood}
    """
    error = await fail(SandboxFilesExceeded, source, file_mb=1)
    assert error.code == "tool_code_files"
    assert not Path(error.details["stdout"].strip()).exists()


async def test_open_files() -> None:
    source = "import os\ndef run():\n    return [os.dup(0) for _ in range(40)]"
    assert "Too many open files" in (await fail(SandboxFailed, source)).detail


async def test_limits_cannot_be_raised() -> None:
    source = """
        import resource
        def run():
            limit = resource.RLIMIT_NOFILE
            resource.setrlimit(limit, (20, 32))
            try:
                resource.setrlimit(limit, (1000, 1000))
            except ValueError:
                return [resource.getrlimit(limit), resource.getrlimit(resource.RLIMIT_CORE)]
    """
    assert (await run(source)).value == [[20, 32], [0, 0]]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("wall_s", 0),
        ("wall_s", "1"),
        ("wall_s", float("nan")),
        ("cpu_s", 1.5),
        ("memory_mb", 8),
        ("processes", 2),
        ("processes", True),
        ("open_files", 0),
        ("file_mb", -1),
        ("output_kb", 10**9),
    ],
)
def test_limits_out_of_range(field: str, value: Any) -> None:
    with pytest.raises(SandboxLimitsInvalid) as caught:
        SandboxLimits(**{field: value})
    assert [entry.field for entry in caught.value.errors] == [field]
    assert caught.value.detail.startswith(f"{field}: Must be a ")


# --- Endings from outside ---


async def test_cancellation_kills_within_a_second(tmp_path: Path) -> None:
    source = """
        import os, time
        def run():
            open("started.tmp", "w").write(str(os.getpid()))
            os.rename("started.tmp", "started")
            while True:
                time.sleep(0.01)
    """
    task = asyncio.create_task(run(source, workspace=tmp_path))
    async with asyncio.timeout(30):
        while not (tmp_path / "started").exists():
            await asyncio.sleep(0.01)
    process_id = int((tmp_path / "started").read_text())
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - started < 1
    await until_gone(process_id)


@pytest.mark.parametrize("delay_s", [0, 0.01, 0.05])
async def test_cancellation_during_the_start(delay_s: float) -> None:
    task = asyncio.create_task(run("import time\ndef run(): time.sleep(100)"))
    await asyncio.sleep(delay_s)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    commands = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
    assert not [command for command in commands if b"import worker" in command]


async def test_runs_at_the_same_time_do_not_mix() -> None:
    source = "import time\ndef run(n):\n    print(n)\n    time.sleep(0.1)\n    return n"
    results = await asyncio.gather(*(run(source, {"n": n}) for n in range(6)))
    assert [(result.value, result.stdout) for result in results] == [
        (n, f"{n}\n") for n in range(6)
    ]


# --- Where it cannot run ---


async def test_other_systems_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement.sys, "platform", "darwin")
    sandbox_layers.cache_clear()
    with pytest.raises(SandboxUnavailable) as caught:
        await run("def run(): return 1")
    assert caught.value.status == 503
    assert "Linux" in caught.value.detail
    assert not any(sandbox_layers().values())
    sandbox_layers.cache_clear()


async def test_other_processors_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(confinement, "seccomp_supported", lambda machine: False)
    with pytest.raises(SandboxUnavailable, match="64-bit x86 and ARM"):
        await run("def run(): return 1")


async def test_no_process_to_be_had(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = (str(tmp_path / "missing"),)
    monkeypatch.setattr(runner, "COMMAND", missing)
    monkeypatch.setattr(confinement, "COMMAND", missing)
    sandbox_layers.cache_clear()
    with pytest.raises(SandboxUnavailable, match="No process"):
        await run("def run(): return 1")
    assert not any(sandbox_layers().values())
    sandbox_layers.cache_clear()


@pytest.mark.parametrize("program", ["raise SystemExit(1)", "import os; os.kill(os.getpid(), 9)"])
async def test_worker_that_cannot_start(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.setattr(runner, "COMMAND", (sys.executable, "-c", program))
    with pytest.raises(SandboxUnavailable, match="before it began"):
        await run("def run(): return 1")


async def test_crowded_workspace_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runner, "MAXIMUM_WORKSPACE_FILES", 1)
    for name in "ab":
        (tmp_path / name).touch()
    await fail(SandboxFilesExceeded, "def run(): return 1", workspace=tmp_path)


def test_forbidden_is_a_failure_of_the_code() -> None:
    assert issubclass(SandboxForbidden, SandboxFailed)
