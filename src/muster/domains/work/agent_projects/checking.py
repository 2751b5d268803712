"""Whether the tools and the model that an agent project names are there."""

from collections.abc import Iterator
from typing import Any

from muster.domains.catalogue.models import ModelCatalogue
from muster.domains.catalogue.tools import ToolCatalogue
from muster.domains.work.agent_projects.models import AgentProject
from muster.domains.work.plans import PlanProblem
from muster.kernel.nearest import nearest


async def missing_references(
    models: ModelCatalogue, tools: ToolCatalogue, project: AgentProject
) -> list[PlanProblem]:
    """Return what is wrong with the tools, servers and model that are named besides the actions.

    Asks model servers: no session is to be open meanwhile.
    """
    found: list[PlanProblem] = []
    model = project.spec["default_model_ref"]
    if model and (fault := (await models.problems(project.project_id, [model])).get(model)):
        near = nearest(model, {known.name for known in await models.names.all()})
        found.append(PlanProblem("default_model_ref", fault, suggestion=near))
    named = list(_tools_in(project.spec))
    names = list(dict.fromkeys(name for _, name in named))
    faults = dict(await tools.problems(project.project_id, names, {}))
    known = {tool.name for tool in await tools.all(project.project_id)} if faults else set[str]()
    found += [
        PlanProblem(path, faults[name], suggestion=nearest(name, known))
        for path, name in named
        if name in faults
    ]
    return found


def _tools_in(spec: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("tool_refs", "mcp_server_refs"):
        for index, name in enumerate(spec[field]):
            yield f"{field}.{index}", name
