"""A process that runs one private PostgreSQL server for as long as somebody holds its lock.

Everybody who uses the server holds a shared lock on a file; the system gives it back when a
process ends, however it ends. The keeper waits for the exclusive lock: once it has it, nobody is
left, and the server and its folder go. So a killed test run leaves nothing behind.
"""

import argparse
import ctypes
import fcntl
import json
import locale
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from tests.support.postgres_binaries import (
    Account,
    PostgresUnavailable,
    find_machine_binaries,
    find_wheel_binaries,
    server_version,
)

LOCK = "users.lock"
STATE = "server.json"

START_SECONDS = 60
STOP_SECONDS = 20
_PR_SET_PDEATHSIG = 1

# Small and forgetful: tests never read what a crash of the machine left.
SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "max_wal_size": "256MB",  # the files may be kept in memory
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "unix_socket_directories": "",
    "listen_addresses": "127.0.0.1",
}


def start_server(
    binaries: Path, account: Account, folder: Path, settings: dict[str, str]
) -> tuple[subprocess.Popen[bytes], str]:
    """Make a cluster in the folder and start its server; return the process and its URL."""
    data, password_file, log = folder / "data", folder / "password", folder / "log"
    # A password, since every user of the machine can reach a port of 127.0.0.1. With md5 a
    # connection costs less than with scram, and tests open thousands.
    password = secrets.token_hex(16)
    password_file.write_text(password, encoding="ascii")
    password_file.chmod(0o600)
    if account.user is not None and account.group is not None:
        os.chown(password_file, account.user, account.group)
    made = account.run(
        [
            str(binaries / "initdb"),
            f"--pgdata={data}",
            "--username=postgres",
            "--auth=md5",
            f"--pwfile={password_file}",
            "--encoding=UTF8",
            f"--locale={_locale()}",
            "--no-sync",
        ],
        cwd=folder,
        env=_environment(),
    )
    password_file.unlink()
    if made.returncode:
        raise PostgresUnavailable(f"{binaries}/initdb failed: {made.stderr.strip()[-2000:]}")

    for _ in range(3):
        port = _free_port()
        arguments = {**SETTINGS, **settings, "port": str(port)}
        with log.open("wb") as output:
            server = subprocess.Popen(
                [
                    str(binaries / "postgres"),
                    "-D",
                    str(data),
                    *(
                        part
                        for name, value in arguments.items()
                        for part in ("-c", f"{name}={value}")
                    ),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=folder,
                env=_environment(),
                preexec_fn=_die_with_parent,  # noqa: PLW1509 - this process has one thread
                **account.credentials(),
            )
        if _wait_until_ready(server, data):
            return server, f"postgresql://postgres:{password}@127.0.0.1:{port}/postgres"
    said = log.read_text(encoding="utf-8", errors="replace").strip()[-2000:]
    raise PostgresUnavailable(f"{binaries}/postgres does not start: {said}")


def stop_server(server: subprocess.Popen[bytes]) -> None:
    """Stop a server: politely, then at once, then by force."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        if server.poll() is None:
            server.send_signal(number)
        try:
            server.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            continue
        return


def keep(shared: Path, sources: list[str], settings: dict[str, str], *, temporary: bool) -> int:
    """Start a server, tell where it is, and stop it when its last user is gone."""
    account = Account.choose()
    folder = account.make_folder()
    try:
        server, state = _start_any(sources, account, folder, settings)
    except PostgresUnavailable as reason:
        print(json.dumps({"error": str(reason)}), flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        return 1
    print(json.dumps(state), flush=True)
    with (shared / LOCK).open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        # Whoever comes now waits for the lock, then finds no server and starts one.
        (shared / STATE).unlink(missing_ok=True)
        stop_server(server)
        shutil.rmtree(folder, ignore_errors=True)
        if temporary:
            shutil.rmtree(shared, ignore_errors=True)
    return 0


def _start_any(
    sources: list[str], account: Account, folder: Path, settings: dict[str, str]
) -> tuple[subprocess.Popen[bytes], dict[str, object]]:
    reasons: list[str] = []
    for source, binaries in _candidates(sources, account, folder):
        if binaries is None:
            reasons.append(f"{source}: none found")
            continue
        try:
            version = server_version(account, binaries)
            server, url = start_server(binaries, account, folder, settings)
        except PostgresUnavailable as reason:
            reasons.append(f"{source}: {reason}")
            shutil.rmtree(folder / "data", ignore_errors=True)
            continue
        return server, {
            "url": url,
            "source": source,
            "version": version,
            "folder": str(folder),
            "keeper": os.getpid(),
            "server": server.pid,
        }
    raise PostgresUnavailable("; ".join(reasons))


def _candidates(
    sources: list[str], account: Account, folder: Path
) -> Iterator[tuple[str, Path | None]]:
    if "machine" in sources:
        found = False
        for binaries in find_machine_binaries():
            found = True
            yield "machine", binaries
        if not found:
            yield "machine", None
    if "wheel" in sources:
        yield "wheel", find_wheel_binaries(account, folder)


def _wait_until_ready(server: subprocess.Popen[bytes], data: Path) -> bool:
    """Watch the server's own pid file, whose eighth line becomes `ready`."""
    deadline = time.monotonic() + START_SECONDS
    while server.poll() is None and time.monotonic() < deadline:
        try:
            lines = (data / "postmaster.pid").read_text(encoding="utf-8").splitlines()
        except OSError:
            lines = []
        if len(lines) >= 8 and lines[7].strip() == "ready":
            return True
        time.sleep(0.02)
    stop_server(server)
    return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _locale() -> str:
    """Bytewise order as in SQLite, but letters of every language have upper and lower case."""
    try:
        locale.setlocale(locale.LC_CTYPE, "C.UTF-8")
    except locale.Error:
        return "C"
    return "C.UTF-8"


def _environment() -> dict[str, str]:
    """The environment without what would point the programs at another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")}


def _die_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGQUIT)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--source", action="append", default=[])
    parser.add_argument("--setting", action="append", default=[])
    parser.add_argument("--temporary", action="store_true", help="remove the shared folder, too")
    arguments = parser.parse_args()
    settings = dict(setting.split("=", 1) for setting in arguments.setting)
    return keep(arguments.shared, arguments.source, settings, temporary=arguments.temporary)


if __name__ == "__main__":
    sys.exit(main())
