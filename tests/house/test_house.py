"""Rules that every file of the repository keeps."""

import ast
import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
THIS = Path(__file__).relative_to(ROOT)

LONGEST_FILE = 500

# Written so that this file itself does not hold what it looks for.
FORBIDDEN = {
    "an absolute path of somebody's machine": r"(?<![\w.])/(?:work|home|root|Users|mnt|opt)/[\w.]",
    "the host of a package registry": r"pypi\.(?:org|python\.org)|files\.pythonhosted|"
    r"registry\.(?:npmjs|yarnpkg)|proxy\.golang\.org",
    "the number of an issue or a pull request": r"(?i:\b(?:issue|ticket|pull request|PR) #?\d+\b)"
    r"|(?<![\w&/\"'(=:#])(?<!: )#\d{1,5}\b",
    "a note of work that is not done": r"\b(?:TO" r"DO|FIX" r"ME|XXX)\b",
}

# Where a pattern means something else; each with the reason.
EXCEPTIONS = {
    ("LICENSE", "*"): "the words of the licence are not ours",
    ("tests/support/postgres_binaries.py", "an absolute path of somebody's machine"): (
        "the folder where a package system puts its programs"
    ),
    (
        "src/muster/domains/control/policies/engine/paths.py",
        "an absolute path of somebody's machine",
    ): "where systems keep the home folders of people",
    ("tests/control/test_rules_agent.py", "an absolute path of somebody's machine"): (
        "paths that agents name"
    ),
}

# What git ignores, for a copy of the project that is no checkout.
UNTRACKED = {"node_modules", "__pycache__", "htmlcov", "dist", "build"}
TRACKED_HIDDEN = {".ci", ".gitignore"}
# Written by programs: their length says nothing about how they read.
GENERATED = {"requirements.lock", "requirements-dev.lock", "package-lock.json", "LICENSE"}


def tracked_files() -> list[Path]:
    """Every file that git tracks or would track; all but ignored folders if this is no checkout."""
    if shutil.which("git") and (ROOT / ".git").exists():
        listed = subprocess.run(
            [
                "git",
                "-c",
                f"safe.directory={ROOT}",
                "ls-files",
                "--cached",
                "--others",
                "--exclude-standard",
                "-z",
            ],
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        paths = [Path(name) for name in listed.stdout.split("\0") if name]
    else:
        paths = [
            path.relative_to(ROOT)
            for path in ROOT.rglob("*")
            if not any(
                part in UNTRACKED or (part.startswith(".") and part not in TRACKED_HIDDEN)
                for part in path.relative_to(ROOT).parts
            )
        ]
    return sorted(path for path in paths if (ROOT / path).is_file())


def texts() -> list[tuple[Path, str]]:
    contents = [(path, (ROOT / path).read_bytes()) for path in tracked_files()]
    return [(path, content.decode()) for path, content in contents if b"\0" not in content]


def modules(folder: str) -> list[Path]:
    return [path for path in tracked_files() if path.suffix == ".py" and path.parts[0] == folder]


@pytest.mark.parametrize("what", FORBIDDEN)
def test_no_file_names(what: str) -> None:
    pattern = re.compile(FORBIDDEN[what])
    found = [
        f"{path}:{number}: {line.strip()[:120]}"
        for path, text in texts()
        if path != THIS
        and (str(path), what) not in EXCEPTIONS
        and (str(path), "*") not in EXCEPTIONS
        for number, line in enumerate(text.splitlines(), start=1)
        if pattern.search(line)
    ]

    assert not found, f"{what} is named:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("an absolute path of somebody's machine", "see /home/" + "ada/notes"),
        ("the host of a package registry", "https://pypi." + "org/simple"),
        ("the number of an issue or a pull request", "works around issue " + "#12"),
        ("the number of an issue or a pull request", "as said in " + "#3456"),
        ("the number of an issue or a pull request", "fixes " + "#77"),
        ("a note of work that is not done", "# TO" + "DO later"),
    ],
)
def test_the_patterns_find_what_they_are_for(what: str, line: str) -> None:
    assert re.search(FORBIDDEN[what], line)


@pytest.mark.parametrize(
    "line",
    [
        'color: "#123456"',
        "GET /api/v1/work/items",
        "docs/home/start.md",
        "the price #per token",
        "fixed 30 s timeout",
        "stroke: #334155;",
    ],
)
def test_the_patterns_leave_ordinary_lines_alone(line: str) -> None:
    assert not [what for what, pattern in FORBIDDEN.items() if re.search(pattern, line)]


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        str(path)
        for path in modules("src")
        if "versions" not in path.parts
        and not ast.get_docstring(ast.parse((ROOT / path).read_text(encoding="utf-8")))
    ]

    assert modules("src")
    assert not silent, "modules without a docstring:\n" + "\n".join(silent)


def test_no_file_is_longer_than_it_may_be() -> None:
    long = [
        f"{path}: {lines} lines"
        for path, text in texts()
        if path.suffix in {".py", ".ts", ".tsx", ".css", ""}
        and path.name not in GENERATED
        and (lines := len(text.splitlines())) > LONGEST_FILE
    ]

    assert not long, "split by use case:\n" + "\n".join(long)


def test_no_exception_is_left_over() -> None:
    gone = [path for path, _ in EXCEPTIONS if not (ROOT / path).is_file()]

    assert not gone


def test_make_help_names_every_target() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^\.PHONY: ([a-z-]+)$", text, re.MULTILINE))
    shown = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    ).stdout

    assert {"setup", "run", "test", "check", "bench", "lock", "help"} <= targets
    shown_targets = set(re.findall(r"^ +([a-z-]+) +\w", shown, re.MULTILINE))
    assert not targets - shown_targets


def test_every_make_target_that_a_document_names_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, re.MULTILINE))
    wanted = {
        (name, str(path))
        for path, text in texts()
        if path.suffix == ".md" or path.parts[0] == ".ci"
        for name in re.findall(r"(?:^|`)\s*make ([a-z][a-z-]*)", text, re.MULTILINE)
    }

    assert ("test", ".ci/run") in wanted
    assert not {(name, path) for name, path in wanted if name not in targets}


def test_what_continuous_integration_runs_can_be_run() -> None:
    script = ROOT / ".ci" / "run"

    assert script.stat().st_mode & 0o100
    assert script.read_text(encoding="utf-8").startswith("#!/usr/bin/env bash\n")
    checked = subprocess.run(["bash", "-n", str(script)], check=False, timeout=60)
    assert checked.returncode == 0
