"""What a run of an agent does: its loop, on its model and tools."""

from muster.domains.catalogue.agents import AgentSpec
from muster.domains.control.gate import Limits
from muster.domains.work.runs.loop import AgentLoop
from muster.domains.work.runs.prompting import build_prompt
from muster.domains.work.runs.remembering import with_memories
from muster.domains.work.runs.segments import Answer, Segment
from muster.domains.work.runs.workspaces import prepare_workspace


class AgentSegment(Segment):
    """A segment of a run of an agent."""

    async def prepare(self) -> None:
        """Resolve the model and the tools of the frozen definition."""
        parts, run = self.parts, self.run
        self._spec = AgentSpec.model_validate(run.snapshot["agent"])
        self._workspace = await prepare_workspace(parts, run)
        self._model = await parts.models.resolve(run.project_id, run.snapshot["model"])
        self._tools = await parts.tools.bind(
            run.project_id, self._spec.tools, self._spec.tool_configs
        )

    @property
    def limit_s(self) -> float | None:
        """The agent's own limit of active time."""
        return self._spec.max_execution_time

    async def work(self) -> Answer:
        """Let the agent think and act until it has an answer."""
        spec = self._spec
        limits = Limits(
            max_iter=spec.max_iter,
            max_rpm=spec.max_rpm,
            max_execution_time_s=spec.max_execution_time,
        )
        runner = self.runner(self.run.snapshot["agent"], limits, self._workspace)
        prompt = build_prompt(spec, self.run.inputs, self.memory.started_at)
        prompt = await with_memories(self.parts, runner, spec, prompt)
        answer = await AgentLoop(runner, self._model, self._tools, spec).run(prompt)
        note = "The limit of iterations was reached." if answer.limit_reached else None
        return Answer(output=answer.output, note=note)
