"""Processes that stay: the server, and workers that only execute runs."""

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
from collections.abc import AsyncGenerator, Coroutine, Generator
from pathlib import Path
from typing import Any, TypeVar

import uvicorn

from muster import __version__
from muster.entrypoints.assembly import Muster
from muster.entrypoints.cli.interrupting import Interrupted, interruptible
from muster.entrypoints.cli.local import Installation, at_work, show_first_password, sqlite_path
from muster.entrypoints.cli.schema import bring_up_to_date, require_current
from muster.entrypoints.cli.screen import counted
from muster.entrypoints.cli.terminal import OUT, Refusal, say
from muster.kernel.logging import configure_logging, get_logger
from muster.kernel.settings import Settings
from muster.platform.identity import ensure_superadmin

T = TypeVar("T")

LOCK = "server.lock"
_REQUESTS_GRACE_S = 2
_RUNS_GRACE_S = 3.0
_FIRST_ANSWERS_S = 0.1
"""For those who have waited for the port: beginning to work would take the processor from them."""

logger = get_logger(__name__)


@contextlib.contextmanager
def exclusive(folder: Path, role: str) -> Generator[None]:
    """Hold the data folder: on SQLite one server, or one worker in its place, may use it.

    The lock goes with the process, however that ends; what the file says is for people.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK).open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal(_held(folder, role)) from None
        file.truncate(0)
        file.write(json.dumps({"pid": os.getpid(), "role": role}))
        file.flush()
        yield


def holder(folder: Path) -> dict[str, Any] | None:
    """Return who holds the data folder: its pid and role; None when nobody does."""
    import fcntl

    try:
        with (folder / LOCK).open(encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return dict(json.loads(file.read() or "{}"))
    except (OSError, ValueError):
        return None
    return None


def _held(folder: Path, role: str) -> str:
    other = holder(folder) or {}
    who = f"A {other.get('role', 'server')} (process {other.get('pid', 'unknown')})"
    text = f"{who} uses the data folder {folder.resolve()} already."
    if role == "worker":
        return f"{text} On SQLite it executes the runs itself; workers are for PostgreSQL."
    return f"{text} Stop it first, or give this one another folder with --data-dir."


class Server(uvicorn.Server):
    """Uvicorn, except that a signal ends the serving and not the process: what is assembled around
    it has to be put away.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave the signals to this server until the process ends."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        yield

    async def startup(self, sockets: Any = None) -> None:
        """Begin to accept."""
        await super().startup(sockets)
        self.ready.set()


def serve(settings: Settings, *, example: bool) -> None:
    """Serve until a signal comes.

    Raises:
        UnsafeSettings: The settings would expose the server.
        MasterKeyInvalid: The master key cannot be read, or does not fit the stored secrets.
        Refusal: The port or the data folder is taken.
    """
    settings.refuse_unsafe()
    configure_logging(level=settings.log_level, json=settings.log_json)
    # What it tells is told here in other words; what fails is raised.
    logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL)
    listener = _listen(settings)
    settings = settings.model_copy(update={"port": listener.getsockname()[1]})
    with contextlib.closing(listener), _folder_of(settings, "server"):
        _run(_serve(settings, listener, example=example))


def _folder_of(settings: Settings, role: str) -> contextlib.AbstractContextManager[None]:
    if sqlite_path(settings) is None:
        return contextlib.nullcontext()
    return exclusive(settings.data_dir, role)


def _listen(settings: Settings) -> Any:
    config = uvicorn.Config("", host=settings.host, port=settings.port, log_config=None)
    try:
        return config.bind_socket()
    except SystemExit as stop:
        # Uvicorn ends the process here; the error behind it says why.
        cause = stop.__context__
        reason = cause.strerror if isinstance(cause, OSError) else str(cause)
        raise Refusal(
            f"Cannot listen on {settings.host}:{settings.port}: {reason}. Choose another port "
            "with --port, or end the program that has this one."
        ) from None


def _run(work: Coroutine[Any, Any, T]) -> T:
    with asyncio.Runner(
        loop_factory=uvicorn.Config("", log_config=None).get_loop_factory()
    ) as runner:
        return runner.run(work)


async def _serve(settings: Settings, listener: Any, *, example: bool) -> None:
    await bring_up_to_date(settings)
    engine = "work" if settings.execute_runs else "submit"
    async with Muster(settings, engine=engine).opened() as muster:
        await _announce_recovery(muster)
        password = await ensure_superadmin(muster.database, settings)
        show_first_password(settings, password, console=OUT)
        async with _answering(muster, listener) as serving:
            await asyncio.sleep(_FIRST_ANSWERS_S)
            await muster.begin()
            # What is here now stays: nobody is to look through it for garbage.
            gc.freeze()
            gc.enable()
            _announce(settings)
            loading = asyncio.ensure_future(_load_all(muster))
            showing = asyncio.ensure_future(_show_example(muster, password)) if example else None
            try:
                await serving
            finally:
                loading.cancel()
                await _end(muster, showing)


@contextlib.asynccontextmanager
async def _answering(muster: Muster, listener: Any) -> AsyncGenerator["asyncio.Future[None]"]:
    """Answer requests; yields, once the port is open, what is done when a signal has come."""
    server = Server(_configured(muster))
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    ready = asyncio.ensure_future(server.ready.wait())
    await asyncio.wait({serving, ready}, return_when=asyncio.FIRST_COMPLETED)
    ready.cancel()
    try:
        yield serving
    finally:
        # Done already, unless what was to come beside it has failed.
        server.should_exit = True
        await asyncio.wait({serving})


async def _load_all(muster: Muster) -> None:
    """Import what nobody has asked for yet, a piece at a time, so that nobody waits later."""
    while muster.app.load():  # noqa: ASYNC110 - nothing is waited for: others get their turn
        await asyncio.sleep(0.01)
    gc.freeze()


def _configured(muster: Muster) -> uvicorn.Config:
    return uvicorn.Config(
        muster.app,
        http="httptools",
        ws="auto",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_REQUESTS_GRACE_S,
    )


async def _announce_recovery(muster: Muster) -> None:
    settings = muster.settings
    orphans = (await at_work(muster.database, settings.runs.lease_s)).orphans
    if orphans:
        what = "are cancelled" if settings.on_restart == "cancel" else "go on where they stopped"
        say(f"{counted(len(orphans), 'run')} of a process that is gone: they {what}.", style="cyan")


def _announce(settings: Settings) -> None:
    address = address_of(settings)
    executes = (
        f"executed here, at most {settings.runs.concurrency} at a time"
        if settings.execute_runs
        else "left to workers"
    )
    say(f"Muster {__version__} at {address}", style="bold green")
    say(f"  API documentation  {address}/docs" if settings.docs_enabled else "  no documentation")
    say(f"  data               {settings.data_dir.resolve()}")
    say(f"  runs               {executes}")
    say("  Ctrl-C stops it; runs in flight go on with the next start.")


def address_of(settings: Settings) -> str:
    """Return the address by which this machine reaches the server."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


async def _show_example(muster: Muster, password: str | None) -> None:
    # It brings along what commands do with runs and plans.
    from muster.entrypoints.example import Example

    try:
        await Example(Installation(muster), address_of(muster.settings), password).show()
    except Exception:
        # The server is what was asked for; the example only comes with it.
        logger.exception("example_failed")
        say("The example could not be run; the log says why. The server goes on.", style="red")


async def _end(muster: Muster, showing: "asyncio.Future[None] | None") -> None:
    if showing is not None:
        showing.cancel()
        await asyncio.wait({showing})
    engine = muster.running.engine
    active = len(engine.active()) if engine else 0
    kept = f" {counted(active, 'run')} in flight: kept for the next start." if active else ""
    say(f"Stopping.{kept}")
    if engine is not None:
        await engine.stop(grace_s=_RUNS_GRACE_S)


def work(settings: Settings) -> None:
    """Execute runs until a signal comes, and serve nobody."""
    settings.refuse_unsafe()
    configure_logging(level=settings.log_level, json=settings.log_json)
    with _folder_of(settings, "worker"):
        _run(_work(settings))


async def _work(settings: Settings) -> None:
    path = sqlite_path(settings)
    if path is not None:
        if not path.exists():
            raise Refusal(f"There is no database at {path}. `muster serve` makes it.")
        say(
            "The database is SQLite: `muster serve` executes runs itself and needs no worker. This "
            "one executes what waits; no server can use the folder meanwhile."
        )
    await require_current(settings)
    async with Muster(settings, engine="work").opened() as muster:
        await _announce_recovery(muster)
        await muster.begin()
        say(f"Executing runs, at most {settings.runs.concurrency} at a time. Ctrl-C stops.")
        with contextlib.suppress(Interrupted):
            await interruptible(asyncio.Event().wait())
        await _end(muster, None)
