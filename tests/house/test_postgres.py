"""The server that the tests use: from each source, shared by processes, gone with its last user."""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import psycopg
import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from tests.support import postgres_binaries, postgres_keeper
from tests.support.postgres import PostgresServer, PostgresUnavailable
from tests.support.postgres_binaries import (
    Account,
    find_machine_binaries,
    find_wheel_binaries,
    server_version,
)
from tests.support.postgres_keeper import STATE

ROOT = Path(__file__).resolve().parents[2]
PRIVATE_SOURCES = ["machine", "wheel"] if any(find_machine_binaries()) else ["wheel"]

USER_PROGRAM = """
import sys
from pathlib import Path
from tests.support.postgres import PostgresServer
server = PostgresServer.start(Path(sys.argv[1]), sources=("machine", "wheel"))
print(server.create_database(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def no_given_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MUSTER_TEST_DATABASE_URL", raising=False)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with PostgresServer.start(sources=("machine", "wheel")) as started:
        yield started


def query(url: str, statement: str) -> object:
    async def run() -> object:
        engine = create_async_engine(url, poolclass=NullPool)
        try:
            async with engine.begin() as connection:
                result = await connection.execute(text(statement))
                return result.scalar() if result.returns_rows else None
        finally:
            await engine.dispose()

    return asyncio.run(run())


def wait_until(condition: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true in time"
        time.sleep(0.02)


def state_of(shared: Path) -> dict[str, object]:
    return json.loads((shared / STATE).read_text(encoding="utf-8"))


@contextlib.contextmanager
def user_of(shared: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that uses the server of a folder; and the database it made."""
    process = subprocess.Popen(
        [sys.executable, "-c", USER_PROGRAM, str(shared)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        assert url
        yield process, url
    finally:
        process.kill()
        process.communicate(timeout=30)


@pytest.mark.parametrize("source", PRIVATE_SOURCES)
def test_each_private_source_serves_and_goes_away(source: str, tmp_path: Path) -> None:
    server = PostgresServer.start(tmp_path, sources=(source,))
    state = state_of(tmp_path)
    process = psutil.Process(int(str(state["server"])))
    database = server.create_database()

    assert server.source == source
    assert query(database, "SELECT 40 + 2") == 42
    assert query(database, "SHOW fsync") == "off"
    assert query(database, "SHOW max_connections") == "200"
    assert query(database, "SELECT lower('ÄÖ') || upper('é')") == "äöÉ"
    assert process.uids().real != 0

    server.stop()
    wait_until(lambda: not process.is_running())
    wait_until(lambda: not Path(str(state["folder"])).exists())


def test_no_source_left_is_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(PostgresUnavailable, match="MUSTER_TEST_DATABASE_URL") as refused:
        PostgresServer.start(tmp_path, sources=("url",))

    assert "Install a server of version 14" in str(refused.value)


def test_a_machine_without_a_server_program_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(postgres_binaries, "_FOLDERS", ())
    monkeypatch.setattr(postgres_binaries, "WHEEL", "no_such_wheel")

    assert postgres_keeper.keep(tmp_path, ["machine", "wheel"], {}, temporary=False) == 1

    answer = json.loads(capsys.readouterr().out)
    assert answer == {"error": "machine: none found; wheel: none found"}


def test_programs_in_the_path_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("postgres", "initdb"):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert next(find_machine_binaries()) == tmp_path.resolve()


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("echo 'postgres (PostgreSQL) 9.6.24'", "is 9, needed is 14"),
        ("echo broken >&2; exit 3", "does not run: broken"),
    ],
)
def test_a_program_that_is_old_or_broken_is_not_used(
    tmp_path: Path, program: str, reason: str
) -> None:
    path = tmp_path / "postgres"
    path.write_text(f"#!/bin/sh\n{program}\n", encoding="utf-8")
    path.chmod(0o755)

    with pytest.raises(PostgresUnavailable, match=reason):
        server_version(Account(None, None), tmp_path)


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    with pytest.raises(PostgresUnavailable, match="no_such_setting"):
        PostgresServer.start(tmp_path, sources=("wheel",), settings={"no_such_setting": "1"})

    assert not (tmp_path / STATE).exists()


def test_settings_can_be_changed(tmp_path: Path) -> None:
    with PostgresServer.start(
        tmp_path, sources=PRIVATE_SOURCES, settings={"fsync": "on", "synchronous_commit": "on"}
    ) as durable:
        assert query(durable.create_database(), "SHOW fsync") == "on"


def test_a_given_server_is_used_and_left_clean(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MUSTER_TEST_DATABASE_URL", server.url)
    count = "SELECT count(*) FROM pg_database WHERE datname LIKE 'muster_test_%'"
    before = query(server.url, count)

    given = PostgresServer.start()
    template = given.ensure_template("empty", lambda url: None)
    kept = given.create_database(template)

    assert given.source == "url"
    assert query(kept, "SELECT 1") == 1
    assert query(server.url, count) == int(str(before)) + 2
    given.stop()
    assert query(server.url, count) == before


def test_a_given_server_that_does_not_answer_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_TEST_DATABASE_URL", "postgresql://nobody:x@127.0.0.1:1/postgres")

    with pytest.raises(PostgresUnavailable, match="does not answer"):
        PostgresServer.start()


def test_databases_are_copies_of_the_template_and_apart(server: PostgresServer) -> None:
    filled: list[str] = []

    def fill(url: str) -> None:
        filled.append(url)
        query(url, "CREATE TABLE things AS SELECT 'first' AS name")

    template = server.ensure_template("things", fill)
    again = server.ensure_template("things", fill)
    one, other = server.create_database(template), server.create_database(template)
    query(one, "DELETE FROM things")

    assert template == again
    assert len(filled) == 1
    assert query(one, "SELECT count(*) FROM things") == 0
    assert query(other, "SELECT name FROM things") == "first"


def test_a_template_that_failed_is_made_anew(server: PostgresServer) -> None:
    def fail(url: str) -> None:
        query(url, "CREATE TABLE half_done (id int)")
        raise RuntimeError("the migration broke")

    with pytest.raises(RuntimeError, match="the migration broke"):
        server.ensure_template("fragile", fail)
    template = server.ensure_template("fragile", lambda url: None)

    count = "SELECT count(*) FROM pg_tables WHERE tablename = 'half_done'"
    assert query(server.create_database(template), count) == 0


def test_dropping_closes_connections_and_minds_the_owner(server: PostgresServer) -> None:
    database = server.create_database()
    plain = make_url(database).set(drivername="postgresql")
    connection = psycopg.connect(plain.render_as_string(hide_password=False))

    server.drop_database(database)

    with pytest.raises(psycopg.OperationalError):
        connection.execute("SELECT 1")
    connection.close()
    with pytest.raises(ValueError, match="not a database that this object created"):
        server.drop_database(server.url)


def test_processes_share_one_server_until_the_last_is_killed(tmp_path: Path) -> None:
    with user_of(tmp_path) as (first, url):
        state = state_of(tmp_path)
        process = psutil.Process(int(str(state["server"])))
        with user_of(tmp_path) as (second, other):
            assert make_url(url).port == make_url(other).port
            assert url != other
            first.send_signal(signal.SIGKILL)
            first.wait(30)
            assert query(other, "SELECT 1") == 1
            second.send_signal(signal.SIGKILL)
            wait_until(lambda: not process.is_running())
            wait_until(lambda: not Path(str(state["folder"])).exists())


def test_a_killed_keeper_takes_the_server_with_it_and_is_replaced(tmp_path: Path) -> None:
    sources = PRIVATE_SOURCES
    with PostgresServer.start(tmp_path, sources=sources):
        state = state_of(tmp_path)
        process = psutil.Process(int(str(state["server"])))
        os.kill(int(str(state["keeper"])), signal.SIGKILL)
        wait_until(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE)
        with PostgresServer.start(tmp_path, sources=sources) as fresh:
            assert query(fresh.create_database(), "SELECT 1") == 1
    Account.choose().run(["rm", "-rf", str(state["folder"])])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can own what others cannot reach")
def test_root_gets_a_reachable_copy_of_the_wheel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = Account.choose()
    folder = account.make_folder()
    direct = find_wheel_binaries(account, folder)
    assert direct is not None
    package = direct.parents[1]
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    for name in (package.name, f"{package.name}.libs"):
        (closed / name).symlink_to(package.with_name(name))
    monkeypatch.syspath_prepend(closed)

    copied = find_wheel_binaries(account, folder)

    assert copied is not None
    assert copied.is_relative_to(folder)
    assert account.run([str(copied / "initdb"), "--version"]).returncode == 0
    account.run(["rm", "-rf", str(folder)])
    assert subprocess.run(["rm", "-rf", str(folder)], check=False).returncode == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another user")
def test_folders_that_the_account_cannot_reach_are_passed_over(tmp_path: Path) -> None:
    account = Account.choose()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)

    folder = account.make_folder((str(closed), str(tmp_path / "missing"), "/tmp"))

    assert folder.parent == Path("/tmp")
    assert list(closed.iterdir()) == []
    folder.rmdir()
    with pytest.raises(PostgresUnavailable, match="No temporary folder"):
        account.make_folder((str(closed),))
