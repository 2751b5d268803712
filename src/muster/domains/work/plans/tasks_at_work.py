"""How a task is done: by its agent, or one that a manager chooses, until what came of it holds."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, cast

import msgspec

from muster.domains.control.approvals import ApprovalRequest, StepApproval
from muster.domains.control.gate import arguments_hash
from muster.domains.work.journal import Run, RunStatus
from muster.domains.work.plans.errors import NodeFailed
from muster.domains.work.plans.expressions import ExpressionInvalid, holds
from muster.domains.work.plans.managing import Manager
from muster.domains.work.plans.tasks import TaskSpec
from muster.domains.work.runs import Refused, Suspended, rejected
from muster.kernel.placeholders import fill

MOST_REVISIONS = 3
"""How often a person or the manager may send a result back."""
BUILTIN = "builtin/extractive"

RunAgent = Callable[..., Awaitable[Run]]


class Decisions(Protocol):
    """What people decided about steps of the run."""

    def approval(self, key: str, kind: str) -> StepApproval | None: ...


class TaskWork:
    """One task of a plan at work.

    Args:
        task: The task; its `context` names nodes of the plan.
        frozen: The frozen plan: `agents`, and `manager` of a hierarchical crew.
        run_agent: Runs an agent as a child of the plan's run, or finds that it did.
        decisions: What people decided.
        inputs: Values of the placeholders.
        outputs: Results of the nodes so far.
    """

    def __init__(
        self,
        task: TaskSpec,
        frozen: Mapping[str, Any],
        run_agent: RunAgent,
        decisions: Decisions,
        inputs: Mapping[str, Any],
        outputs: Mapping[str, Any],
    ) -> None:
        self._task, self._frozen, self._run_agent = task, frozen, run_agent
        self._decisions, self._inputs, self._outputs = decisions, inputs, outputs
        manager = frozen.get("manager")
        self._manager = Manager(manager, frozen["agents"], run_agent) if manager else None

    async def done(self, key: str, runs: list[Run]) -> Any:
        """Return the output that counts; adds the runs that it took."""
        feedback: str | None = None
        before: Any = None
        agent, advice = await self._agent(key, runs)
        revisions = guards = number = 0
        while True:
            number += 1
            suffix = f"/{number}" if number > 1 else ""
            prompt = self._prompt(advice, feedback, before)
            run = await self._run_agent(
                agent, prompt, f"{key}{suffix}", name=self._task.key, task=self._task
            )
            runs.append(run)
            before = run.result
            if run.status != RunStatus.COMPLETED:
                raise NodeFailed(run.status_reason or f"The run of the task ended {run.status}.")
            feedback = await self._unfit(run.result, f"{key}{suffix}", runs)
            if feedback is not None:
                guards += 1
                if guards > self._task.guardrail_max_retries:
                    raise NodeFailed(f"The guardrail does not let the output pass: {feedback}")
                continue
            if self._manager is not None and revisions < MOST_REVISIONS:
                feedback = await self._manager.review(
                    self._text, run.result, f"{key}{suffix}/review", runs
                )
                if feedback is not None:
                    revisions += 1
                    continue
            output, feedback = self._looked_at(run.result, f"{key}{suffix}")
            if feedback is None:
                return output

    async def _agent(self, key: str, runs: list[Run]) -> tuple[Mapping[str, Any], str]:
        agents: Mapping[str, Any] = self._frozen["agents"]
        if self._manager is not None:
            return await self._manager.assign(self._text, self._task.agent, f"{key}/assign", runs)
        return agents[self._task.agent or ""], ""

    @property
    def _text(self) -> str:
        task = self._task
        parts = [
            fill(task.description or task.name or "", self._inputs),
            fill(task.instructions or "", self._inputs),
            f"Expected output: {fill(task.expected_output, self._inputs)}"
            if task.expected_output
            else "",
            "Write Markdown." if task.markdown else "",
        ]
        return "\n\n".join(part for part in parts if part)

    def _prompt(self, advice: str, feedback: str | None, before: Any) -> str:
        parts = [self._text]
        if advice:
            parts.append(f"Your manager adds: {advice}")
        known = [name for name in self._task.context if name in self._outputs]
        if known:
            texts = [
                f'<document title="{name}">\n{text_of(self._outputs[name])}\n</document>'
                for name in known
            ]
            parts.append("\n".join(["<context>", *texts, "</context>"]))
        if feedback is not None:
            parts.append(f"Your last output was:\n{text_of(before)}")
            parts.append(f"It was not accepted: {feedback}\nGive the whole output again, mended.")
        return "\n\n".join(parts)

    async def _unfit(self, output: Any, key: str, runs: list[Run]) -> str | None:
        """Return why the output does not pass its guardrails, or None."""
        task = self._task
        if task.guardrail:
            try:
                passes = holds(task.guardrail, {**self._inputs, "output": output})
            except ExpressionInvalid as error:
                raise NodeFailed(f"The guardrail cannot be evaluated: {error.detail}") from None
            if not passes:
                return f"This must hold for the output: {task.guardrail}"
        if task.llm_guardrail is None:
            return None
        judge = _judge(task.llm_guardrail.llm_model, self._frozen["agents"], task.agent)
        prompt = (
            f"Judge whether an output fulfils a rule.\n\nRule: {task.llm_guardrail.description}\n\n"
            f"Output:\n{text_of(output)}"
        )
        if judge["model"] == BUILTIN:
            return None
        run = await self._run_agent(judge, prompt, f"{key}/guard", name="guardrail")
        runs.append(run)
        answer: Any = run.result
        if run.status != RunStatus.COMPLETED or not isinstance(answer, dict):
            raise NodeFailed("The guardrail's model did not answer whether the output passes.")
        verdict = cast("dict[str, Any]", answer)
        return None if verdict.get("passes") else str(verdict.get("reason") or "It does not pass.")

    def _looked_at(self, output: Any, key: str) -> tuple[Any, str | None]:
        """Let a person look at the output; returns the one that counts, or what is to be mended."""
        if not self._task.human_input:
            return output, None
        decided = self._decisions.approval(key, "task_output")
        shown = {"output": output}
        if decided is None:
            request = ApprovalRequest(
                kind="task_output",
                step_key=key,
                title=f"Is the output of {self._task.key} good?",
                description='Approve it, or approve it with {"arguments": {"output": …}} to put a '
                "better one in its place. Reject it with a reason, and the task is done again; "
                'reject it with {"end_run": true}, and the run ends.',
                subject={"task": self._task.key, "arguments": shown},
                arguments_hash=arguments_hash(str(self._task.key), shown),
                arguments_schema={"type": "object", "required": ["output"]},
            )
            raise Suspended([request])
        if decided.approved:
            return (decided.arguments or shown)["output"], None
        if decided.choice == "end_run":
            raise Refused(rejected(decided))
        return output, decided.reason or f"{decided.decided_by} wants it done again."


def _judge(model: str | None, agents: Mapping[str, Any], agent: str | None) -> dict[str, Any]:
    doer = agents.get(agent or "") or next(iter(agents.values()))
    spec = {
        "name": "Guardrail",
        "role": "a strict judge of outputs",
        "llm": model or doer["model"],
        "output_schema": {
            "type": "object",
            "properties": {"passes": {"type": "boolean"}, "reason": {"type": "string"}},
            "required": ["passes", "reason"],
        },
    }
    return {"agent": spec, "model": spec["llm"], "version": None, "agent_id": None}


def text_of(value: Any) -> str:
    """Return a result as text."""
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()
