"""What each type of node does. A node's result is one step of the journal."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from muster.adapters.models import ToolCall
from muster.adapters.tools.workspace import Workspace
from muster.domains.control.gate import Limits
from muster.domains.work.journal import NewStep, Run, RunStatus, StepKind, StepStatus
from muster.domains.work.plans.children import PlanChildren
from muster.domains.work.plans.errors import NodeFailed
from muster.domains.work.plans.expressions import render
from muster.domains.work.plans.nodes import SEARCH_FILES, NodeSpec, WorkflowSpec
from muster.domains.work.plans.runner import Failed, choose, transform
from muster.domains.work.plans.scope import Scope, key_of_node
from muster.domains.work.plans.tasks import TaskSpec
from muster.domains.work.plans.tasks_at_work import TaskWork, text_of
from muster.domains.work.plans.waits import NodeWaits
from muster.domains.work.runs import Segment, StepRunner, StopAsked, ToolUse
from muster.kernel import clock
from muster.kernel.errors import AppError

_OF_TOOLS = frozenset({"tool", "retrieval"})
_LONGEST_QUERY = 500
_LONGEST_PAUSE_S = 3_600

Act = Callable[[NodeSpec, Scope, str, list[Run]], Awaitable[Any]]
"""Returns a node's result; adds the runs that it took, those that failed too."""


class NodeActs:
    """Executes the nodes of one plan in one segment of its run."""

    def __init__(self, segment: Segment, plan: WorkflowSpec, workspace: Path) -> None:
        self._segment, self._plan = segment, plan
        quota = segment.parts.tools.services.workspace_bytes
        self._workspace = Workspace(workspace, quota_bytes=quota)
        self._memory = segment.memory
        self._children = PlanChildren(segment)
        self._steps: StepRunner = segment.runner(
            segment.run.snapshot["agent"],
            Limits(max_iter=1_000_000, max_rpm=None, max_execution_time_s=None),
            workspace,
        )
        waits = self._waits = NodeWaits(segment, plan.templates)
        self._acts: dict[str, Act] = {
            "start": self._pass,
            "end": self._end,
            "output": self._output,
            "input": waits.input,
            "agent": self._agent,
            "llm": self._agent,
            "task": self._task,
            "crew": self._nested,
            "subworkflow": self._nested,
            "tool": self._tool,
            "retrieval": self._retrieval,
            "if": self._choice,
            "switch": self._choice,
            "approval": waits.approval,
            "delay": waits.delay,
            "transform": self._transform,
        }

    async def act(self, node: NodeSpec, scope: Scope, key: str) -> Any:
        """Execute a node, or return what it came to when it was executed before."""
        done = self._memory.finished(key)
        if done is not None:
            if done.status is StepStatus.ERROR:
                raise Failed(done.output["value"], done.output["follow"])
            output: Any = done.output
            if node.type == "input" or node.assign:
                scope.variables.update(output)
            return output
        failure = self._memory.failure(f"x{key}")
        if failure is not None:
            # The process died before the end that this had to lead to was recorded.
            raise NodeFailed(f"{node.name}: {failure['message']}")
        if self._memory.stop_requested:
            raise StopAsked
        act = self._acts.get(node.type)
        if act is None:
            raise NodeFailed(f"{node.name}: nodes of type {node.type} cannot be executed.")
        return await self._tried(act, node, scope, key)

    async def _tried(
        self,
        act: Act,
        node: NodeSpec,
        scope: Scope,
        key: str,
    ) -> Any:
        started = clock.now()
        runs: list[Run] = []
        for attempt in range(node.retry.attempts + 1):
            tried = f"{key}+{attempt + 1}" if attempt else key
            if attempt:
                await self._pause(node, attempt, tried)
            try:
                value = await act(node, scope, tried, runs)
            except AppError as error:
                if attempt < node.retry.attempts:
                    continue
                return await self._failed(node, key, started, error, runs)
            if node.type not in _OF_TOOLS:  # what a tool answered is a step already
                await self._append(node, key, started, StepStatus.OK, value, runs)
            return value
        raise AssertionError(node.name)

    async def _pause(self, node: NodeSpec, attempt: int, tried: str) -> None:
        """Wait before another attempt; one that was waited for is not waited for again."""
        wait = min(node.retry.wait_s * node.retry.backoff ** (attempt - 1), _LONGEST_PAUSE_S)
        again = self._memory.times(f"x{key_of_node(tried)}")
        await self._waits.pause(node, f"{tried}{f'^{again}' if again else ''}", wait)
        if self._memory.stop_requested:
            raise StopAsked

    async def _failed(
        self,
        node: NodeSpec,
        key: str,
        started: datetime,
        error: AppError,
        runs: Sequence[Run],
    ) -> Any:
        handled = node.fallback is not None or node.on_error is not None
        told = {"code": error.code, "message": error.detail}
        if not handled:
            # Not under the node's own key: a run that is taken up again tries it again. The runs
            # that it took go on then, and count when they have come to something.
            await self._append(node, f"x{key}", started, StepStatus.ERROR, None, (), told)
            raise NodeFailed(f"{node.name}: {error.detail}")
        value = node.fallback if node.fallback is not None else {"error": told}
        follow = node.on_error if node.fallback is None else None
        output = {"value": value, "follow": follow}
        await self._append(node, key, started, StepStatus.ERROR, output, runs, told)
        raise Failed(value, follow)

    async def _append(
        self,
        node: NodeSpec,
        key: str,
        started: datetime,
        status: StepStatus,
        value: Any,
        runs: Sequence[Run],
        error: dict[str, Any] | None = None,
    ) -> None:
        priced = not any(run.unpriced_calls for run in runs)
        await self._segment.append(
            NewStep(
                key=self._memory.attempt_key(key),
                kind=StepKind.SELF,
                name=node.name,
                status=status,
                started_at=started,
                ended_at=max(clock.now(), started),
                parent_key="start",
                output=value,
                error=error,
                properties={"node_type": node.type, "run_ids": [run.id for run in runs]},
                input_tokens=sum(run.input_tokens for run in runs),
                output_tokens=sum(run.output_tokens for run in runs),
                cached_tokens=sum(run.cached_tokens for run in runs),
                reasoning_tokens=sum(run.reasoning_tokens for run in runs),
                model_calls=sum(run.model_calls for run in runs),
                tool_calls=sum(run.tool_calls for run in runs),
                cost=sum((run.cost for run in runs), 0.0) if priced else None,
            )
        )

    def _names(self, scope: Scope) -> dict[str, Any]:
        return scope.names(self._plan.templates)

    def _rendered(self, value: Any, scope: Scope) -> Any:
        return render(value, self._names(scope))

    # -- the ends ---------------------------------------------------------------------------------

    async def _pass(self, node: NodeSpec, scope: Scope, _: str, __: list[Run]) -> Any:
        return self._rendered(node.inputs, scope)

    async def _end(self, node: NodeSpec, scope: Scope, _: str, __: list[Run]) -> Any:
        if node.inputs:
            return self._rendered(node.inputs, scope)
        if node.output and node.output in scope.variables:
            return scope.variables[node.output]
        return scope.last

    async def _output(self, node: NodeSpec, scope: Scope, _: str, __: list[Run]) -> Any:
        if node.prompt:
            return self._rendered(node.prompt, scope)
        return self._rendered(node.inputs, scope) if node.inputs else scope.last

    async def _choice(self, node: NodeSpec, scope: Scope, _: str, __: list[Run]) -> Any:
        return choose(node, self._names(scope))

    async def _transform(self, node: NodeSpec, scope: Scope, _: str, __: list[Run]) -> Any:
        made = transform(node, self._names(scope))
        if node.assign:
            scope.variables.update(made)
        return made

    # -- agents -----------------------------------------------------------------------------------

    async def _agent(self, node: NodeSpec, scope: Scope, key: str, runs: list[Run]) -> Any:
        frozen = self._segment.run.snapshot["agents"][node.name]
        given = self._rendered(node.inputs, scope)
        text = self._rendered(node.prompt, scope) if node.prompt else None
        prompt = text_of(text) if text is not None else _as_prompt(given, scope)
        run = await self._children.agent(
            frozen,
            prompt,
            key,
            name=node.name,
            inputs={**scope.variables, **given},
            timeout_s=node.timeout_s,
        )
        runs.append(run)
        return _result(run)

    async def _task(self, node: NodeSpec, scope: Scope, key: str, runs: list[Run]) -> Any:
        assert isinstance(node.task, TaskSpec)  # noqa: S101 - frozen so
        task = node.task

        async def run_agent(
            frozen: Mapping[str, Any],
            prompt: str,
            step_key: str,
            *,
            name: str,
            task: TaskSpec | None = None,
        ) -> Run:
            return await self._children.agent(
                frozen,
                prompt,
                step_key,
                name=name,
                inputs=scope.variables,
                timeout_s=node.timeout_s,
                task=task,
            )

        work = TaskWork(
            task,
            self._segment.run.snapshot,
            run_agent,
            self._memory,
            scope.variables,
            scope.results,
        )
        output = await work.done(key, runs)
        if task.output_file:
            await self._write(task.output_file, output)
        return output

    async def _write(self, path: str, output: Any) -> None:
        try:
            await self._workspace.write_file(path, text_of(output))
        except AppError as error:
            raise NodeFailed(f"The output cannot go to {path}: {error.detail}") from None

    async def _nested(self, node: NodeSpec, scope: Scope, key: str, runs: list[Run]) -> Any:
        frozen = self._segment.run.snapshot["plans"][node.name]
        inputs = self._rendered(node.inputs, scope) if node.inputs else dict(scope.variables)
        run = await self._children.plan(frozen, inputs, key, timeout_s=node.timeout_s)
        runs.append(run)
        return _result(run)

    # -- tools ------------------------------------------------------------------------------------

    async def _tool(self, node: NodeSpec, scope: Scope, key: str, _: list[Run]) -> Any:
        arguments = self._rendered(node.arguments or node.inputs, scope)
        return await self._called(node, node.tool or "", arguments, key)

    async def _retrieval(self, node: NodeSpec, scope: Scope, key: str, _: list[Run]) -> Any:
        query = text_of(self._rendered(node.query or "", scope)).strip()
        arguments: dict[str, Any] = {"query": query[:_LONGEST_QUERY], "limit": node.top_k}
        if node.glob:
            arguments["glob"] = self._rendered(node.glob, scope)
        found = await self._called(node, SEARCH_FILES, arguments, key)
        passages = [{**one, "title": _title(one["path"])} for one in found["results"]]
        if node.store == "content":
            return "\n\n".join(one["text"] for one in passages)
        return passages

    async def _called(self, node: NodeSpec, name: str, arguments: dict[str, Any], key: str) -> Any:
        segment = self._segment
        tools = await segment.parts.tools.bind(segment.run.project_id, [name], {})
        # A tool's error is a finished step: one that has ended the run before is a new call now.
        again = self._memory.times(f"x{key_of_node(key)}")
        use = ToolUse(
            key=f"t{key}{f'^{again}' if again else ''}",
            parent_key="start",
            iteration=0,
            call=ToolCall(id=key, name=tools[0].name, arguments=arguments),
            tool=tools[0],
            timeout_s=node.timeout_s,
        )
        outcome = await self._steps.act(use)
        if outcome.is_error:
            told: Any = outcome.content
            text = cast("dict[str, Any]", told).get("message") if isinstance(told, dict) else None
            raise NodeFailed(str(text or text_of(told)))
        return outcome.content


def _as_prompt(given: Mapping[str, Any], scope: Scope) -> str:
    if given:
        return "\n".join(f"{name}: {text_of(value)}" for name, value in given.items())
    if scope.last is not None:
        return text_of(scope.last)
    known = [f"{name}: {text_of(value)}" for name, value in scope.variables.items()]
    return "\n".join(known) or "Begin."


def _title(path: str) -> str:
    return path.rpartition("/")[2]


def _result(run: Run) -> Any:
    if run.status != RunStatus.COMPLETED:
        raise NodeFailed(run.status_reason or f"The run {run.id} ended {run.status}.")
    return run.result
