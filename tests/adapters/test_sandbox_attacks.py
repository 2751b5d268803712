"""Hostile code meets each layer of the sandbox, as a root server, another one, and old kernels."""

import asyncio
import json
import os
import signal
import socket
import sys
import tempfile
import textwrap
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from muster.adapters.sandbox import (
    SandboxFailed,
    SandboxForbidden,
    SandboxLimits,
    SandboxTimeout,
    run_python,
    sandbox_layers,
)

pytestmark = pytest.mark.anyio

SUBJECT = Path(__file__).with_name("sandbox_subject.py")
UNPRIVILEGED_USER = 54_321

# Calls the kernel as a C program would, past every check of the interpreter; returns the errno.
KERNEL = """
import ctypes, errno, os, sys
libc = ctypes.CDLL(None, use_errno=True)
ARM = os.uname().machine == "aarch64"
def call(x86, arm, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(arm if ARM else x86, *arguments)
    return errno.errorcode[ctypes.get_errno()] if result == -1 else "done"
"""


async def run(source: str, **limits: Any) -> Any:
    full = SandboxLimits(**({"wall_s": 60, "cpu_s": 60} | limits))
    return (await run_python(source, {}, limits=full)).value


async def forbidden(source: str, **limits: Any) -> SandboxForbidden:
    with pytest.raises(SandboxFailed) as caught:
        await run(source, **limits)
    assert type(caught.value) is SandboxForbidden, caught.value.detail
    assert caught.value.code == "tool_code_forbidden"
    return caught.value


@asynccontextmanager
async def listener() -> AsyncIterator[tuple[int, list[object]]]:
    seen: list[object] = []

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(writer.get_extra_info("peername"))
        writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1], seen


async def ask_subject(
    folder: Path, *runs: dict[str, Any], user: int | None = None, deny: tuple[str, ...] = ()
) -> tuple[dict[str, bool], list[dict[str, Any]]]:
    """Run code in the sandbox of a server that is another user or lacks kernel features."""
    with_time = [run | {"limits": {"wall_s": 60} | run.get("limits", {})} for run in runs]
    request = {"user": user, "deny": deny, "folder": str(folder), "runs": with_time}
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(SUBJECT), json.dumps(request), stdout=asyncio.subprocess.PIPE
    )
    output, _ = await asyncio.wait_for(process.communicate(), 120)
    assert process.returncode == 0
    answer = json.loads(output)
    return answer["layers"], answer["outcomes"]


# --- The network ---


@pytest.mark.parametrize(
    "attempt",
    [
        "socket.create_connection(('127.0.0.1', {port}))",
        "socket.socket(socket.AF_INET6, socket.SOCK_STREAM)",
        "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', {port}))",
        "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)",
        "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)",
        "socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)",
        "socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)",
        "urllib.request.urlopen('http://127.0.0.1:{port}/')",
        "asyncio.run(asyncio.open_connection('127.0.0.1', {port}))",
        "socket.getaddrinfo('example.com', 80)",
        "socket.gethostbyname('example.com')",
    ],
)
async def test_no_network(attempt: str) -> None:
    async with listener() as (port, seen):
        source = f"import asyncio, socket, urllib.request\ndef run(): {attempt.format(port=port)}"
        await forbidden(source)
        await asyncio.sleep(0)
        assert seen == []


async def test_no_network_by_the_kernel_interface() -> None:
    source = f"""{KERNEL}
def run():
    import socket
    left, right = socket.socketpair()
    left.send(b"works")
    address = ctypes.create_string_buffer(bytes([2, 0, 0, 80, 127, 0, 0, 1]) + bytes(8))
    return [
        right.recv(5).decode(),
        call(41, 198, 2, 1, 0),
        call(42, 203, left.fileno(), address, 16),
        call(44, 206, left.fileno(), b"x", 1, 0, address, 16),
        call(46, 211, left.fileno(), ctypes.create_string_buffer(64), 0),
        call(49, 200, left.fileno(), address, 16),
        call(425, 425, 8, ctypes.create_string_buffer(256)),
        call(2 ** 30 + 41, 9999, 2, 1, 0),
    ]
"""
    assert await run(source) == ["works", *["EPERM"] * 5, "ENOSYS", "ENOSYS"]


async def test_own_network_namespace() -> None:
    inside = await run("import os\ndef run(): return os.readlink('/proc/self/ns/net')")
    assert (inside != str(Path("/proc/self/ns/net").readlink())) is sandbox_layers()[
        "network_namespace"
    ]


# --- Files ---


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder of the server that every user may walk to and list."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.parametrize(
    "attempt",
    [
        "open('{secret}').read()",
        "open('{secret}', 'w')",
        "open('{folder}/new', 'w')",
        "os.listdir('{folder}')",
        "os.unlink('{secret}')",
        "os.truncate('{secret}', 0)",
        "os.open('{secret}', os.O_RDONLY | os.O_TRUNC)",
        "os.link('{secret}', 'linked')",
        "os.symlink('{secret}', 'linked') or open('linked').read()",
        "os.chown('{secret}', os.getuid(), os.getgid())",
        "os.rename('{secret}', 'moved')",
        "os.mkfifo('pipe')",
        "os.mknod('device', 0o20600, 259)",
        "open('/proc/' + str(os.getppid()) + '/environ').read()",
        "open('/proc/' + str(os.getppid()) + '/mem', 'rb').read(1)",
    ],
)
async def test_no_files_outside(attempt: str, open_folder: Path) -> None:
    secret = open_folder / "secret"
    secret.write_text("secret")
    # Readable for everyone, as a careless data folder would be, or else private to the server.
    secret.chmod(0o644 if sandbox_layers()["landlock"] else 0o600)
    line = attempt.format(secret=secret, folder=open_folder)
    await forbidden(f"import os\ndef run(): return {line}")
    assert secret.read_text() == "secret"
    assert [entry.name for entry in open_folder.iterdir()] == ["secret"]


async def test_modes_and_times_outside_stay(open_folder: Path) -> None:
    secret = open_folder / "secret"
    secret.touch()
    before = secret.stat()
    lines = f"os.chmod({str(secret)!r}, 0o777); os.utime({str(secret)!r}, (1, 1))"
    await run(f"import os\ndef run():\n    try: {lines}\n    except OSError: pass")
    after = secret.stat()
    assert (before.st_mode, before.st_mtime_ns) == (after.st_mode, after.st_mtime_ns)


async def test_system_files() -> None:
    source = (
        "def run():\n    try: return open('/etc/passwd').read(4)\n    except OSError: return None"
    )
    assert (await run(source) is None) is sandbox_layers()["landlock"]


async def test_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_SECRET", "leaked")
    source = """
import ctypes, os
def run():
    ctypes.CDLL(None).getenv.restype = ctypes.c_char_p
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_char_p
    return [dict(os.environ), libc.getenv(b"MUSTER_SECRET"), libc.getenv(b"PATH")]
"""
    assert await run(source) == [{}, None, None]


async def test_no_inherited_descriptors(tmp_path: Path) -> None:
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        source = """
import os
def run():
    found = []
    for descriptor in range(100):
        try:
            found.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        except OSError:
            pass
    return found
"""
        found = await run(source)
    allowed = ("pipe:", "/dev/null", "socket:", *(path for path in sys.path if path))
    assert [name for name in found if not name.startswith((*allowed, sys.base_prefix))] == []


# --- Processes ---


@pytest.mark.parametrize(
    "attempt",
    [
        "os.fork()",
        "os.system('true') and os.posix_spawn('/bin/true', ['true'], {})",
        "subprocess.run(['/bin/true'])",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 9)",
        "os.kill(-1, 9)",
        "os.kill(0, 9)",
        "os.setsid()",
        "os.setpgid(0, 0)",
        "os.setuid(0)",
        "os.setpriority(os.PRIO_PROCESS, os.getppid(), 19)",
        "os.sched_setaffinity(os.getppid(), [0])",
        "resource.prlimit(os.getppid(), resource.RLIMIT_CPU, (1, 1))",
        "os.pidfd_open(os.getppid())",
        "os.memfd_create('hidden')",
        "os.chroot('.')",
    ],
)
async def test_no_processes_and_no_reach_to_others(attempt: str) -> None:
    source = f"import os, resource, subprocess\ndef run(): return {attempt}"
    await forbidden(source)


async def test_no_kernel_interfaces() -> None:
    source = f"""{KERNEL}
def run():
    parent = os.getppid()
    buffer = ctypes.create_string_buffer(4096)
    return {{
        "ptrace": call(101, 117, 16, parent, 0, 0),
        "process_vm_readv": call(310, 270, parent, buffer, 1, buffer, 1, 0),
        "unshare": call(272, 97, 0x10000000),
        "clone": call(56, 220, 0x10000000 | 17, 0, 0, 0, 0),
        "clone3": call(435, 435, buffer, 88),
        "tgkill": call(234, 131, parent, parent, 9),
        "tkill": call(200, 130, parent, 9),
        "mount": call(165, 40, b"none", b".", b"tmpfs", 0, 0),
        "bpf": call(321, 280, 0, buffer, 64),
        "keyctl": call(250, 219, 0, 0, 0, 0, 0),
        "shmget": call(29, 194, 0, 4096, 0o1600),
        "prctl": call(157, 167, 1, 0, 0, 0, 0),
        "open_by_handle_at": call(304, 265, -100, buffer, 0),
        "execveat": call(322, 281, -100, b"/bin/true", 0, 0, 0),
    }}
"""
    refused = await run(source)
    assert refused.pop("clone3") == "ENOSYS"
    assert set(refused.values()) == {"EPERM"}, refused


async def test_no_privileges() -> None:
    source = """
import os
def run():
    lines = open("/proc/self/status").read() if os.access("/proc/self/status", 0) else ""
    return lines
"""
    if sandbox_layers()["landlock"]:
        await forbidden(source)
    inside = await run(
        "import os\ndef run(): return [os.getresuid(), os.getresgid(), os.getgroups()]"
    )
    if sandbox_layers()["private_user"]:
        users, groups, more = inside
        assert len({*users, *groups}) == 1
        assert users[0] > 60_000
        assert more == []


async def test_one_child_where_allowed_and_no_bomb() -> None:
    source = """
import os, time
def run():
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.write(writer, b"child")
        time.sleep(100)
    refused = 0
    for _ in range(50):
        try:
            if os.fork() == 0:
                time.sleep(100)
        except BlockingIOError:
            refused += 1
    return [os.read(reader, 5).decode(), refused, os.getpid()]
"""
    word, refused, process_id = await run(source, processes=1)
    assert (word, refused) == ("child", 50)
    with pytest.raises(ProcessLookupError):
        await wait_for_group(process_id)


@pytest.mark.parametrize("ending", ["os._exit(0)", "time.sleep(100)"])
async def test_children_end_with_the_run(ending: str) -> None:
    source = f"""
import os, time
def run():
    print(os.getpid())
    if os.fork() == 0:
        time.sleep(100)
    {ending}
"""
    with pytest.raises(SandboxTimeout) as caught:
        await run(source, processes=1, wall_s=2)
    with pytest.raises(ProcessLookupError):
        await wait_for_group(int(caught.value.details["stdout"]))


async def wait_for_group(process_id: int) -> None:
    """Look for a process group until it is gone, which raises `ProcessLookupError`."""
    async with asyncio.timeout(5):
        while True:
            os.killpg(process_id, 0)
            await asyncio.sleep(0.01)


async def test_threads_are_few() -> None:
    source = """
import threading, time
def run():
    started = 0
    try:
        while started < 1000:
            threading.Thread(target=time.sleep, args=(100,), daemon=True).start()
            started += 1
    except RuntimeError:
        return started
"""
    assert await run(source, memory_mb=2048) == 8


async def test_it_dies_with_its_server() -> None:
    program = textwrap.dedent("""
        import asyncio, pathlib, sys
        from muster.adapters.sandbox import run_python
        source = "import os, time\\ndef run():\\n open('pid', 'w').write(str(os.getpid()))\\n"
        source += " os.rename('pid', 'ready')\\n time.sleep(100)"
        asyncio.run(run_python(source, {}, workspace=pathlib.Path(sys.argv[1])))
    """)
    with tempfile.TemporaryDirectory() as folder:
        server = await asyncio.create_subprocess_exec(sys.executable, "-c", program, folder)
        ready = Path(folder) / "ready"
        async with asyncio.timeout(30):
            while not ready.exists():
                await asyncio.sleep(0.01)
        process_id = int(ready.read_text())
        server.send_signal(signal.SIGKILL)
        await server.wait()
        async with asyncio.timeout(5):
            while is_running(process_id):
                await asyncio.sleep(0.01)


def is_running(process_id: int) -> bool:
    """An orphan's remains wait for whatever reaps orphans on this machine."""
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


async def test_layers_of_this_machine() -> None:
    layers = sandbox_layers()
    assert set(layers) == {
        "seccomp",
        "landlock",
        "network_namespace",
        "private_user",
        "resource_limits",
    }
    assert layers["seccomp"]
    assert layers["resource_limits"]
    assert layers["private_user"] <= (os.geteuid() == 0)


# --- Servers that can do less ---

PROBES = (
    {"source": "def run(): return 'works'"},
    {"source": "import socket\ndef run(): socket.socket()"},
    {"source": "import os\ndef run(): return open(f'/proc/{os.getppid()}/environ').read()"},
    {"source": "import os\ndef run(): os.kill(os.getppid(), 9)"},
    {"source": "import os\ndef run(): open('f', 'w').write('x'); return open('f').read()"},
    {
        "source": "import os\ndef run(): return os.fork() and 'forked' or os._exit(0)",
        "limits": {"processes": 1},
    },
    {"source": "import threading\ndef run(): threading.Thread(target=print).start()"},
)


def summary(outcomes: list[dict[str, Any]]) -> list[Any]:
    return [outcome.get("code", outcome.get("value")) for outcome in outcomes]


FORBIDDEN = "tool_code_forbidden"


async def test_server_that_is_not_root(open_folder: Path) -> None:
    layers, outcomes = await ask_subject(open_folder, *PROBES, user=UNPRIVILEGED_USER)
    assert not layers["private_user"]
    assert layers["seccomp"]
    assert layers["landlock"] == sandbox_layers()["landlock"]
    if not layers["landlock"]:
        assert set(summary(outcomes)) == {"sandbox_unavailable"}
        return
    assert summary(outcomes)[:5] == ["works", FORBIDDEN, FORBIDDEN, FORBIDDEN, "x"]
    counted = ["forked", None] if layers["network_namespace"] else ["sandbox_unavailable"]
    assert summary(outcomes)[5:][: len(counted)] == counted


async def test_without_landlock_a_private_user_hides_files(open_folder: Path) -> None:
    layers, outcomes = await ask_subject(open_folder, *PROBES, deny=("landlock",))
    assert not layers["landlock"]
    if layers["private_user"]:
        expected = ["works", FORBIDDEN, FORBIDDEN, FORBIDDEN, "x", "forked", None]
        assert summary(outcomes) == expected
    else:
        assert set(summary(outcomes)) == {"sandbox_unavailable"}


async def test_without_anything_that_hides_files_it_is_refused(open_folder: Path) -> None:
    layers, outcomes = await ask_subject(
        open_folder, PROBES[0], user=UNPRIVILEGED_USER, deny=("landlock",)
    )
    assert not layers["landlock"]
    assert summary(outcomes) == ["sandbox_unavailable"]
    assert "Landlock" in outcomes[0]["detail"]


async def test_without_namespaces_nothing_uncounted_may_start(open_folder: Path) -> None:
    layers, outcomes = await ask_subject(
        open_folder, *PROBES, user=UNPRIVILEGED_USER, deny=("namespaces",)
    )
    assert not layers["network_namespace"]
    if layers["landlock"]:
        assert summary(outcomes)[:5] == ["works", FORBIDDEN, FORBIDDEN, FORBIDDEN, "x"]
        assert summary(outcomes)[5:] == ["sandbox_unavailable", "tool_code_failed"]
        assert "processes to 0" in outcomes[5]["detail"]
        assert outcomes[6]["exception"] == "RuntimeError"
    else:
        assert set(summary(outcomes)) == {"sandbox_unavailable"}


async def test_without_a_call_filter_it_is_refused(open_folder: Path) -> None:
    layers, outcomes = await ask_subject(open_folder, PROBES[0], deny=("seccomp",))
    assert not layers["seccomp"]
    assert summary(outcomes) == ["sandbox_unavailable"]
    assert "seccomp" in outcomes[0]["detail"]


async def test_abstract_sockets_of_the_server_are_out_of_reach() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind("\0muster-sandbox-test")
        server.listen()
        server.setblocking(False)
        await forbidden(
            "import socket\ndef run():\n"
            "    socket.socket(socket.AF_UNIX).connect('\\0muster-sandbox-test')"
        )
        with pytest.raises(BlockingIOError):
            server.accept()
