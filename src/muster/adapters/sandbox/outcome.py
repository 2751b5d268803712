"""Turns what came out of the worker into a result or the error that says what went wrong."""

import json
import signal
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from muster.adapters.sandbox.confinement import REFUSALS, installation_paths
from muster.adapters.sandbox.errors import (
    SandboxFailed,
    SandboxFilesExceeded,
    SandboxForbidden,
    SandboxMemoryExceeded,
    SandboxTimeout,
    SandboxUnavailable,
)
from muster.adapters.sandbox.limits import SandboxLimits

TYPE_CHARACTERS = 200
# Real-time signals have numbers only.
_SIGNAL_NAMES: dict[int, str] = {entry.value: entry.name for entry in signal.Signals}


@dataclass(frozen=True, slots=True)
class SandboxResult:
    """What a run returned.

    Attributes:
        value: The JSON value that `run` returned.
        stdout: What the code printed, to either stream, up to the limit.
        stdout_truncated: Whether it printed more than that.
        duration_ms: Wall time of the whole run, the start of the process included.
    """

    value: Any
    stdout: str
    stdout_truncated: bool
    duration_ms: int


@dataclass(slots=True)
class Ending:
    """Everything the runner saw of one process.

    `answer` is the worker's line without its marker, or None if it ended without one, by
    `exit_status` (negative: the signal), perhaps before the code had `started`, or because the
    runner stopped it for `stopped_for`.
    """

    limits: SandboxLimits
    answer: bytes | None = None
    exit_status: int | None = None
    started: bool = True
    stopped_for: str | None = None
    stdout: str = ""
    stdout_truncated: bool = False
    duration_ms: int = 0


def result_of(ending: Ending) -> SandboxResult:
    """Return the result, or raise the error that the ending amounts to."""
    if ending.stopped_for is not None:
        _raise_stopped(ending, ending.stopped_for)
    if not ending.started:
        raise SandboxUnavailable(
            "The process for the code ended before it began. Ask `muster doctor` which layers of"
            " the sandbox work on this machine."
        )
    if ending.answer is None:
        _raise_ended(ending)
    answer = _decode(ending)
    if answer.get("refusal"):
        raise SandboxUnavailable(REFUSALS.get(str(answer["refusal"])))
    if "error" in answer:
        error = cast("object", answer["error"])
        _raise_failure(ending, cast("dict[str, Any]", error) if isinstance(error, dict) else {})
    if "value" not in answer:
        raise _failed(ending, "The code ended without a result.")
    return SandboxResult(
        value=answer["value"],
        stdout=ending.stdout,
        stdout_truncated=ending.stdout_truncated,
        duration_ms=ending.duration_ms,
    )


def _decode(ending: Ending) -> dict[str, Any]:
    """Read the answer as distrustfully as a request: the code may have written it itself."""
    try:
        answer = json.loads(ending.answer or b"")
        # Refuses what no store or client could take: infinities and lone surrogates.
        json.dumps(answer, allow_nan=False, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise _failed(
            ending, "run() returned text that is not valid Unicode, or too deeply nested."
        ) from None
    return cast("dict[str, Any]", answer) if isinstance(answer, dict) else {}


def _raise_stopped(ending: Ending, reason: str) -> NoReturn:
    limits = ending.limits
    if reason == "wall":
        raise SandboxTimeout(
            f"The code did not finish within {limits.wall_s:g} seconds. Do less in one call or"
            " raise the tool's time limit.",
            details=_details(ending),
        )
    if reason == "files":
        raise SandboxFilesExceeded(
            f"The code's files hold more than {limits.total_file_bytes // 1024**2} MB together,"
            " are too many, or lie in folders it made unreadable.",
            details=_details(ending),
        )
    raise _failed(ending, _too_large(limits))


def _raise_ended(ending: Ending) -> NoReturn:
    limits = ending.limits
    status = ending.exit_status or 0
    ended_by = -status if status < 0 else None
    spent = ending.duration_ms >= limits.cpu_s * 1000
    if ended_by == signal.SIGXCPU or (ended_by == signal.SIGKILL and spent):
        raise SandboxTimeout(
            f"The code used more than {limits.cpu_s} seconds of processor time. Do less in one"
            " call or raise the tool's limit.",
            details=_details(ending),
        )
    if ended_by == signal.SIGKILL:
        raise SandboxMemoryExceeded(
            "The machine ran out of memory and ended the code.", details=_details(ending)
        )
    if ended_by is not None:
        name = _SIGNAL_NAMES.get(ended_by, str(ended_by))
        raise _failed(ending, f"The code ended its process by signal {name} and gave no result.")
    raise _failed(ending, f"The code ended its process with status {status} and gave no result.")


def _raise_failure(ending: Ending, failure: dict[str, Any]) -> NoReturn:
    limits, kind = ending.limits, failure.get("kind")
    if kind == "memory":
        raise SandboxMemoryExceeded(
            f"The code needs more than {limits.memory_mb} MB. Work on less at a time or raise the"
            " tool's memory limit.",
            details=_details(ending, failure),
        )
    if kind == "too_large":
        raise _failed(ending, _too_large(limits))
    if kind == "not_json":
        raise _failed(
            ending,
            f"run() returned something that is not JSON: {_visible(failure.get('message'))}."
            " Return text, numbers, booleans, lists, dicts with text keys, or None.",
        )
    what = _visible(failure.get("type"), TYPE_CHARACTERS) or "Exception"
    message = _visible(failure.get("message"))
    line = failure.get("line")
    where = f" (line {line})" if isinstance(line, int) else ""
    text = f"{what}: {message}{where}" if message else f"{what}{where}"
    if kind == "forbidden":
        raise SandboxForbidden(
            f"{text}. The sandbox allows no network, no other programs and processes, and no files"
            " outside its own folder.",
            details=_details(ending, failure),
        )
    raise SandboxFailed(text, details=_details(ending, failure))


def _failed(ending: Ending, detail: str) -> SandboxFailed:
    return SandboxFailed(detail, details=_details(ending))


def _details(ending: Ending, failure: dict[str, Any] | None = None) -> dict[str, Any]:
    details: dict[str, Any] = {"stdout": ending.stdout}
    if failure and isinstance(failure.get("type"), str):
        details["exception"] = _visible(failure["type"], TYPE_CHARACTERS)
    if failure and isinstance(failure.get("line"), int):
        details["line"] = failure["line"]
    return details


def _too_large(limits: SandboxLimits) -> str:
    return f"The result is larger than {limits.output_kb} KB. Return less, or a summary."


def _visible(value: object, characters: int = 2000) -> str:
    """Text of the code's own, without paths of this installation."""
    text = value if isinstance(value, str) else ""
    for path in installation_paths():
        text = text.replace(path, "<python>")
    return text[:characters]
