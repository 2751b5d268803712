"""The manager of a hierarchical crew: who does a task, and whether what came of it will do."""

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, cast

import msgspec

from muster.domains.work.journal import Run, RunStatus
from muster.domains.work.plans.errors import NodeFailed

_BUILTIN = "builtin/extractive"
_WORD = re.compile(r"[a-z]{4,}")


class Manager:
    """Assigns and reviews; each of both is a run of its own.

    The built-in model cannot decide: with it the task's own agent does the task, else the one whose
    words are most in it, and every output is accepted.

    Args:
        frozen: The manager's frozen definition.
        agents: The frozen agents of the crew.
        run_agent: Runs an agent as a child of the crew's run.
    """

    def __init__(
        self,
        frozen: Mapping[str, Any],
        agents: Mapping[str, Any],
        run_agent: Callable[..., Awaitable[Run]],
    ) -> None:
        self._frozen, self._agents, self._run_agent = frozen, agents, run_agent
        self._decides = frozen["model"] != _BUILTIN

    async def assign(
        self, task: str, wish: str | None, key: str, runs: list[Run]
    ) -> tuple[Mapping[str, Any], str]:
        """Return who does a task, and what the manager tells besides."""
        if not self._agents:
            return self._frozen, ""
        if len(self._agents) == 1 or not self._decides:
            name = wish if wish and wish in self._agents else self._nearest(task)
            return self._agents[name], ""
        people = "\n".join(f"- {name}: {_described(one)}" for name, one in self._agents.items())
        hint = f"\nThe task was meant for {wish}." if wish else ""
        prompt = (
            f"Choose who of your crew does this task, and say what they should mind.\n\n"
            f"Your crew:\n{people}\n\nThe task:\n{task}{hint}"
        )
        answer = await self._ask(
            prompt,
            key,
            {
                "agent": {"type": "string", "enum": list(self._agents)},
                "advice": {"type": "string"},
            },
            runs,
        )
        return self._agents[answer["agent"]], str(answer["advice"])

    async def review(self, task: str, output: Any, key: str, runs: list[Run]) -> str | None:
        """Return what is to be mended of an output, or None when it will do."""
        if not self._decides:
            return None
        text = output if isinstance(output, str) else msgspec.json.encode(output).decode()
        prompt = (
            f"Review what came of a task. Accept it when it does what was asked.\n\n"
            f"The task:\n{task}\n\nThe output:\n{text}"
        )
        answer = await self._ask(
            prompt, key, {"accepted": {"type": "boolean"}, "feedback": {"type": "string"}}, runs
        )
        return None if answer["accepted"] else str(answer["feedback"] or "Do it again, better.")

    async def _ask(
        self, prompt: str, key: str, properties: dict[str, Any], runs: list[Run]
    ) -> dict[str, Any]:
        schema = {"type": "object", "properties": properties, "required": list(properties)}
        agent: dict[str, Any] = {**self._frozen["agent"], "output_schema": schema, "tools": []}
        run = await self._run_agent({**self._frozen, "agent": agent}, prompt, key, name="manager")
        runs.append(run)
        answer: Any = run.result
        if run.status != RunStatus.COMPLETED or not isinstance(answer, dict):
            raise NodeFailed(f"The manager did not decide: {run.status_reason or run.status}")
        return cast("dict[str, Any]", answer)

    def _nearest(self, task: str) -> str:
        words = set(_WORD.findall(task.lower()))

        def shared(name: str) -> int:
            described = f"{name} {_described(self._agents[name])}".lower()
            return len(words & set(_WORD.findall(described)))

        return max(self._agents, key=shared)


def _described(frozen: Mapping[str, Any]) -> str:
    agent: Mapping[str, Any] = frozen["agent"]
    parts = [agent.get("role"), agent.get("goal"), agent.get("description")]
    return "; ".join(str(part) for part in parts if part) or str(agent.get("name"))
