"""The tool policy of an agent project: which of the tools that it names it may have."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError

from muster.domains.catalogue.tools import ToolCatalogue
from muster.domains.work.agent_projects.errors import ToolPolicyInvalid
from muster.domains.work.plans import PlanProblem
from muster.domains.work.workflows import Read
from muster.kernel.errors import FieldError

_JOINT = "__"
"""Between a tool and one of its functions."""
_PLACE = "tool_policy"

Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=255)]], Field(max_length=500)]


class _Lists(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    allow: Annotated[
        Names | None, Field(validation_alias=AliasChoices("allow", "allowed_tools", "allowed"))
    ] = None
    deny: Annotated[
        Names, Field(validation_alias=AliasChoices("deny", "denied_tools", "denied"))
    ] = []


@dataclass(frozen=True, slots=True)
class ToolPolicy:
    """Those of `allow` may be had, all where it is None, and none of `deny`.

    A name is that of a tool, with all its functions, or of one function: `search__find`. `named`
    has the names of tools that are called by id or title.
    """

    allow: tuple[str, ...] | None
    deny: tuple[str, ...]
    named: Mapping[str, str]

    def permits(self, tool: str) -> bool:
        """Tell whether a tool or function may be had as a whole."""
        name = self.named.get(tool, tool)
        allowed = self.allow is None or any(_covers(one, name) for one in self.allow)
        return allowed and not any(_covers(one, name) for one in self.deny)

    def permitted(self, tools: Iterable[str]) -> list[str]:
        """Return what may be had; of a tool of which only functions are allowed, those."""
        kept: list[str] = []
        for tool in tools:
            kept += [tool] if self.permits(tool) else filter(self.permits, self._functions(tool))
        return list(dict.fromkeys(kept))

    def problems(self, tools: Sequence[str], read: Read) -> Iterator[PlanProblem]:
        """Yield where an agent project goes against its policy, or the policy cannot be kept."""
        for number, node in enumerate(read.spec.nodes):
            if node.tool and not self.permits(node.tool):
                path, line = read.locate(f"nodes.{number}.tool")
                yield PlanProblem(path, f"The tool policy does not allow {node.tool}.", line)
        for tool in self.permitted(tools):
            for index, name in enumerate(self.deny):
                if name.startswith(self.named.get(tool, tool) + _JOINT):
                    text = f"It denies a part of {tool}; name in tool_refs the functions to keep."
                    yield PlanProblem(f"{_PLACE}.deny.{index}", text)

    def _functions(self, tool: str) -> Iterator[str]:
        begin = self.named.get(tool, tool) + _JOINT
        return (name for name in self.allow or () if name.startswith(begin))


def _covers(name: str, tool: str) -> bool:
    return tool == name or tool.startswith(name + _JOINT)


def read_policy(given: Any, named: Mapping[str, str]) -> ToolPolicy:
    """Return a policy; raises `ToolPolicyInvalid` with the places of what it does not take."""
    try:
        lists = _Lists.model_validate(given)
    except ValidationError as error:
        problems = [
            PlanProblem(".".join(map(str, (_PLACE, *item["loc"]))), item["msg"])
            for item in error.errors()[:20]
        ]
        raise policy_refused(problems) from error
    allow = None if lists.allow is None else tuple(named.get(one, one) for one in lists.allow)
    return ToolPolicy(allow, tuple(named.get(one, one) for one in lists.deny), named)


def policy_refused(problems: Sequence[PlanProblem]) -> ToolPolicyInvalid:
    """Return the error about what is wrong with a policy."""
    shown = "; ".join(f"{problem.path}: {problem.message}" for problem in problems[:5])
    return ToolPolicyInvalid(
        f"{shown} A tool policy has `allow` and `deny`, each a list of names of tools.",
        errors=[FieldError(problem.path, problem.message) for problem in problems],
        details={"errors": [{"path": p.path, "message": p.message} for p in problems]},
    )


async def names_of_tools(
    tools: ToolCatalogue, project_id: str, references: Iterable[str]
) -> dict[str, str]:
    """Return by how tools are called what they are named; what nobody is called is left out."""
    named: dict[str, str] = {}
    for reference in references:
        found = await tools.find(project_id, reference)
        if found.definition is not None:
            function = f"{_JOINT}{found.function}" if found.function else ""
            named[reference] = f"{found.definition.name}{function}"
    return named


def texts_of(policy: Any) -> list[str]:
    """Return everything in a policy that may be the name of a tool."""
    lists = cast("Mapping[str, Any]", policy).values() if isinstance(policy, Mapping) else ()
    items = [item for one in lists if isinstance(one, list) for item in cast("list[Any]", one)]
    return [item for item in items if isinstance(item, str)][:1_000]
