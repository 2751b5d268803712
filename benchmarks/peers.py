"""Other libraries that run agents, in a virtual environment of their own."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.context import Context
from benchmarks.processes import ROOT, DidNotAnswer, answer_of, environment, process, tell

FOLDER = ROOT / ".bench" / "venv"
_PYTHON = FOLDER / "bin" / "python"
_INSTALL_S = 1800

_QUIET = {
    "CREWAI_DISABLE_TELEMETRY": "true",
    "CREWAI_DISABLE_TRACKING": "true",
    "CREWAI_TRACING_ENABLED": "false",
    "OTEL_SDK_DISABLED": "true",
    "LANGSMITH_TRACING": "false",
}
"""No peer sends anything anywhere while it is measured."""


class PeerFailed(RuntimeError):
    """A peer could not be measured; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A library to compare with. Its program is `benchmarks/peer_programs/with_<name>.py`."""

    name: str
    title: str
    packages: tuple[str, ...]
    is_bar: bool = False

    @property
    def program(self) -> Path:
        return ROOT / "benchmarks" / "peer_programs" / f"with_{self.name}.py"


PEERS = (
    Peer(name="crewai", title="CrewAI", packages=("crewai",), is_bar=True),
    Peer(name="langgraph", title="LangGraph", packages=("langgraph", "langchain-openai")),
)


def prepare_peers(context: Context) -> set[str]:
    """Install the peers where that is wanted; return the names of those that are missing."""
    missing = {peer.name for peer in PEERS if not _is_installed(peer)}
    if missing and context.with_peers:
        context.say(f"installing {', '.join(sorted(missing))} into {FOLDER.relative_to(ROOT)}")
        _install([peer for peer in PEERS if peer.name in missing])
        missing = {peer.name for peer in PEERS if not _is_installed(peer)}
    return missing


def _is_installed(peer: Peer) -> bool:
    names = [package.replace("-", "_") for package in peer.packages]
    found = [list(FOLDER.glob(f"lib/python*/site-packages/{name}-*.dist-info")) for name in names]
    return _PYTHON.exists() and all(found)


def _install(peers: list[Peer]) -> None:
    if not _PYTHON.exists():
        shutil.rmtree(FOLDER, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(FOLDER)], check=True)
    packages = [package for peer in peers for package in peer.packages]
    pip = [str(_PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *packages], check=True, timeout=_INSTALL_S)


class RunningPeer:
    """A peer's program: it answers a prompt for each line it is given."""

    def __init__(self, peer: Peer, started: subprocess.Popen[str], log: Path) -> None:
        self.title = f"{peer.title} {_version_of(peer)}"
        self._started, self._log = started, log

    @classmethod
    @contextmanager
    def started(cls, peer: Peer, base_url: str, folder: Path) -> Iterator["RunningPeer"]:
        """Run the program of a peer while the block lasts."""
        log = folder / f"{peer.name}.log"
        command = [str(_PYTHON), str(peer.program), base_url]
        env = environment(
            **_QUIET, OPENAI_API_KEY="sk-benchmark", OPENAI_BASE_URL=base_url, HOME=str(folder)
        )
        with process(command, log, env=env, pipes=True) as started:
            yield cls(peer, started, log)

    def answer(self, prompt: str) -> tuple[float, float]:
        """Let the peer answer; return the milliseconds it took and those it computed."""
        try:
            tell(self._started, prompt)
            ms, cpu_ms = answer_of(self._started, self._log)
        except (OSError, DidNotAnswer) as error:
            said = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
            raise PeerFailed(f"its program failed: {(said or ['nothing'])[-1][:300]}") from error
        return ms, cpu_ms


def _version_of(peer: Peer) -> str:
    name = peer.packages[0].replace("-", "_")
    (folder,) = FOLDER.glob(f"lib/python*/site-packages/{name}-*.dist-info")
    return folder.name.removesuffix(".dist-info").rpartition("-")[2]
