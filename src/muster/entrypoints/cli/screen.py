"""How a run looks while it happens: a tree that grows, and below it what is under way."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from muster.domains.work.journal import Run, StepKind
from muster.domains.work.runs.presenting import usage_of
from muster.entrypoints.cli.terminal import dollars, seconds

_TAIL = 6
_REFRESH_HZ = 8
_ARGUMENTS, _OUTCOME = 90, 110

_MARKS = {"ok": ("✓", "green"), "error": ("✗", "red"), "blocked": ("⊘", "red")}
_PLAIN_MARKS = {"✓": "ok", "✗": "failed", "⊘": "blocked", "·": "ended"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownStep:
    """A finished step. Durations in milliseconds; `text` says what came of it."""

    seq: int
    key: str
    kind: str
    name: str
    status: str
    call: str
    text: str
    duration_ms: float
    input_tokens: int = 0
    output_tokens: int = 0
    cost: float | None = None


@dataclass(slots=True)
class _Totals:
    models: int = 0
    tools: int = 0
    tokens: int = 0
    cost: float = 0.0
    unpriced: int = 0

    def add(self, step: ShownStep) -> None:
        if step.kind == StepKind.MODEL:
            self.models += 1
            self.tokens += step.input_tokens + step.output_tokens
            self.cost += step.cost or 0
            self.unpriced += step.cost is None and step.status == "ok"
        elif not step.kind.startswith("task."):
            self.tools += 1

    def line(self) -> str:
        cost = dollars(None if self.unpriced else self.cost)
        return (
            f"{counted(self.models, 'model call')}, {counted(self.tools, 'tool call')} · "
            f"{self.tokens:,} tokens · cost {cost}"
        )


@dataclass(slots=True)
class _Open:
    kind: str
    name: str
    spinner: Spinner
    since: float = field(default_factory=time.monotonic)
    words: str = ""


class RunScreen:
    """Shows a run on a console.

    Args:
        console: Where to.
        live: Whether the console can redraw: below the finished steps it then shows what is under
            way, with the model's words as they come.
        silent: Show nothing.
    """

    def __init__(self, console: Console, *, live: bool, silent: bool = False) -> None:
        self._console, self._silent = console, silent
        self._open: dict[str, _Open] = {}
        self._totals = _Totals()
        self._begun = time.monotonic()
        self._fancy = console.encoding.lower().startswith("utf")
        self._note = ""
        self._live = (
            Live(
                console=console,
                get_renderable=self._present,
                refresh_per_second=_REFRESH_HZ,
                transient=True,
            )
            if live and not silent
            else None
        )

    @property
    def console(self) -> Console:
        """Where the run is shown."""
        return self._console

    def __enter__(self) -> Self:
        self.resume()
        return self

    def __exit__(self, *_: object) -> None:
        self.pause()

    def pause(self) -> None:
        """Leave the terminal to somebody else, for a question."""
        if self._live is not None:
            self._live.stop()

    def resume(self) -> None:
        """Take the terminal again."""
        if self._live is not None:
            self._live.start()

    def title(self, text: str) -> None:
        """Show what is run."""
        self._print(Text(text, style="bold"))

    def remark(self, text: str, *, style: str = "yellow") -> None:
        """Show a line beside the steps."""
        self._print(Text(text, style=style))

    def note(self, text: str) -> None:
        """Show what the run waits for, until something begins."""
        self._note = text

    def began(self, key: str, kind: str, name: str) -> None:
        """Show a step that is under way."""
        self._note = ""
        self._open[key] = _Open(kind, name, Spinner("dots", style="cyan"))

    def words(self, key: str, kind: str, text: str) -> None:
        """Show words of a model as they come; what it thinks is not shown."""
        step = self._open.get(key)
        if step is not None and kind == "text":
            step.words += text

    def finished(self, step: ShownStep) -> None:
        """Show a step that has ended."""
        self._open.pop(step.key, None)
        self._open.pop(step.key.partition("~")[0], None)
        self._totals.add(step)
        if step.kind != StepKind.TASK_START:
            self._print(self._line(step))

    def _print(self, text: Text) -> None:
        if not self._silent:
            self._console.print(text, soft_wrap=not self._console.is_terminal)

    def _line(self, step: ShownStep) -> Text:
        if step.kind in {StepKind.TASK_END, StepKind.TASK_ERROR}:
            return self._with_mark("└─ ", step, step.text)
        if step.kind == StepKind.MODEL:
            facts = [f"{step.input_tokens:,} → {step.output_tokens:,} tokens"]
            if step.cost:
                facts.append(dollars(step.cost))
            return self._with_mark("├─ ", step, f"{step.name}  {step.text}", facts)
        return self._with_mark("│  ├─ ", step, f"{step.name}({step.call})  {step.text}")

    def _with_mark(
        self, guide: str, step: ShownStep, what: str, facts: list[str] | None = None
    ) -> Text:
        mark, style = _MARKS.get(step.status, ("·", "yellow"))
        if not self._fancy:
            guide, mark = (
                guide.translate({0x251C: "|", 0x2514: "`", 0x2500: "-", 0x2502: "|"}),
                (_PLAIN_MARKS[mark]),
            )
        line = Text.assemble((f"{step.seq:>3} {guide}", "dim"), (mark, style), " ", what.strip())
        shown = [*(facts or []), seconds(step.duration_ms)]
        if not step.kind.startswith("task."):
            line.append(f"  {' · '.join(shown)}", style="dim")
        return line

    def _present(self) -> RenderableType:
        parts: list[RenderableType] = []
        for step in self._open.values():
            step.spinner.update(text=Text(f"{step.name}  {self._elapsed(step.since)}"))
            parts.append(step.spinner)
            if step.words:
                tail = step.words.splitlines()[-_TAIL:]
                parts.append(Text("\n".join(f"   {line}" for line in tail), style="italic"))
        if self._note and not self._open:
            parts.append(Text(self._note, style="yellow"))
        totals = f"{self._totals.line()} · {self._elapsed(self._begun)}"
        parts.append(Text(totals, style="dim"))
        return Group(*parts)

    @staticmethod
    def _elapsed(since: float) -> str:
        return seconds((time.monotonic() - since) * 1000)


def summary(run: Run) -> str:
    """Return what a run took, in one line."""
    usage = usage_of(run)
    elapsed = None
    if run.started_at and run.completed_at:
        elapsed = (run.completed_at - run.started_at).total_seconds() * 1000
    return (
        f"{run.status.replace('_', ' ')} in {seconds(elapsed)} · "
        f"{counted(usage.model_calls, 'model call')}, {counted(usage.tool_calls, 'tool call')} · "
        f"{usage.input_tokens:,} tokens in, {usage.output_tokens:,} out · "
        f"cost {dollars(usage.cost)}"
    )


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def short(text: str, limit: int) -> str:
    """Return a text on one line, cut where it gets long."""
    line = " ".join(text.split())
    return line if len(line) <= limit else line[: limit - 1] + "…"


def call_text(arguments: Any) -> str:
    """Return the arguments of a call as one would write them."""
    if not isinstance(arguments, Mapping):
        return ""
    items: Mapping[str, Any] = arguments  # pyright: ignore[reportUnknownVariableType]
    return short(", ".join(f"{name}={value!r}" for name, value in items.items()), _ARGUMENTS)


def outcome_text(text: str) -> str:
    """Return an outcome short enough for its line."""
    return short(text, _OUTCOME)
