"""What a run of a task, a crew or a workflow does: it executes its frozen plan."""

from muster.domains.work.plans.acts import NodeActs
from muster.domains.work.plans.nodes import WorkflowSpec
from muster.domains.work.plans.runner import PlanRunner
from muster.domains.work.runs import Answer, Segment, prepare_workspace


class PlanSegment(Segment):
    """A segment of a run that executes a plan."""

    async def prepare(self) -> None:
        """Read the frozen plan."""
        self._plan = WorkflowSpec.model_validate(self.run.snapshot["plan"])
        self._workspace = await prepare_workspace(self.parts, self.run)

    @property
    def child_depth(self) -> int:
        """What a plan starts is as deep as itself: its definition bounds it."""
        return self.depth

    async def work(self) -> Answer:
        """Walk the plan to its end."""
        acts = NodeActs(self, self._plan, self._workspace)
        return Answer(output=await PlanRunner(self._plan, acts.act, self.run.inputs).run())
