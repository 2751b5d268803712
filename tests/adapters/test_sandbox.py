"""Code of tools runs in real processes: results, errors, limits and endings."""

import asyncio
import os
import sys
import textwrap
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
    SandboxResult,
    SandboxTimeout,
    SandboxUnavailable,
    confinement,
    run_python,
    runner,
    sandbox_layers,
)

pytestmark = pytest.mark.anyio

# Generous, for a busy machine; tests of the time limits set their own.
PATIENT = {"wall_s": 60, "cpu_s": 60}


async def run(
    source: str,
    arguments: dict[str, Any] | None = None,
    *,
    workspace: Path | None = None,
    **limits: Any,
) -> SandboxResult:
    return await run_python(
        textwrap.dedent(source),
        arguments or {},
        limits=SandboxLimits(**(PATIENT | limits)),
        workspace=workspace,
    )


async def fail(kind: type[SandboxFailed], source: str, **options: Any) -> SandboxFailed:
    with pytest.raises(SandboxFailed) as caught:
        await run(source, **options)
    assert type(caught.value) is kind, (caught.value.detail, caught.value.details)
    assert caught.value.status == 422
    return caught.value


async def until_gone(process_id: int) -> None:
    """Wait until a process is neither running nor a zombie."""
    async with asyncio.timeout(5):
        while Path(f"/proc/{process_id}").exists():
            await asyncio.sleep(0.01)


# --- Results ---


async def test_value_prints_and_duration() -> None:
    result = await run(
        """
        import sys
        def run(a, b=2):
            print("to", "out")
            print("to err", file=sys.stderr)
            return {"sum": a + b, "é": [1.5, None, True]}
        """,
        {"a": 40},
    )
    assert result.value == {"sum": 42, "é": [1.5, None, True]}
    assert result.stdout == "to out\nto err\n"
    assert not result.stdout_truncated
    assert 0 < result.duration_ms < 60_000


@pytest.mark.parametrize(
    "signature", ["arguments", "args: dict", "inputs: dict[str, int]", "params: 'dict'"]
)
async def test_one_dict_parameter_takes_all(signature: str) -> None:
    name = signature.split(":", maxsplit=1)[0]
    result = await run(f"def run({signature}): return {name}", {"x": 1, "y": 2})
    assert result.value == {"x": 1, "y": 2}


async def test_async_function_with_threads_and_library_imports() -> None:
    source = """
        import asyncio, decimal, json.tool, sqlite3, ssl, statistics, zoneinfo

        async def run():
            await asyncio.sleep(0.001)
            mean = await asyncio.to_thread(statistics.mean, [1, 2, 3])
            table = sqlite3.connect("t.db")
            table.execute("create table t (a)")
            table.commit()
            return [mean, str(zoneinfo.ZoneInfo("Europe/Paris"))]
    """
    assert (await run(source)).value == [2, "Europe/Paris"]


async def test_only_the_standard_library() -> None:
    error = await fail(SandboxFailed, "def run():\n    import pydantic")
    assert error.detail == "ModuleNotFoundError: No module named 'pydantic' (line 2)"


async def test_workspace_stays_and_temporary_folder_goes(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "given.txt").write_text("given")
    source = """
        import os, shutil
        def run():
            given = open("sub/given.txt").read()
            open("sub/given.txt", "a").write("!")
            shutil.copy2("sub/given.txt", "made.txt")
            os.rename("made.txt", "sub/moved.txt")
            os.truncate_fd = os.ftruncate(os.open("sub/moved.txt", os.O_WRONLY), 3)
            return [given, os.getcwd()]
    """
    first = await run(source, workspace=tmp_path)
    again = await run(source, workspace=tmp_path)
    assert first.value == ["given", str(tmp_path)]
    assert again.value == ["given!", str(tmp_path)]
    assert (tmp_path / "sub" / "moved.txt").read_text() == "giv"
    folder = (await run("import os\ndef run(): return os.getcwd()")).value
    assert folder != str(tmp_path)
    assert not Path(folder).exists()


# --- Errors ---


@pytest.mark.parametrize(
    ("source", "exception", "line", "part"),
    [
        ("def run():\n    x = 1\n    return x / 0", "ZeroDivisionError", 3, "division by zero"),
        ("def run():\n    return int('z')", "ValueError", 2, "invalid literal"),
        ("import json\ndef run():\n    json.loads('{')", "JSONDecodeError", 3, "Expecting"),
        ("x = 1\nraise KeyError('top')\ndef run(): pass", "KeyError", 2, "top"),
        ("def run(:\n  pass", "SyntaxError", 1, "invalid syntax"),
        ("def run():\n    return run()", "RecursionError", 2, "maximum recursion"),
        ("import sys\ndef run():\n    sys.exit(3)", "SystemExit", 3, "3"),
        ("def run():\n    raise PermissionError('own')", "PermissionError", 2, "own"),
        ("def run(needed): pass", "TypeError", None, "needed"),
        ("x = 1", "KeyError", None, "run"),
        ("async def run():\n    raise LookupError\n", "LookupError", 2, "LookupError"),
        (
            "class Bad(Exception):\n  def __str__(self): raise ValueError\ndef run(): raise Bad",
            "Bad",
            3,
            "Bad",
        ),
        ("def run():\n    open('missing')", "FileNotFoundError", 2, "missing"),
    ],
)
async def test_errors_of_the_code(source: str, exception: str, line: int | None, part: str) -> None:
    error = await fail(SandboxFailed, source)
    assert error.code == "tool_code_failed"
    assert error.details["exception"] == exception
    assert error.details.get("line") == line
    assert error.detail.startswith(exception)
    assert part in error.detail


async def test_errors_keep_the_prints_and_hide_the_installation() -> None:
    source = """
        import json, os
        def run():
            print("before")
            raise RuntimeError(json.__file__ + os.__file__)
    """
    error = await fail(SandboxFailed, source)
    assert error.details["stdout"] == "before\n"
    for path in confinement.installation_paths():
        assert path not in error.detail


@pytest.mark.parametrize(
    ("value", "part"),
    [
        ("{1, 2}", "set is not JSON serializable"),
        ("object()", "object is not JSON serializable"),
        ("float('nan')", "Out of range float"),
        ("{(1, 2): 3}", "keys must be"),
        ("(lambda x: x.append(x) or x)([])", "Circular"),
        ("10 ** 5000", "integer string conversion"),
    ],
)
async def test_values_that_are_not_json(value: str, part: str) -> None:
    error = await fail(SandboxFailed, f"def run(): return {value}")
    assert "not JSON" in error.detail
    assert part in error.detail


async def test_text_that_cannot_be_stored() -> None:
    error = await fail(SandboxFailed, r"def run(): return '\ud800'")
    assert "not valid Unicode" in error.detail


async def test_arguments_that_are_not_json() -> None:
    with pytest.raises(SandboxFailed, match="not JSON values"):
        await run("def run(a): pass", {"a": object()})


@pytest.mark.parametrize(
    ("ending", "part"),
    [
        ("os._exit(7)", "status 7"),
        ("os._exit(0)", "status 0"),
        ("os.kill(os.getpid(), 11)", "signal SIGSEGV"),
        ("os.abort()", "signal SIGABRT"),
        ("os.kill(os.getpid(), 40)", "signal 40"),
        ("ctypes.string_at(0)", "signal SIGSEGV"),
    ],
)
async def test_endings_without_a_result(ending: str, part: str) -> None:
    source = f"""
        import ctypes, os
        def run():
            print("printed")
            {ending}
    """
    error = await fail(SandboxFailed, source)
    assert error.detail.startswith("The code ended its process")
    assert part in error.detail
    assert error.details["stdout"] == "printed\n"


async def test_c_stack_is_not_the_servers() -> None:
    source = """
        import sys
        sys.setrecursionlimit(10 ** 9)
        class Deep:
            def __repr__(self):
                return repr(self)
        def run():
            return repr(Deep())
    """
    with pytest.raises(SandboxFailed):
        await run(source)


# --- The channel ---


async def test_writing_to_every_descriptor_spoils_nothing() -> None:
    source = """
        import os
        def run():
            print('{"value": "printed"}')
            for descriptor in range(3, 32):
                try:
                    os.write(descriptor, b'\\n{"value": "forged"}\\nhalf a line')
                except OSError:
                    pass
            return "true"
    """
    result = await run(source)
    assert result.value == "true"
    assert result.stdout == '{"value": "printed"}\n'


@pytest.mark.parametrize(
    "answer",
    [
        "nonsense",
        "[]",
        "{}",
        "[" * 8000,
        '{"error": 3}',
        '{"error": {"kind": 1, "type": [], "message": {}, "line": "x"}}',
        '{"value": 1e999}',
        '{"value": "\\\\ud800"}',
        '{"value": ' + "1" * 5000 + "}",
    ],
)
async def test_forged_answers_are_faults_of_the_code(answer: str) -> None:
    source = f"""
        import os, sys, time
        def run():
            frame = sys._getframe()
            while "marker" not in frame.f_locals:
                frame = frame.f_back
            os.write(frame.f_locals["channel"], frame.f_locals["marker"] + b'{answer}\\n')
            time.sleep(60)
    """
    await fail(SandboxFailed, source)


async def test_closed_channel_and_streams() -> None:
    error = await fail(
        SandboxFailed, "import os\ndef run():\n    os.closerange(0, 100)\n    os._exit(4)"
    )
    assert "status 4" in error.detail


async def test_flooded_channel_is_bounded() -> None:
    source = """
        import os, sys
        def run():
            frame = sys._getframe()
            while "channel" not in frame.f_locals:
                frame = frame.f_back
            while True:
                os.write(frame.f_locals["channel"], b"x" * 100000)
    """
    error = await fail(SandboxFailed, source, output_kb=8)
    assert "larger than 8 KB" in error.detail


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
