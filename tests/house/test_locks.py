"""The reader of the lock files: fresh locks pass, every kind of stale or unsafe lock is named."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tools import locks

ROOT = Path(__file__).resolve().parents[2]
HASH = "    --hash=sha256:" + "a" * 64

PYPROJECT = """
[build-system]
requires = ["builder>=1"]
[project]
name = "sample"
dependencies = ["first[extra]>=2", "second>=1; sys_platform != 'win32'"]
[dependency-groups]
dev = ["checker"]
"""
RUNTIME = f"""# a comment
builder==1.5 \\
{HASH}
first==2.1 \\
{HASH} \\
{HASH}
    # via sample
second==1.0 ; sys_platform != "win32" \\
{HASH}
"""
DEVELOPMENT = f"checker==3 \\\n{HASH}\n{RUNTIME}    # via -r scratch/development.in\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (tmp_path / locks.RUNTIME).write_text(RUNTIME, encoding="utf-8")
    (tmp_path / locks.DEVELOPMENT).write_text(DEVELOPMENT, encoding="utf-8")
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_the_locks_of_this_project_are_fresh() -> None:
    assert locks.check(ROOT) == []


def test_fresh_locks_have_no_fault(project: Path) -> None:
    assert locks.check(project) == []


@pytest.mark.parametrize(
    ("file", "old", "new", "fault"),
    [
        ("pyproject.toml", "first[extra]>=2", "first>=3", "first is 2.1, required is first>=3"),
        ("pyproject.toml", '"checker"', '"checker", "other"', "other is required and not pinned"),
        ("pyproject.toml", "builder>=1", "builder>=2", "builder is 1.5, required is builder>=2"),
        (locks.DEVELOPMENT, "first==2.1", "first==2.2", "first is 2.2, requirements.lock has 2.1"),
        (locks.RUNTIME, "# a comment", "--index-url x", "neither a pin nor a hash: --index-url x"),
        (locks.RUNTIME, "# a comment", "first @ x.whl", "neither a pin nor a hash: first @ x.whl"),
        (locks.RUNTIME, f"builder==1.5 \\\n{HASH}", "builder==1.5", "builder has no hash"),
    ],
)
def test_each_fault_is_named(project: Path, file: str, old: str, new: str, fault: str) -> None:
    replace(project / file, old, new)

    assert any(fault in found for found in locks.check(project))


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tools.locks", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_ends_with_an_error_and_advice_when_a_lock_is_stale(project: Path) -> None:
    assert run(project, "check").returncode == 0

    replace(project / "pyproject.toml", "second>=1", "second>=2")
    stale = run(project, "check")

    assert stale.returncode == 1
    assert "second is 1.0" in stale.stderr
    assert "make lock" in stale.stderr
    assert run(project, "nonsense").returncode == 2


def test_development_is_the_runtime_lock_and_the_group(project: Path) -> None:
    wanted = run(project, "development").stdout.splitlines()

    assert wanted == [
        "builder==1.5",
        "first==2.1",
        'second==1.0 ; sys_platform != "win32"',
        "checker",
    ]


def test_tidied_locks_name_no_scratch_file(project: Path) -> None:
    assert run(project, "tidy").returncode == 0

    text = (project / locks.DEVELOPMENT).read_text(encoding="utf-8")
    assert "scratch" not in text
    assert "# via muster (requirements.lock, dev group)" in text
