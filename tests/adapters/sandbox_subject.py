"""A server process of its own, less able than the tests', that runs code in the sandbox.

Started with a JSON request as its argument: {"user": a number or null, "deny": names of kernel
features to take away, "folder": a temporary folder, "runs": [{"source", "limits"}]}. Prints JSON:
{"layers": ..., "outcomes": [{"value"} or {"code", "detail"}]}.
"""

import asyncio
import ctypes
import json
import os
import shutil
import struct
import sys
from pathlib import Path

CALLS = {"x86_64": {"unshare": 272, "prctl": 157}, "aarch64": {"unshare": 97, "prctl": 167}}
LANDLOCK = 444


def become(user: int, folder: Path) -> list[str]:
    """Take another user's place, with an interpreter that the user can reach."""
    libc = ctypes.CDLL(None, use_errno=True)
    python, source = folder / "python", folder / "source"
    own_source = Path(__file__).parents[2] / "src"
    executable = Path(sys.executable).resolve()
    script = shutil.copy(__file__, folder)
    folder.chmod(0o755)
    if libc.unshare(0x20000) == 0:
        libc.mount(b"none", b"/", None, 0x4000 | 0x40000, None)
        for original, reachable in ((Path(sys.base_prefix), python), (own_source, source)):
            reachable.mkdir()
            if libc.mount(bytes(original), bytes(reachable), None, 0x1000, None) != 0:
                raise OSError(ctypes.get_errno(), "mount")
        executable = python / executable.relative_to(sys.base_prefix)
        own_source = source
    os.setgroups([])
    os.setresgid(user, user, user)
    os.setresuid(user, user, user)
    return [str(executable), "-I", "-S", "-B", str(script), str(own_source)]


def take_away(names: list[str]) -> None:
    """Make kernel features look absent, by a filter that the sandbox inherits."""
    libc = ctypes.CDLL(None, use_errno=True)
    calls = CALLS[os.uname().machine]
    program = [struct.pack("=HBBI", 0x20, 0, 0, 0)]
    if "landlock" in names:
        program += [
            struct.pack("=HBBI", 0x15, 0, 1, LANDLOCK),
            struct.pack("=HBBI", 0x06, 0, 0, 0x50026),
        ]
    if "namespaces" in names:
        program += [
            struct.pack("=HBBI", 0x15, 0, 1, calls["unshare"]),
            struct.pack("=HBBI", 0x06, 0, 0, 0x50001),
        ]
    if "seccomp" in names:
        program += [
            struct.pack("=HBBI", 0x15, 0, 4, calls["prctl"]),
            struct.pack("=HBBI", 0x20, 0, 0, 16),
            struct.pack("=HBBI", 0x15, 0, 1, 22),
            struct.pack("=HBBI", 0x06, 0, 0, 0x50016),
            struct.pack("=HBBI", 0x20, 0, 0, 0),
        ]
    program.append(struct.pack("=HBBI", 0x06, 0, 0, 0x7FFF0000))
    code = b"".join(program)
    buffer = ctypes.create_string_buffer(code, len(code))
    libc.prctl(38, 1, 0, 0, 0)
    if libc.prctl(22, 2, struct.pack("@HP", len(program), ctypes.addressof(buffer)), 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "seccomp")


async def serve(request: dict) -> dict:
    from muster.adapters.sandbox import SandboxLimits, run_python, sandbox_layers
    from muster.kernel.errors import AppError

    outcomes = []
    for run in request["runs"]:
        try:
            limits = SandboxLimits(**run.get("limits", {}))
            result = await run_python(run["source"], {}, limits=limits)
            outcomes.append({"value": result.value})
        except AppError as error:
            outcomes.append({"code": error.code, "detail": error.detail, **error.details})
    return {"layers": sandbox_layers(), "outcomes": outcomes}


def main() -> None:
    if len(sys.argv) == 2:
        request = json.loads(sys.argv[1])
        source = str(Path(__file__).parents[2] / "src")
        command = [sys.executable, "-I", "-S", "-B", __file__, source]
        library = str(Path(sys.base_prefix) / "lib")
        if request["user"] is not None and os.geteuid() == 0:
            command = become(request["user"], Path(request["folder"]))
            library = str(Path(command[0]).parents[1] / "lib")
        if request["deny"]:
            take_away(request["deny"])
        os.execve(command[0], [*command, sys.argv[1]], {"LD_LIBRARY_PATH": library})
    sys.path.insert(0, sys.argv[1])
    print(json.dumps(asyncio.run(serve(json.loads(sys.argv[2])))))


if __name__ == "__main__":
    main()
