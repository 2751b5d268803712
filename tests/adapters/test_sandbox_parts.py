"""The parts of the sandbox that can be looked at without confining anything."""

import errno
import json
import os
import stat
import struct
from pathlib import Path
from typing import Any

import pytest

from muster.adapters.sandbox import SandboxLimits, confinement, worker
from muster.adapters.sandbox.folders import hand_over, measure, remove
from muster.adapters.sandbox.seccomp import AUDIT_ARCHITECTURE, NUMBERS, seccomp_program

ALLOWED = 0x7FFF0000
PROCESS = 4242


def judge(program: bytes, architecture: int, number: int, *arguments: int) -> int:
    """Run a filter as the kernel would and return its verdict."""
    padded = (*arguments, *[0] * (6 - len(arguments)))
    data = struct.pack("=IIQ6Q", number, architecture, 0, *padded)
    position = accumulator = 0
    while True:
        code, when_true, when_false, value = struct.unpack_from("=HBBI", program, position * 8)
        position += 1
        if code == 0x06:
            return value
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", data, value)
        elif code == 0x54:
            accumulator &= value
        else:
            holds = accumulator == value if code == 0x15 else accumulator >= value
            position += when_true if holds else when_false


def denied(number: int) -> int:
    return 0x50000 | number


@pytest.fixture(params=sorted(AUDIT_ARCHITECTURE))
def machine(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.mark.parametrize(
    ("name", "arguments", "verdict"),
    [
        ("socket", (2, 1), denied(errno.EPERM)),
        ("connect", (3,), denied(errno.EPERM)),
        ("execve", (), denied(errno.EPERM)),
        ("ptrace", (), denied(errno.EPERM)),
        ("clone3", (), denied(errno.ENOSYS)),
        ("io_uring_setup", (), denied(errno.ENOSYS)),
        ("fchmodat", (), denied(0)),
        ("socketpair", (1, 1), ALLOWED),
        ("socketpair", (1, 0o2000001), ALLOWED),
        ("socketpair", (1, 2), denied(errno.EPERM)),
        ("socketpair", (2, 1), denied(errno.EPERM)),
        ("sendto", (3, 1, 1, 0, 0), ALLOWED),
        ("sendto", (3, 1, 1, 0, 1), denied(errno.EPERM)),
        ("sendto", (3, 1, 1, 0, 1 << 32), denied(errno.EPERM)),
        ("kill", (PROCESS, 6), ALLOWED),
        ("kill", (1, 6), denied(errno.EPERM)),
        ("kill", (0xFFFFFFFF, 6), denied(errno.EPERM)),
        ("tgkill", (PROCESS, 7, 6), ALLOWED),
        ("clone", (0x3D0F00,), ALLOWED),
        ("clone", (17,), denied(errno.EPERM)),
        ("clone", (0x10010000,), denied(errno.EPERM)),
        ("clone", (0x18000,), denied(errno.EPERM)),
        ("prctl", (1, 0), denied(errno.EPERM)),
        ("prctl", (15, 0), ALLOWED),
        ("prlimit64", (0, 7), ALLOWED),
        ("prlimit64", (1, 7), denied(errno.EPERM)),
        ("openat", (0, 0, 0o1000), denied(errno.EPERM)),
        ("openat", (0, 0, 0o1001), ALLOWED),
        ("openat", (0, 0, 0), ALLOWED),
    ],
)
def test_verdicts(machine: str, name: str, arguments: tuple[int, ...], verdict: int) -> None:
    program = seccomp_program(machine, process_id=PROCESS, processes=0, threads=True)
    number = NUMBERS[name][machine == "aarch64"]
    assert number is not None
    assert judge(program, AUDIT_ARCHITECTURE[machine], number, *arguments) == verdict


def test_other_architectures_and_unknown_calls(machine: str) -> None:
    program = seccomp_program(machine, process_id=PROCESS, processes=0, threads=True)
    own = AUDIT_ARCHITECTURE[machine]
    assert judge(program, 0x40000003, 1) == 0x80000000
    assert judge(program, own, 5000) == denied(errno.ENOSYS)
    assert judge(program, own, 0x40000000) == denied(errno.ENOSYS)
    assert judge(program, own, 98 if machine == "x86_64" else 165) == ALLOWED


def test_children_and_threads_are_switches(machine: str) -> None:
    clone, own = NUMBERS["clone"][machine == "aarch64"] or 0, AUDIT_ARCHITECTURE[machine]
    with_child = seccomp_program(machine, process_id=1, processes=1, threads=True)
    without_threads = seccomp_program(machine, process_id=1, processes=0, threads=False)
    assert judge(with_child, own, clone, 17) == ALLOWED
    assert judge(with_child, own, clone, 0x40000011) == denied(errno.EPERM)
    assert judge(without_threads, own, clone, 0x3D0F00) == denied(errno.EPERM)


def test_each_number_is_named_once(machine: str) -> None:
    numbers = [pair[machine == "aarch64"] for pair in NUMBERS.values()]
    known = [number for number in numbers if number is not None]
    assert len(known) == len(set(known))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root changes owners")
def test_hand_over_leaves_what_has_a_second_name(tmp_path: Path) -> None:
    folder, outside = tmp_path / "folder", tmp_path / "outside"
    (folder / "sub").mkdir(parents=True)
    for path in (folder / "sub" / "plain", outside):
        path.touch()
    (folder / "hard").hardlink_to(outside)
    (folder / "soft").symlink_to(outside)
    hand_over(folder, 54_321)
    assert outside.stat().st_uid == 0
    handed = [folder, folder / "sub", folder / "sub" / "plain", folder / "soft"]
    assert {path.lstat().st_uid for path in handed} == {54_321}


def test_measure(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").write_bytes(b"x" * 10_000)
    entries, size = measure(tmp_path, 10) or (0, 0)
    assert entries == 2
    assert 10_000 <= size < 40_000
    assert measure(tmp_path, 1) is None
    assert measure(tmp_path / "missing", 1) == (0, 0)
    assert measure(tmp_path / "sub" / "file", 1) is None


def test_remove_whatever_it_has_become(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    kept = tmp_path / "kept"
    kept.mkdir()
    (folder / "link").symlink_to(kept)
    (folder / "locked" / "inner").mkdir(parents=True)
    (folder / "locked" / "inner" / "file").touch()
    (folder / "locked" / "inner").chmod(0)
    (folder / "locked").chmod(0)
    descriptor = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("deep", dir_fd=descriptor)
        inner = os.open("deep", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = inner
    os.close(descriptor)
    remove(folder)
    assert not folder.exists()
    assert stat.S_ISDIR(kept.stat().st_mode)


def test_private_users(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert confinement.private_user(tmp_path) == confinement.private_user(tmp_path)
    assert confinement.private_user(tmp_path) != confinement.private_user(tmp_path / "other")
    monkeypatch.setattr(confinement, "USER_BASE", 1 << 33)
    assert confinement.private_user(None) == confinement.NOBODY


def test_without_a_proc_file_system_the_user_is_nobody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(confinement, "Path", lambda _: tmp_path / "missing")
    assert confinement.private_user(None) == confinement.NOBODY


def test_request_carries_limits_in_bytes(tmp_path: Path) -> None:
    limits = SandboxLimits(memory_mb=100, file_mb=2, output_kb=3, processes=1)
    request = confinement.build_request(PROCESS, limits, folder=tmp_path, user=7, marker="m")
    assert request["limits"]["memory"] == 104_857_600
    assert request["limits"]["file"] == 2_097_152
    assert request["output_bytes"] == 3072
    assert request["tasks"] == 2
    assert request["paths"]["write"] == [str(tmp_path)]
    json.dumps(request)


# The worker's handling of the code itself, here without confinement.


def execute(source: str, arguments: dict[str, Any] | None = None, room: int = 1000) -> Any:
    return json.loads(worker.execute(source, arguments or {}, room))


def test_worker_values() -> None:
    assert execute("def run(a): return a", {"a": [1]}) == {"value": [1]}
    assert execute("def run(args): return args", {"a": 1}) == {"value": {"a": 1}}
    assert execute("def run(args: list): return args", {"args": 1}) == {"value": 1}
    assert execute("from builtins import dict as run", {"a": 1}) == {"value": {"a": 1}}
    assert execute("def run(): return 'x' * 999") == {"error": {"kind": "too_large"}}
    assert execute("def run(): return run")["error"]["kind"] == "not_json"


def test_worker_awaits() -> None:
    # A loop of its own would not start inside the one of an asynchronous test.
    assert execute("async def run(): return 1") == {"value": 1}


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("raise MemoryError", "memory"),
        ("raise PermissionError(13, 'no')", "forbidden"),
        ("raise PermissionError('own')", "raised"),
        ("raise OSError(1, 'no')", "forbidden"),
        ("raise ValueError from PermissionError(1, 'no')", "forbidden"),
        ("import urllib.error; raise urllib.error.URLError(OSError(13, 'no'))", "forbidden"),
        ("import socket; raise socket.gaierror", "forbidden"),
        ("e = ValueError(); e.__cause__ = e; raise e", "raised"),
        ("raise SystemExit", "raised"),
    ],
)
def test_worker_tells_kinds_of_failure(statement: str, kind: str) -> None:
    error = execute(f"def run():\n    {statement}")["error"]
    assert (error["kind"], error["line"]) == (kind, 2)


def test_worker_survives_hostile_exceptions() -> None:
    source = "class E(Exception):\n    def __str__(self): return 1\ndef run(): raise E"
    assert execute(source)["error"] == {"kind": "raised", "type": "E", "message": "", "line": 3}
    assert execute("def run(:")["error"]["line"] == 1
