"""What a definition may name: the tools and models of a project."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from muster.domains.catalogue.tools import ToolCatalogue


@dataclass(frozen=True, slots=True)
class OfferedTool:
    """A tool that a definition may name."""

    name: str
    description: str


class ModelProblems(Protocol):
    """Says what is wrong with a reference to a model; None when it can be called."""

    async def problem(self, project_id: str, reference: str) -> str | None: ...


@dataclass(slots=True)
class Offers:
    """What may be named, and what was left out because it may not."""

    tools: Sequence[OfferedTool]
    names: dict[str, str]
    """The tools under everything that they may be called by, in lower case."""
    warnings: list[str] = field(default_factory=list[str])

    def known(self, reference: str) -> str | None:
        """Return the name of a tool that is offered."""
        return self.names.get(reference.strip().lower())

    def fitting(self, references: Collection[str]) -> list[str]:
        """Return the names of those tools that are offered, and warn of the others."""
        found: dict[str, None] = {}
        for reference in references:
            if name := self.known(reference):
                found[name] = None
            else:
                self.warn(
                    f"The tool {reference[:200]!r} is not at hand in this project and was left out."
                )
        return list(found)

    def warn(self, text: str) -> None:
        """Tell something once."""
        if text not in self.warnings:
            self.warnings.append(text)


async def offers_of(tools: ToolCatalogue, project_id: str, wanted: Sequence[str] | None) -> Offers:
    """Return what may be named in a project.

    Args:
        tools: The tools of all projects.
        project_id: The project.
        wanted: Names, titles or ids of the only tools to offer; None: all that can be used as
            they are.
    """
    enabled = [tool for tool in await tools.all(project_id) if tool.enabled]
    called: dict[str, str] = {}
    for tool in reversed(enabled):
        called |= {one.lower(): tool.name for one in (tool.title, tool.id, tool.name)}
    if wanted is None:
        problems = await tools.problems(project_id, [tool.name for tool in enabled], {})
        lacking = {name for name, _ in problems}
        chosen = {tool.name for tool in enabled} - lacking
        warnings: list[str] = []
    else:
        everything = Offers([], called)
        chosen = set(everything.fitting(wanted))
        warnings = everything.warnings
    return Offers(
        [OfferedTool(tool.name, tool.description) for tool in enabled if tool.name in chosen],
        {one: name for one, name in called.items() if name in chosen},
        warnings,
    )


async def fitting_models(
    models: ModelProblems,
    project_id: str,
    agents: Sequence[dict[str, Any]],
    default: str,
    offers: Offers,
) -> None:
    """Give each agent a model that can be called: the one it names, else the default."""
    for agent in agents:
        named = agent.get("llm")
        if named and await models.problem(project_id, named) is not None:
            offers.warn(
                f"The model {named[:200]!r} cannot be called in this project; {default} takes its "
                "place."
            )
            named = None
        agent["llm"] = named or default
