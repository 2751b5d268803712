"""Code of tools runs in real processes: results, errors, the channel of the answer."""

from pathlib import Path

import pytest

from muster.adapters.sandbox import (
    SandboxFailed,
    confinement,
)

# Generous, for a busy machine; tests of the time limits set their own.
from tests.adapters.sandbox_runs import fail, run

pytestmark = pytest.mark.anyio

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
