"""What was saved leniently is run strictly: what validation finds wrong is refused."""

from collections.abc import Iterable

from muster.domains.work import crews, workflows
from muster.domains.work.plans import CrewSpec, PlanNotReady, PlanProblem, WorkflowSpec
from muster.domains.work.runs import RunParts


async def require_sound_crew(parts: RunParts, project_id: str, crew: CrewSpec) -> None:
    """Refuse a crew that cannot be executed as it is defined; model servers may be asked."""
    known = await crews.read_known(
        parts.database, project_id, crew, models=parts.models, tools=parts.tools
    )
    _refuse(crew.name, crews.problems_of(crew, known))


def require_sound_workflow(workflow: WorkflowSpec) -> None:
    """Refuse a workflow that cannot be executed as it is defined."""
    _refuse(workflow.name, workflows.problems_of(workflow))


def _refuse(name: str, problems: Iterable[PlanProblem]) -> None:
    issues = [
        {"field": problem.path, "message": problem.message}
        for problem in problems
        if problem.severity == "error"
    ]
    if issues:
        missing = "; ".join(f"{issue['field']}: {issue['message']}" for issue in issues)
        raise PlanNotReady(f"{name} cannot run yet: {missing}", details={"issues": issues})
