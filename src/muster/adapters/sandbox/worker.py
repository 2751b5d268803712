"""The confined process: takes a request on standard input, locks itself in, runs the tool's code.

It is imported by a bare interpreter without site packages, so it may use the standard library
alone. The parent decides everything (paths, filters, user); this side applies it, tells
which layers the kernel accepted, and refuses to run the code if one that is required is missing.
An answer is one line: the request's marker, a space, a JSON object; a line with the word "started"
comes before it when the code's turn begins. Once the answer is written the process waits to be
killed, which ends its children with it and leaves no exit hooks of the code to run.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import struct
import sys
from collections.abc import Awaitable, Callable
from types import FunctionType, TracebackType

TYPE_CHECKING = False
if TYPE_CHECKING:
    # Not at run time: it would be a tenth of the time this process needs to start.
    from typing import Any

SOURCE_NAME = "<tool>"
MESSAGE_CHARACTERS = 2000
WHOLE_ARGUMENT_NAMES = ("arguments", "args", "params", "parameters", "inputs")

CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWNET = 0x8000000, 0x10000000, 0x40000000
PR_SET_PDEATHSIG, PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS, FILTER_MODE = 1, 22, 38, 2
CAPABILITY_VERSION = 0x20080522

LANDLOCK_CREATE, LANDLOCK_ADD, LANDLOCK_RESTRICT = 444, 445, 446
LANDLOCK_VERSION_FLAG, LANDLOCK_PATH_BENEATH = 1, 1
READ_FILE, READ_DIRECTORY, WRITE_FILE = 1 << 2, 1 << 3, 1 << 1
# Write, read, list, remove, make folders, files and symbolic links; no devices, sockets or pipes.
WORKSPACE_RIGHTS = 0b1_0001_1011_1110
# The bits each version of the interface knows: basic, moving, truncating, device control.
FILE_RIGHTS = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}
FIRST_WITH_MOVING, FIRST_WITH_TRUNCATING, FIRST_WITH_NETWORK, FIRST_WITH_SCOPES = 2, 3, 4, 6
MOVING, TRUNCATING = 1 << 13, 1 << 14


def main() -> None:  # pragma: no cover (runs in the confined process, where nothing can measure it)
    request: dict[str, Any] = json.loads(sys.stdin.buffer.read())
    channel = os.dup(1)
    os.set_inheritable(channel, False)
    os.dup2(2, 1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    marker = request["marker"].encode() + b" "
    out_of_memory = marker + b'{"error": {"kind": "memory"}}\n'
    try:
        answer = marker + _answer(request, channel, marker) + b"\n"
    except MemoryError:
        answer = out_of_memory
    while answer:
        answer = answer[os.write(channel, answer) :]
    while True:
        signal.pause()


def _answer(  # pragma: no cover
    request: dict[str, Any], channel: int, marker: bytes
) -> bytes:
    try:
        layers, refusal = confine(request)
    except (AttributeError, OSError, ValueError):
        layers, refusal = {}, "confinement"
    if refusal or "source" not in request:
        return json.dumps({"layers": layers, "refusal": refusal}).encode()
    os.environ.clear()
    os.write(channel, marker + b"started\n")
    return execute(request["source"], request["arguments"], request["output_bytes"])


# --- The tool's code ---


def execute(source: str, arguments: dict[str, Any], output_bytes: int) -> bytes:
    """Run the code and encode what it returned, or how it failed, as one JSON object."""
    try:
        namespace: dict[str, Any] = {"__name__": "tool"}
        exec(compile(source, SOURCE_NAME, "exec", dont_inherit=True), namespace)  # noqa: S102
        value = _call(namespace["run"], arguments)
    except BaseException as error:  # noqa: BLE001 (SystemExit is an outcome too)
        return json.dumps({"error": describe(error)}).encode()
    try:
        encoded = json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        failure = {"kind": "not_json", "message": _text(error)}
        return json.dumps({"error": failure}).encode()
    if len(encoded) > output_bytes:
        return b'{"error": {"kind": "too_large"}}'
    return b'{"value": ' + encoded.encode() + b"}"


def _call(function: Callable[..., Any], arguments: dict[str, Any]) -> object:
    value = function(arguments) if _takes_whole(function) else function(**arguments)
    if isinstance(value, Awaitable):
        import asyncio

        async def settle(awaitable: Awaitable[Any]) -> object:
            return await awaitable

        # The annotation of `isinstance` loses what is awaited; any value is fine here.
        return asyncio.run(settle(value))  # pyright: ignore[reportUnknownArgumentType]
    return value


def _takes_whole(function: Callable[..., Any]) -> bool:
    if not isinstance(function, FunctionType):
        return False
    code = function.__code__
    only_one = code.co_argcount == 1 and code.co_kwonlyargcount == 0 and not code.co_flags & 0x0C
    name = code.co_varnames[0] if code.co_varnames else ""
    annotation: object = function.__annotations__.get(name, dict)
    text = annotation if isinstance(annotation, str) else getattr(annotation, "__name__", "")
    return only_one and name in WHOLE_ARGUMENT_NAMES and text.split("[")[0].lower() == "dict"


def describe(error: BaseException) -> dict[str, Any]:
    """Say how the code failed: kind, type, message, and the line of its own source."""
    line = error.lineno if isinstance(error, SyntaxError) else _line(error.__traceback__)
    # Frames keep the data alive that filled the memory; without them the answer has room.
    error.__traceback__ = None
    kind = "raised"
    if isinstance(error, MemoryError):
        kind = "memory"
    elif _is_forbidden(error):
        kind = "forbidden"
    return {"kind": kind, "type": type(error).__name__, "message": _text(error), "line": line}


def _line(traceback: TracebackType | None) -> int | None:
    line = None
    while traceback is not None:
        if traceback.tb_frame.f_code.co_filename == SOURCE_NAME:
            line = traceback.tb_lineno
        traceback = traceback.tb_next
    return line


def _is_forbidden(error: BaseException) -> bool:
    """Whether a refusal of the kernel is the error or lies behind it."""
    seen: list[object] = []
    pending: list[object] = [error]
    while pending:
        current = pending.pop()
        if not isinstance(current, BaseException) or current in seen:
            continue
        seen.append(current)
        if isinstance(current, PermissionError) and current.errno is not None:
            return True
        if type(current).__name__ in {"gaierror", "herror"}:
            return True
        pending += [current.__cause__, current.__context__, getattr(current, "reason", None)]
    return False


def _text(error: BaseException) -> str:
    try:
        return str(error)[:MESSAGE_CHARACTERS]
    except Exception:  # noqa: BLE001 (the code's own exception class may fail here as well)
        return ""


# --- Confinement ---


def confine(  # pragma: no cover (cannot be undone, so never in a process that is measured)
    request: dict[str, Any],
) -> tuple[dict[str, bool], str | None]:
    """Apply every layer; return which are active and, if the code must not run, why."""
    libc = ctypes.CDLL(None, use_errno=True)
    own_user = os.geteuid()
    library = [(entry, os.open(entry, os.O_PATH)) for entry in sys.path if os.path.isdir(entry)]  # noqa: PTH112
    rules = _open_rules(request["paths"])
    network = _enter_namespaces(libc, own_user)
    namespaced = network and own_user != 0
    layers = {"network_namespace": network, "resource_limits": True}
    layers["private_user"] = own_user == 0 and _become(request["user"])
    _drop_capabilities(libc)
    counted = layers["private_user"] or namespaced
    _limit_resources(request["limits"], request["tasks"], counted=counted)
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    unprivileged = libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0
    _reach_library(library)
    layers["landlock"] = unprivileged and _restrict_files(libc, rules)
    program = request["filters"]["counted" if counted else "uncounted"]
    layers["seccomp"] = unprivileged and _filter_calls(libc, bytes.fromhex(program))
    return layers, _refusal(layers, counted=counted, request=request)


def _refusal(  # pragma: no cover
    layers: dict[str, bool], *, counted: bool, request: dict[str, Any]
) -> str | None:
    if os.getppid() != request["parent"]:
        return "parent"
    if not layers["seccomp"]:
        return "seccomp"
    if not (layers["landlock"] or layers["private_user"]):
        return "files"
    if request["processes"] and not counted:
        return "processes"
    return None


def _enter_namespaces(libc: ctypes.CDLL, own_user: int) -> bool:  # pragma: no cover
    if own_user == 0:
        return libc.unshare(CLONE_NEWNET | CLONE_NEWIPC) == 0
    # Some systems let a process make a user namespace but not map its user there, and there is no
    # way back: a child tries first.
    child = os.fork()
    if child == 0:
        os._exit(0 if _enter_user_namespace(libc, own_user) else 1)
    return os.waitpid(child, 0)[1] == 0 and _enter_user_namespace(libc, own_user)


def _enter_user_namespace(libc: ctypes.CDLL, own_user: int) -> bool:  # pragma: no cover
    group = os.getegid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWIPC) != 0:
        return False
    # Unmapped, the process could create no file of its own.
    try:
        for name, text in (
            ("setgroups", "deny"),
            ("uid_map", f"{own_user} {own_user} 1"),
            ("gid_map", f"{group} {group} 1"),
        ):
            with open(f"/proc/self/{name}", "w", encoding="ascii") as file:  # noqa: PTH123
                file.write(text)
    except OSError:
        return False
    return True


def _become(user: int) -> bool:  # pragma: no cover
    try:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
    except OSError:
        return False
    return True


def _drop_capabilities(libc: ctypes.CDLL) -> None:  # pragma: no cover
    header = struct.pack("=Ii", CAPABILITY_VERSION, 0)
    libc.capset(header, bytes(24))


def _limit_resources(  # pragma: no cover
    limits: dict[str, int], tasks: int, *, counted: bool
) -> None:
    _lower(resource.RLIMIT_CPU, limits["cpu_s"] + 1)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    # The soft limit ends the process with a signal that tells why, the hard one a second later.
    resource.setrlimit(resource.RLIMIT_CPU, (min(limits["cpu_s"], hard), hard))
    for name, value in (
        (resource.RLIMIT_AS, limits["memory"]),
        (resource.RLIMIT_FSIZE, limits["file"]),
        (resource.RLIMIT_NOFILE, limits["open_files"]),
        (resource.RLIMIT_CORE, 0),
    ):
        _lower(name, value)
    if counted:
        # A user or namespace of its own is what makes this count only the run's processes.
        _lower(resource.RLIMIT_NPROC, tasks)


def _lower(name: int, value: int) -> None:  # pragma: no cover
    """Set a limit, or keep the server's own where that is stricter: it cannot be raised."""
    _, hard = resource.getrlimit(name)
    value = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(name, (value, value))


def _reach_library(library: list[tuple[str, int]]) -> None:  # pragma: no cover
    """Reach the standard library by descriptor if the new user may not walk the path to it."""
    for path, descriptor in library:
        if os.access(path, os.R_OK | os.X_OK):
            os.close(descriptor)
            continue
        reachable = f"/proc/self/fd/{descriptor}"
        sys.path[sys.path.index(path)] = reachable
        for module in list(sys.modules.values()):
            folders = getattr(module, "__path__", None)
            if isinstance(folders, list):
                folders[:] = [str(folder).replace(path, reachable, 1) for folder in folders]  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    sys.path_importer_cache.clear()


def _open_rules(paths: dict[str, list[str]]) -> list[tuple[str, int]]:  # pragma: no cover
    """Open what Landlock shall allow while every path can still be walked."""
    return [
        (access, os.open(path, os.O_PATH))
        for access, entries in paths.items()
        for path in entries
        if os.path.exists(path)  # noqa: PTH110
    ]


def _restrict_files(  # pragma: no cover
    libc: ctypes.CDLL, rules: list[tuple[str, int]]
) -> bool:
    version = libc.syscall(LANDLOCK_CREATE, None, 0, LANDLOCK_VERSION_FLAG)
    if version < 1:
        return False
    handled = FILE_RIGHTS[min(version, max(FILE_RIGHTS))]
    workspace = WORKSPACE_RIGHTS
    workspace |= MOVING if version >= FIRST_WITH_MOVING else 0
    workspace |= TRUNCATING if version >= FIRST_WITH_TRUNCATING else 0
    fields = [handled]
    if version >= FIRST_WITH_NETWORK:
        fields.append(0b11)  # Binding and connecting TCP sockets, with no rule that allows a port.
    if version >= FIRST_WITH_SCOPES:
        fields.append(0b11)  # Abstract local sockets and signals, both within the sandbox only.
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = libc.syscall(LANDLOCK_CREATE, attributes, len(attributes), 0)
    rights = {
        "read": READ_FILE | READ_DIRECTORY,
        "read_file": READ_FILE,
        "device": READ_FILE | WRITE_FILE,
        "write": workspace,
    }
    done = ruleset >= 0
    for access, descriptor in rules:
        rule = struct.pack("=Qi", rights[access], descriptor)
        done &= libc.syscall(LANDLOCK_ADD, ruleset, LANDLOCK_PATH_BENEATH, rule, 0) == 0
        os.close(descriptor)
    done = done and libc.syscall(LANDLOCK_RESTRICT, ruleset, 0) == 0
    if ruleset >= 0:
        os.close(ruleset)
    return done


def _filter_calls(libc: ctypes.CDLL, program: bytes) -> bool:  # pragma: no cover
    instructions = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // 8, ctypes.addressof(instructions))
    if not program:
        return False
    return libc.prctl(PR_SET_SECCOMP, FILTER_MODE, header, 0, 0) == 0
