"""What the worker is told to lock itself into, and which of it this machine can do."""

import functools
import hashlib
import json
import os
import secrets
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any, Final

from muster.adapters.sandbox.errors import SandboxUnavailable
from muster.adapters.sandbox.limits import SandboxLimits
from muster.adapters.sandbox.seccomp import seccomp_program, seccomp_supported

HERE: Final = Path(__file__).parent
# An import, unlike a script, uses the byte code that the server's own import left.
START: Final = (
    "import sys; sys.path.append(sys.argv.pop()); import worker; sys.path.pop(); worker.main()"
)
# No site packages, no user's or environment's settings, no byte code written, nothing buffered.
COMMAND: Final = (sys.executable, "-I", "-S", "-B", "-u", "-X", "utf8", "-c", START, str(HERE))
# Only for the interpreter itself; the worker clears it before the code's turn. Without the first,
# the C library reserves 64 MiB of address space for the allocations of each thread; without the
# second, some installations do not find the interpreter's library.
ENVIRONMENT: Final = {"MALLOC_ARENA_MAX": "1"} | {
    name: value for name, value in os.environ.items() if name == "LD_LIBRARY_PATH"
}
LAYERS: Final = (
    "seccomp",
    "landlock",
    "network_namespace",
    "private_user",
    "resource_limits",
)
THREADS: Final = 8
USER_BASE: Final = 0x6D000000
USER_BITS: Final = 24
NOBODY: Final = 65534

# What an interpreter opens while it runs: libraries that its extension modules need, time zones.
LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib")
SHARED_FOLDERS: Final = (*LIBRARIES, "/usr/share/zoneinfo")
SHARED_FILES: Final = ("/etc/ld.so.cache", "/etc/localtime")
DEVICES: Final = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")

REFUSALS: Final = {
    "confinement": "The kernel refused a step of the confinement that must not be left out.",
    "parent": "The server ended while the code was starting.",
    "seccomp": (
        "The kernel accepts no system-call filter, so the network cannot be closed. Allow seccomp"
        " for the server's container."
    ),
    "files": (
        "Files of the server cannot be hidden from the code. Use a kernel with Landlock (5.13 or"
        " later), or start the server as root so that it can change the user."
    ),
    "processes": (
        "Child processes cannot be counted on this machine. Set the limit on processes to 0."
    ),
}


def unsupported_reason() -> str | None:
    """Why no code can be confined here at all, or None."""
    if sys.platform != "linux":
        return "Code of tools is confined by Linux kernel features; this is another system."
    if not seccomp_supported(os.uname().machine) or sys.maxsize < 2**32:
        return "Code of tools runs on 64-bit x86 and ARM machines only."
    return None


def require_supported() -> None:
    reason = unsupported_reason()
    if reason:
        raise SandboxUnavailable(f"{reason} Run the server on 64-bit Linux to use such tools.")


def private_user(workspace: Path | None) -> int:
    """Choose the numeric user that a server run by root hands the process to.

    Each run has its own, so that runs cannot touch each other and each one's processes can be
    counted; runs in one workspace share one, so that they do not take files from each other.
    """
    if workspace is None:
        user = USER_BASE + secrets.randbits(USER_BITS)
    else:
        digest = hashlib.sha256(os.fsencode(workspace)).digest()
        user = USER_BASE + int.from_bytes(digest[:4], "big") % 2**USER_BITS
    return user if _is_mapped(user) else NOBODY


def _is_mapped(user: int) -> bool:
    """Whether the user exists in this user namespace: containers often map only 65,536."""
    try:
        lines = Path("/proc/self/uid_map").read_text(encoding="ascii").splitlines()
    except OSError:
        return False
    ranges = [(int(first), int(count)) for first, _, count in (line.split() for line in lines)]
    return any(first <= user < first + count for first, count in ranges)


def build_request(
    process_id: int,
    limits: SandboxLimits,
    *,
    folder: Path,
    user: int,
    marker: str,
) -> dict[str, Any]:
    """Assemble what the worker reads first; the runner adds the code and its arguments."""
    machine = os.uname().machine
    filters = {
        name: seccomp_program(
            machine,
            process_id=process_id,
            processes=limits.processes,
            # Threads that are not counted would be limited by nothing but memory.
            threads=name == "counted",
        )
        for name in ("counted", "uncounted")
    }
    return {
        "marker": marker,
        "parent": os.getpid(),
        "user": user,
        "paths": {
            "read": [*_interpreter_folders(), *SHARED_FOLDERS],
            "read_file": SHARED_FILES,
            "device": DEVICES,
            "write": [str(folder)],
        },
        "filters": {name: code.hex() for name, code in filters.items()},
        "processes": limits.processes,
        # The kernel counts threads as processes: with a child allowed, it takes their place.
        "tasks": 1 + (limits.processes or THREADS),
        "limits": {
            "cpu_s": limits.cpu_s,
            "memory": limits.memory_mb * 1024 * 1024,
            "file": limits.file_mb * 1024 * 1024,
            "open_files": limits.open_files,
        },
        "output_bytes": limits.output_bytes,
    }


@functools.cache
def _interpreter_folders() -> list[str]:
    folders = {sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")}
    return sorted(folders)


def installation_paths() -> list[str]:
    """Folders whose names must not be shown to a caller, the longest first."""
    own = {str(HERE), sys.prefix, sys.base_prefix, *_interpreter_folders()}
    return sorted(own - {"/", "/usr"}, key=len, reverse=True)


@functools.cache
def sandbox_layers() -> dict[str, bool]:
    """Tell which layers are active here, by confining a real process once. Blocks some 50 ms."""
    inactive: dict[str, bool] = dict.fromkeys(LAYERS, False)
    if unsupported_reason():
        return inactive
    try:
        answer = _probe()
    except (OSError, ValueError, subprocess.SubprocessError):
        return inactive
    return inactive | {name: bool(answer["layers"].get(name)) for name in LAYERS}


def _probe() -> dict[str, Any]:
    with subprocess.Popen(  # noqa: S603 (a fixed command)
        COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
        start_new_session=True,
    ) as process:
        request = build_request(
            process.pid, SandboxLimits(), folder=HERE, user=private_user(None), marker="probe"
        )
        # The probe runs no code, so it has no folder to write to.
        request["paths"]["write"] = []
        try:
            if process.stdin is None or process.stdout is None:
                raise ValueError("no pipes")
            process.stdin.write(json.dumps(request).encode())
            process.stdin.close()
            line = process.stdout.readline()
        finally:
            process.kill()
    answer: dict[str, Any] = json.loads(line.removeprefix(b"probe "))
    return answer
