"""Freezing what is to be run: every agent, crew and workflow that a plan names, as it is now."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy.ext.asyncio import AsyncSession

from muster.domains.catalogue.agents import (
    AgentSpec,
    ModelChecks,
    ToolChecks,
    configuration_status,
    find_agent,
    ready_snapshot,
)
from muster.domains.work.plans.compiling import compile_crew
from muster.domains.work.plans.errors import PlanNotReady
from muster.domains.work.plans.nodes import SEARCH_FILES, NodeSpec, WorkflowSpec
from muster.domains.work.plans.tasks import CrewMember, CrewSpec, TaskSpec
from muster.kernel.errors import AppError
from muster.kernel.json_schema import schema_fault

MOST_NESTED = 5
"""How deep crews and workflows may name each other."""
MOST_PLANS = 200
"""How many crews and workflows one plan may contain, those within them included."""
_AGENTS = frozenset({"agent", "llm"})


class Stored(Protocol):
    """Finds what is stored by id, key or name; raises what is wrong with it, if it is there."""

    async def task(self, project_id: str, reference: str, /) -> tuple[str, TaskSpec]: ...

    async def crew(
        self, project_id: str, reference: str, model: str | None, /
    ) -> tuple[str, CrewSpec]: ...

    async def workflow(self, project_id: str, reference: str, /) -> tuple[str, WorkflowSpec]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Where the freezing looks."""

    reading: Callable[[], AbstractAsyncContextManager[AsyncSession]]
    models: ModelChecks
    tools: ToolChecks
    stored: Stored


@dataclass(slots=True)
class Freezer:
    """Freezes one plan; what is missing is collected, so that all of it is told at once.

    Args:
        shelf: Where it looks.
        project_id: The project that everything must belong to.
        model: For agents that name none; that of a task by itself has it in place of its own.
    """

    shelf: Shelf
    project_id: str
    model: str | None = None
    model_of_all: str | None = None
    within: tuple[str, ...] = ()
    contained: list[str] = field(default_factory=list[str])
    issues: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    async def crew(self, crew: CrewSpec) -> dict[str, Any]:
        """Return the frozen plan of a crew; raises `PlanNotReady` with all that is missing."""
        plan = compile_crew(crew)
        if not plan.nodes:
            self._lacks("tasks", "The crew has no task.")
        members: dict[str, Any] = {}
        for member in crew.agents:
            members[member.key] = await self._member(member, crew)
        agents: dict[str, Any] = {key: frozen for key, frozen in members.items() if frozen}
        hierarchical = crew.process == "hierarchical"
        for node in plan.nodes:
            assert isinstance(node.task, TaskSpec)  # noqa: S101 - compiled so
            where = f"tasks.{node.name}"
            await self._task(where, node.task, members, agents, needs_agent=not hierarchical)
        manager = await self._manager(crew, members) if hierarchical else None
        more = {
            "process": crew.process,
            "manager": manager,
            "max_rpm": crew.max_rpm,
            "memory": crew.memory,
        }
        return self._frozen(plan, agents, more)

    async def task(self, task: TaskSpec) -> dict[str, Any]:
        """Return the frozen plan of a task by itself."""
        self.model_of_all = self.model
        alone = task.model_copy(update={"context": []})
        crew = CrewSpec(name=task.name or task.key or "Task", tasks=[alone])
        frozen = await self.crew(crew)
        return {**frozen, "model": _first_model(frozen["agents"])}

    async def workflow(self, workflow: WorkflowSpec) -> dict[str, Any]:
        """Return the frozen plan of a workflow; raises `PlanNotReady` with all that is missing."""
        if not workflow.nodes:
            self._lacks("nodes", "The workflow has no node.")
        agents: dict[str, Any] = {}
        plans: dict[str, Any] = {}
        nodes = [await self._node(node, workflow, agents, plans) for node in workflow.nodes]
        plan = workflow.model_copy(update={"nodes": nodes})
        return self._frozen(plan, agents, {"plans": plans})

    def _frozen(
        self, plan: WorkflowSpec, agents: dict[str, Any], more: dict[str, Any]
    ) -> dict[str, Any]:
        if self.issues:
            missing = "; ".join(issue["message"] for issue in self.issues)
            text = f"{plan.name} cannot run yet: {missing}"
            raise PlanNotReady(text, details={"issues": self.issues})
        return {
            # What a run of no agent is judged by, and shown as.
            "agent": {"name": plan.name, "kind": "platform"},
            "model": None,
            "version": None,
            "plan": plan.model_dump(mode="json", exclude_defaults=True),
            "agents": agents,
            **more,
        }

    def _lacks(self, field_name: str, message: str) -> None:
        self.issues.append({"field": field_name, "message": message})

    async def _member(self, member: CrewMember, crew: CrewSpec) -> dict[str, Any] | None:
        model = crew.model or self.model
        if member.definition is not None:
            return await self._defined(f"agents.{member.key}", member.definition, model)
        return await self._stored_agent(f"agents.{member.key}", member.reference or member.key)

    async def _manager(self, crew: CrewSpec, members: dict[str, Any]) -> dict[str, Any] | None:
        if crew.manager_agent:
            known = members.get(crew.manager_agent)
            return known or await self._stored_agent("manager_agent", crew.manager_agent)
        model = crew.manager_llm or crew.model or self.model or _first_model(members)
        manager = AgentSpec(
            name="Crew manager",
            role="the manager of a crew",
            goal="get each task done well by the agent who fits it best",
            llm=model,
        )
        return await self._defined("manager_llm", manager, None)

    async def _task(
        self,
        where: str,
        task: TaskSpec,
        members: dict[str, Any],
        agents: dict[str, Any],
        *,
        needs_agent: bool,
    ) -> None:
        if not (task.description or task.instructions or task.name):
            self._lacks(where, f"The task {task.key} says nothing: give a description.")
        if task.agent and task.agent not in agents:
            found = _by_name(members, task.agent)
            if found is None and task.agent not in members:
                found = await self._stored_agent(
                    f"{where}.agent", task.agent, model=self.model_of_all
                )
            if found is not None:
                agents[task.agent] = found
        elif not task.agent and needs_agent:
            if len(members) == 1:
                task.agent = next(iter(members))
            else:
                self._lacks(f"{where}.agent", f"The task {task.key} has no agent.")
        for tool, problem in await self.shelf.tools.problems(
            self.project_id, task.tools, task.tool_configs
        ):
            self._lacks(f"{where}.tools.{tool}", problem)
        if task.output_schema and (fault := schema_fault(task.output_schema)):
            self._lacks(f"{where}.output_schema", f"The task {task.key}: {fault.text}")
        judge = task.llm_guardrail.llm_model if task.llm_guardrail else None
        if judge and (problem := await self.shelf.models.problem(self.project_id, judge)):
            self._lacks(f"{where}.llm_guardrail", problem)

    async def _node(
        self,
        node: NodeSpec,
        workflow: WorkflowSpec,
        agents: dict[str, Any],
        plans: dict[str, Any],
    ) -> NodeSpec:
        where = f"nodes.{node.name}"
        if node.type in _AGENTS:
            agents[node.name] = await self._node_agent(where, node, workflow)
        elif node.type == "tool":
            await self._tools(where, [node.tool or ""], field_name="tool")
        elif node.type == "retrieval":
            await self._tools(where, [SEARCH_FILES], field_name="type")
        elif node.type == "task":
            task = node.task
            if isinstance(task, str):
                task = await self._named(where, self.shelf.stored.task, task)
            elif task is None:
                self._lacks(f"{where}.task", f"The node {node.name} names no task.")
            if task is None:
                return node
            task = task.model_copy(update={"key": node.name, "agent": task.agent or node.agent})
            await self._task(where, task, {}, agents, needs_agent=True)
            return node.model_copy(update={"task": task})
        elif node.type in {"crew", "subworkflow"}:
            plans[node.name] = await self._nested(where, node)
        return node

    async def _nested(self, where: str, node: NodeSpec) -> dict[str, Any] | None:
        if len(self.within) + 1 >= MOST_NESTED:
            self._lacks(where, f"Crews and workflows may be nested {MOST_NESTED} levels deep.")
            return None
        if len(self.contained) >= MOST_PLANS:
            self._lacks(where, f"A plan may contain {MOST_PLANS} crews and workflows.")
            return None
        try:
            stored, project_id = self.shelf.stored, self.project_id
            if node.type == "crew":
                crew_id, crew = await stored.crew(project_id, node.crew or "", self.model)
                return {"id": crew_id, "kind": "crew", **await self._within(crew_id).crew(crew)}
            workflow_id, workflow = await stored.workflow(project_id, node.workflow or "")
            if workflow_id in self.within:
                self._lacks(where, f"{workflow.name} contains itself.")
                return None
            frozen = await self._within(workflow_id).workflow(workflow)
            return {"id": workflow_id, "kind": "workflow", **frozen}
        except AppError as error:
            self._lacks(where, f"{node.name}: {error.detail}")
            return None

    def _within(self, plan_id: str) -> "Freezer":
        self.contained.append(plan_id)
        within = (*self.within, plan_id)
        return Freezer(
            self.shelf,
            self.project_id,
            self.model,
            within=within,
            contained=self.contained,
        )

    async def _named(self, where: str, find: Any, reference: str) -> Any:
        try:
            _, found = await find(self.project_id, reference)
        except AppError as error:
            self._lacks(where, f"{reference}: {error.detail}")
            return None
        return found

    async def _node_agent(
        self, where: str, node: NodeSpec, workflow: WorkflowSpec
    ) -> dict[str, Any] | None:
        changes: dict[str, Any] = {}
        if node.output_schema is not None:
            changes["output_schema"] = node.output_schema
        if node.max_steps is not None:
            changes["max_iter"] = node.max_steps
        if node.type == "agent" and node.agent:
            found = await self._stored_agent(f"{where}.agent", node.agent, model=node.model)
            await self._tools(where, node.tools)
            if found is not None:
                tools = [*found["agent"]["tools"], *node.tools]
                found["agent"] = {**found["agent"], **changes, "tools": tools}
            return found
        spec = AgentSpec(
            name=node.name,
            instructions=node.instructions,
            llm=node.model or workflow.model or self.model,
            model_settings=node.model_settings,
            tools=node.tools if node.type == "agent" else [],
            **changes,
        )
        return await self._defined(where, spec, None)

    async def _tools(self, where: str, names: list[str], field_name: str = "tools") -> None:
        for _, problem in await self.shelf.tools.problems(self.project_id, names, {}):
            self._lacks(f"{where}.{field_name}", problem)

    async def _defined(
        self, where: str, spec: AgentSpec, model: str | None
    ) -> dict[str, Any] | None:
        if not spec.llm:
            spec = spec.model_copy(update={"llm": model or self.model})
        shelf = self.shelf
        status = await configuration_status(self.project_id, spec, shelf.models, shelf.tools)
        for issue in status.issues:
            self._lacks(f"{where}.{issue.field}", f"{spec.name}: {issue.message}")
        if status.issues:
            return None
        return {
            "agent": spec.model_dump(mode="json"),
            "model": spec.llm,
            "version": None,
            "agent_id": None,
        }

    async def _stored_agent(
        self, where: str, reference: str, *, model: str | None = None
    ) -> dict[str, Any] | None:
        try:
            async with self.shelf.reading() as session:
                agent = await find_agent(session, self.project_id, reference)
                frozen = await ready_snapshot(
                    session, agent, self.shelf.models, self.shelf.tools, model=model
                )
        except AppError as error:
            self._lacks(where, f"{reference}: {error.detail}")
            return None
        return {**frozen, "agent_id": agent.id}


def _by_name(members: dict[str, Any], reference: str) -> dict[str, Any] | None:
    for key, frozen in members.items():
        if frozen and reference in {key, frozen["agent"].get("name"), frozen["agent"].get("role")}:
            return frozen
    return None


def _first_model(members: dict[str, Any]) -> str | None:
    return next((frozen["model"] for frozen in members.values() if frozen), None)
