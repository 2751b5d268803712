"""The tools that ship with the product."""

from pathlib import Path
from typing import Any

from muster.adapters.tools.base import ToolFailed, ToolInputInvalid, ToolOutcome
from muster.adapters.tools.calculator import calculate
from muster.adapters.tools.clock_tool import current_time
from muster.adapters.tools.search import search_files
from muster.adapters.tools.web import fetch_markdown
from muster.adapters.tools.web import search as search_web
from muster.adapters.tools.workspace import Workspace
from muster.domains.catalogue.tools.binding import ToolContext
from muster.domains.catalogue.tools.entrusted import ENTRUSTED
from muster.domains.catalogue.tools.services import ToolServices
from muster.domains.catalogue.tools.shipping import ASKING_S, Builtin, count, object_of, text

DOCUMENTS = "documents"
WORKSPACE = "workspace"


async def _fetch_page(
    arguments: dict[str, Any], _: ToolContext, services: ToolServices
) -> ToolOutcome:
    found = await fetch_markdown(
        arguments["url"], services.egress, max_chars=arguments["max_chars"]
    )
    return ToolOutcome(content=found, properties={"target": {"url": found["url"]}})


async def _search_files(
    arguments: dict[str, Any], context: ToolContext, services: ToolServices
) -> ToolOutcome:
    roots = [(DOCUMENTS, services.documents / context.project_id)]
    if context.workspace is not None:
        roots.append((WORKSPACE, context.workspace))
    found = await search_files(
        [(label, root) for label, root in roots if root.is_dir()],
        arguments["query"],
        limit=arguments["limit"],
        glob=arguments.get("glob"),
    )
    return ToolOutcome(content=found)


async def _read_file(
    arguments: dict[str, Any], context: ToolContext, services: ToolServices
) -> ToolOutcome:
    label, path = _locate(arguments["path"])
    if label == DOCUMENTS:
        folder = Workspace(services.documents / context.project_id)
    else:
        folder = _workspace(context, services)
    found = await folder.read_file(path, arguments["start_line"], arguments.get("max_lines"))
    return ToolOutcome(content={**found, "path": f"{label}/{found['path']}"})


async def _write_file(
    arguments: dict[str, Any], context: ToolContext, services: ToolServices
) -> ToolOutcome:
    label, path = _locate(arguments["path"])
    if label == DOCUMENTS:
        raise ToolInputInvalid("The project's documents cannot be written; write to workspace/.")
    folder = _workspace(context, services)
    found = await folder.write_file(path, arguments["content"], arguments["append"])
    return ToolOutcome(content={**found, "path": f"{WORKSPACE}/{found['path']}"})


async def _list_files(
    arguments: dict[str, Any], context: ToolContext, services: ToolServices
) -> ToolOutcome:
    roots: list[tuple[str, Path]] = [(DOCUMENTS, services.documents / context.project_id)]
    if context.workspace is not None:
        roots.append((WORKSPACE, context.workspace))
    files: list[dict[str, Any]] = []
    truncated = False
    for label, root in roots:
        if not root.is_dir():
            continue
        found = await Workspace(root).list_files(arguments.get("glob"))
        files += [{**file, "path": f"{label}/{file['path']}"} for file in found["files"]]
        truncated = truncated or found["truncated"]
    return ToolOutcome(content={"files": files, "total": len(files), "truncated": truncated})


async def _calculate(arguments: dict[str, Any], _: ToolContext, __: ToolServices) -> ToolOutcome:
    return ToolOutcome(content=calculate(arguments["expression"]))


async def _current_time(arguments: dict[str, Any], _: ToolContext, __: ToolServices) -> ToolOutcome:
    return ToolOutcome(content=current_time(arguments["timezone"]))


async def _search_web(
    arguments: dict[str, Any], _: ToolContext, services: ToolServices
) -> ToolOutcome:
    if services.searxng_url is None:
        raise ToolFailed("No web search is set up; the operator sets MUSTER_TOOLS_SEARXNG_URL.")
    found = await search_web(
        arguments["query"],
        services.searxng_url,
        services.egress,
        limit=arguments["limit"],
        trusted=True,
    )
    return ToolOutcome(content=found)


async def _ask_agent(
    arguments: dict[str, Any], context: ToolContext, _: ToolServices
) -> ToolOutcome:
    if context.ask_agent is None:
        raise ToolFailed("Agents can only be asked by an agent that runs.")
    return await context.ask_agent(arguments["agent"], arguments["prompt"], context.step_key)


def _locate(path: str) -> tuple[str, str]:
    label, separator, rest = path.lstrip("/").partition("/")
    if separator and label in {DOCUMENTS, WORKSPACE}:
        return label, rest
    return WORKSPACE, path


def _workspace(context: ToolContext, services: ToolServices) -> Workspace:
    if context.workspace is None:
        raise ToolFailed("There is a workspace only while an agent runs.")
    return Workspace(context.workspace, quota_bytes=services.workspace_bytes)


BUILTINS: dict[str, Builtin] = {
    tool.name: tool
    for tool in (
        Builtin(
            name="search_files",
            title="Search files",
            description="Search the project's documents and the run's workspace for passages that "
            "match words. Returns paths, line numbers and text, best first.",
            parameters=object_of(
                ("query",),
                query=text("Words to look for.", minLength=1, maxLength=500),
                limit=count("Most passages to return.", 8, 50),
                glob=text("Only files whose path matches, such as *.md.", maxLength=200),
            ),
            perform=_search_files,
        ),
        Builtin(
            name="read_file",
            title="Read a file",
            description="Read a text file, by a path that search_files or list_files gave "
            "(documents/... or workspace/...).",
            parameters=object_of(
                ("path",),
                path=text("Path of the file.", minLength=1, maxLength=500),
                start_line={"type": "integer", "minimum": 1, "default": 1},
                max_lines={"type": "integer", "minimum": 1, "maximum": 5000},
            ),
            perform=_read_file,
        ),
        Builtin(
            name="list_files",
            title="List files",
            description="List the project's documents and the files of the run's workspace.",
            parameters=object_of(glob=text("Only matching paths.", maxLength=200)),
            perform=_list_files,
        ),
        Builtin(
            name="write_file",
            title="Write a file",
            description="Write a text file into the run's workspace.",
            parameters=object_of(
                ("path", "content"),
                path=text("Path below workspace/.", minLength=1, maxLength=500),
                content=text("Text to write."),
                append={"type": "boolean", "default": False},
            ),
            perform=_write_file,
            verb="PATCH",
            idempotent=False,
        ),
        Builtin(
            name="calculator",
            title="Calculator",
            description="Work out an arithmetic expression, such as 840 * 12.5 / 100.",
            parameters=object_of(
                ("expression",), expression=text("The expression.", minLength=1, maxLength=500)
            ),
            perform=_calculate,
            step_kind="step.exec",
            verb=None,
        ),
        Builtin(
            name="current_time",
            title="Date and time",
            description="Tell today's date, the weekday and the time in a time zone.",
            parameters=object_of(
                timezone=text("IANA name of the zone.", default="UTC", maxLength=64)
            ),
            perform=_current_time,
            step_kind="step.self",
        ),
        Builtin(
            name="fetch_page",
            title="Fetch a page",
            description="Fetch a web page or text by its URL and return it as Markdown.",
            parameters=object_of(
                ("url",),
                url=text("http or https address.", format="uri", maxLength=2000),
                max_chars=count("Longest text to return.", 20_000, 200_000),
            ),
            perform=_fetch_page,
        ),
        Builtin(
            name="web_search",
            title="Web search",
            description="Search the web and return titles, addresses and snippets.",
            parameters=object_of(
                ("query",),
                query=text("What to search for.", minLength=1, maxLength=500),
                limit=count("Most results to return.", 8, 30),
            ),
            perform=_search_web,
            needs="MUSTER_TOOLS_SEARXNG_URL",
        ),
        Builtin(
            name="ask_agent",
            title="Ask another agent",
            description="Ask another agent of the project and return its answer.",
            parameters=object_of(
                ("agent", "prompt"),
                agent=text("Key, name or id of the agent.", minLength=1, maxLength=255),
                prompt=text("What to ask.", minLength=1, maxLength=50_000),
            ),
            perform=_ask_agent,
            step_kind="step.message",
            verb="POST",
            needed_s=ASKING_S,
        ),
        *ENTRUSTED,
    )
}
"""By name. All that a process can carry out are there in every project, which may disable each."""
