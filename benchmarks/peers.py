"""Other libraries that run agents, in a virtual environment of their own."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.context import Context
from benchmarks.processes import ROOT, environment

FOLDER = ROOT / ".bench" / "venv"
_PYTHON = FOLDER / "bin" / "python"
_INSTALL_S = 1800
_RUN_S = 600

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
    """A library to compare with. Its program is `benchmarks/peer_programs/<name>.py`."""

    name: str
    title: str
    packages: tuple[str, ...]
    is_bar: bool = False

    @property
    def program(self) -> Path:
        return ROOT / "benchmarks" / "peer_programs" / f"{self.name}.py"


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


def version_of(peer: Peer) -> str:
    """Return the installed release of a peer."""
    name = peer.packages[0].replace("-", "_")
    (folder,) = FOLDER.glob(f"lib/python*/site-packages/{name}-*.dist-info")
    return folder.name.removesuffix(".dist-info").rpartition("-")[2]


def peer_times(peer: Peer, base_url: str, prompt: str, count: int) -> list[float]:
    """Let a peer answer the prompt so many times; return the milliseconds that each took."""
    command = [str(_PYTHON), str(peer.program), base_url, prompt, str(count)]
    env = environment(**_QUIET, OPENAI_API_KEY="sk-benchmark", OPENAI_BASE_URL=base_url)
    try:
        done = subprocess.run(
            command, env=env, cwd=FOLDER, capture_output=True, text=True, timeout=_RUN_S, check=True
        )
    except subprocess.CalledProcessError as error:
        said = str(error.stderr).strip().splitlines() or ["nothing"]
        raise PeerFailed(f"its program failed: {said[-1][:300]}") from error
    except subprocess.TimeoutExpired as error:
        raise PeerFailed(f"its program did not end within {_RUN_S} s") from error
    return [float(value) for value in json.loads(done.stdout.splitlines()[-1])]
