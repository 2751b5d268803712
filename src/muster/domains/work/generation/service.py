"""Writing definitions from descriptions. Knows nothing of HTTP, and holds no session."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeVar

from muster.adapters.models import ModelRequest
from muster.domains.catalogue.agents import AgentSpec
from muster.domains.catalogue.models import CallableModel
from muster.domains.catalogue.tools import ToolCatalogue
from muster.domains.work.generation import rules
from muster.domains.work.generation.asking import Models, Spent, drafted
from muster.domains.work.generation.checking import agent_of, by_key, crew_of, require_crew, task_of
from muster.domains.work.generation.drafts import (
    AgentDraft,
    CrewDraft,
    Draft,
    TaskDraft,
    WorkflowDraft,
)
from muster.domains.work.generation.offers import OfferedTool, Offers, fitting_models, offers_of
from muster.domains.work.generation.prompting import messages_for
from muster.domains.work.generation.schemas import (
    AgentConfig,
    Description,
    GeneratedAgent,
    GeneratedCrew,
    GeneratedTask,
    GeneratedWorkflow,
    MemberIn,
    TaskDescription,
)
from muster.domains.work.generation.workflow_checking import workflow_of
from muster.platform.access import Caller

__all__ = ["Generator", "Models"]

D = TypeVar("D", bound=Draft)
T = TypeVar("T")


@dataclass(slots=True)
class _Writing:
    """One definition under way."""

    model: CallableModel
    offers: Offers
    spent: Spent = field(default_factory=Spent)

    def told(self) -> dict[str, Any]:
        """Return how it was written."""
        return {
            "generator": "builtin" if self.model.is_local else "model",
            "model": self.model.name,
            "warnings": self.offers.warnings,
            "usage": {
                "input_tokens": self.spent.input_tokens,
                "output_tokens": self.spent.output_tokens,
            },
            "cost": self.spent.cost,
        }


class Generator:
    """Use cases of generation, for one caller.

    Args:
        caller: Who asks; models are called in their project and for their money.
        models: The models.
        tools: The tools.
    """

    def __init__(self, caller: Caller, models: Models, tools: ToolCatalogue) -> None:
        self._caller, self._models, self._tools = caller, models, tools

    async def agent(self, body: Description) -> GeneratedAgent:
        """Write an agent."""
        writing = await self._begin(body)
        agent = await self._write(
            "agent",
            body.description,
            writing,
            AgentDraft,
            rules.agent_by_rules,
            lambda draft: agent_of(draft, writing.offers),
        )
        await self._give_models([agent], writing)
        spec = AgentSpec.model_validate(agent)
        config = AgentConfig(
            llm=agent["llm"],
            max_iter=spec.max_iter,
            max_rpm=spec.max_rpm,
            max_execution_time=spec.max_execution_time,
        )
        return GeneratedAgent(agent=agent, **agent, advanced_config=config, **writing.told())

    async def task(self, body: TaskDescription) -> GeneratedTask:
        """Write a task."""
        writing = await self._begin(body)
        task = await self._write(
            "task",
            body.description,
            writing,
            TaskDraft,
            rules.task_by_rules,
            lambda draft: task_of(draft, writing.offers),
            more=_for_whom(body),
        )
        task |= {"agent": _reference(body.agent), "markdown": body.markdown}
        return GeneratedTask(task=task, **task, **writing.told())

    async def crew(self, body: Description) -> GeneratedCrew:
        """Write a crew with its agents and tasks."""
        writing = await self._begin(body)

        def checked(draft: CrewDraft) -> dict[str, Any]:
            crew = crew_of(draft, writing.offers)
            require_crew(crew)
            return crew

        crew = await self._write(
            "crew", body.description, writing, CrewDraft, rules.crew_by_rules, checked
        )
        await self._give_models(crew["agents"], writing)
        return GeneratedCrew(
            **crew,
            agents_yaml=by_key(crew["agents"]),
            tasks_yaml=by_key(crew["tasks"]),
            crew_id=None,
            **writing.told(),
        )

    async def workflow(self, body: Description) -> GeneratedWorkflow:
        """Write a workflow."""
        writing = await self._begin(body)
        spec = await self._write(
            "workflow",
            body.description,
            writing,
            WorkflowDraft,
            rules.workflow_by_rules,
            lambda draft: workflow_of(draft, writing.offers, writing.model.name),
        )
        workflow = spec.model_dump(mode="json", exclude_defaults=True)
        workflow |= {"name": spec.name, "mode": spec.mode}
        return GeneratedWorkflow(workflow=workflow, **writing.told())

    async def _begin(self, body: Description) -> _Writing:
        project_id = self._caller.project_id
        reference = body.model or await self._models.default(project_id)
        model = await self._models.resolve(project_id, reference)
        return _Writing(model, await offers_of(self._tools, project_id, body.wanted_tools))

    async def _write(
        self,
        what: str,
        description: str,
        writing: _Writing,
        kind: type[D],
        by_rules: Callable[[str, list[OfferedTool]], D],
        check: Callable[[D], T],
        more: str = "",
    ) -> T:
        offers, model = writing.offers, writing.model
        given = list(offers.warnings)

        def anew(draft: D) -> T:
            # What an answer that was thrown away left out is nobody's concern.
            offers.warnings[:] = given
            return check(draft)

        messages = messages_for(what, description, offers.tools, more)
        if model.is_local:
            # It finds words and writes none; who may not use it may not use the rules either.
            await self._models.admit(self._caller, model, ModelRequest(messages=messages))
            return anew(by_rules(description, list(offers.tools)))
        return await drafted(self._models, self._caller, model, messages, kind, anew, writing.spent)

    async def _give_models(self, agents: list[dict[str, Any]], writing: _Writing) -> None:
        await fitting_models(
            self._models, self._caller.project_id, agents, writing.model.name, writing.offers
        )


def _for_whom(body: TaskDescription) -> str:
    lines: list[str] = []
    if isinstance(body.agent, MemberIn):
        told = body.agent.model_dump(exclude={"id", "key"}, exclude_none=True)
        lines += [f"{name}: {value}" for name, value in told.items()]
    elif body.agent:
        lines.append(body.agent)
    text = "The task is for this agent:\n" + "\n".join(lines) if lines else ""
    if body.markdown:
        text = f"{text}\n\nThe output shall be Markdown.".strip()
    return text


def _reference(agent: str | MemberIn | None) -> str | None:
    if isinstance(agent, MemberIn):
        return agent.id or agent.key or agent.name
    return agent
