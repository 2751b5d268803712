"""What was saved leniently is run strictly: what validation finds wrong is refused."""

import asyncio
from collections.abc import Iterable

from muster.domains.work import crews, workflows
from muster.domains.work.plans import CrewSpec, PlanNotReady, PlanProblem
from muster.domains.work.runs import RunParts


async def require_sound_crew(parts: RunParts, project_id: str, crew: CrewSpec) -> None:
    """Refuse a crew that cannot be executed as it is defined; model servers may be asked."""
    known = await crews.read_known(
        parts.database, project_id, crew, models=parts.models, tools=parts.tools
    )
    _refuse(crew.name, crews.problems_of(crew, known))


async def require_sound_workflow(name: str, read: workflows.Read) -> None:
    """Refuse a workflow that cannot be executed as it was written."""
    _refuse(name, await asyncio.to_thread(workflows.problems_of, read.spec, read=read))


def _refuse(name: str, problems: Iterable[PlanProblem]) -> None:
    issues = [
        {"field": problem.path, "message": _told(problem)}
        for problem in problems
        if problem.severity == "error"
    ]
    if issues:
        missing = "; ".join(f"{issue['field']}: {issue['message']}" for issue in issues)
        raise PlanNotReady(f"{name} cannot run yet: {missing}", details={"issues": issues})


def _told(problem: PlanProblem) -> str:
    if problem.suggestion is None:
        return problem.message
    return f"{problem.message} Did you mean {problem.suggestion!r}?"
