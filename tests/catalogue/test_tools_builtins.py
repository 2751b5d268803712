"""The tools that ship with the product, bound and called as a run does it."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from muster.adapters.tools.base import ToolFailed, ToolInputInvalid, ToolOutcome
from muster.domains.catalogue.tools import ToolContext
from muster.domains.catalogue.tools.catalogue import Named
from muster.domains.catalogue.tools.errors import ToolUnknown
from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings, ToolsSettings
from tests.catalogue.tools_setting import base_url, echo
from tests.support.echo_server import EchoServer, serve
from tests.support.people import People

__all__ = ["base_url", "echo"]

pytestmark = pytest.mark.anyio


@pytest.fixture
def context(muster: Muster, people: People, tmp_path: Path) -> ToolContext:
    """A run with a workspace, in a project with one document."""
    documents = muster.tools.services.documents / people.project_id
    documents.mkdir(parents=True)
    (documents / "handbook.md").write_text("Muster runs agents.\nIt keeps a journal of steps.\n")
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    return ToolContext(project_id=people.project_id, run_id="r", workspace=workspace)


async def call(muster: Muster, name: str, context: ToolContext, **arguments: Any) -> ToolOutcome:
    tools = await muster.tools.bind(context.project_id, [name], {})
    return await tools[0].call(arguments, context)


async def test_files_are_written_listed_read_and_found(
    muster: Muster, context: ToolContext
) -> None:
    written = await call(
        muster, "write_file", context, path="notes/a.md", content="The journal is long.\n"
    )
    listed = await call(muster, "list_files", context)
    read = await call(muster, "read_file", context, path="workspace/notes/a.md")
    found = await call(muster, "search_files", context, query="journal")

    assert written.content["path"] == "workspace/notes/a.md"
    paths = {file["path"] for file in listed.content["files"]}
    assert paths == {"documents/handbook.md", "workspace/notes/a.md"}
    assert listed.content["total"] == 2
    assert read.content["content"] == "The journal is long.\n"
    texts = str(found.content)
    assert "handbook.md" in texts
    assert "notes/a.md" in texts


async def test_documents_are_read_and_never_written(muster: Muster, context: ToolContext) -> None:
    read = await call(muster, "read_file", context, path="documents/handbook.md", max_lines=1)

    assert read.content["path"] == "documents/handbook.md"
    assert read.content["content"].startswith("Muster runs agents.")
    with pytest.raises(ToolInputInvalid):
        await call(muster, "write_file", context, path="documents/x.md", content="no")


async def test_without_a_run_there_are_only_documents(
    muster: Muster, context: ToolContext, people: People
) -> None:
    bare = ToolContext(project_id=people.project_id)
    nothing = ToolContext(project_id=people.other_project_id)

    listed = await call(muster, "list_files", bare)
    found = await call(muster, "search_files", bare, query="journal")
    empty = await call(muster, "list_files", nothing)

    assert [file["path"] for file in listed.content["files"]] == ["documents/handbook.md"]
    assert "handbook.md" in str(found.content)
    assert empty.content == {"files": [], "total": 0, "truncated": False}
    with pytest.raises(ToolFailed):
        await call(muster, "read_file", bare, path="a.md")


async def test_the_date_is_told(muster: Muster, context: ToolContext) -> None:
    outcome = await call(muster, "current_time", context, timezone="Europe/Berlin")

    assert "Europe/Berlin" in str(outcome.content)


async def test_a_page_is_fetched_as_markdown(
    muster: Muster, context: ToolContext, echo: EchoServer, base_url: str
) -> None:
    echo.pages["home"] = ("<h1>Hello</h1><p>There.</p>", "text/html")

    outcome = await call(muster, "fetch_page", context, url=f"{base_url}/page/home")

    assert "# Hello" in str(outcome.content)
    assert outcome.properties["target"]["url"] == f"{base_url}/page/home"


async def test_without_its_setting_the_web_is_not_searched(
    muster: Muster, context: ToolContext
) -> None:
    with pytest.raises(ToolFailed, match="MUSTER_TOOLS_SEARXNG_URL"):
        await call(muster, "web_search", context, query="muster")


async def test_agents_are_asked_by_agents_only(muster: Muster, context: ToolContext) -> None:
    with pytest.raises(ToolFailed):
        await call(muster, "ask_agent", context, agent="sage", prompt="Why?")


async def search_engine(request: Request) -> Response:
    title = f"About {request.query_params['q']}"
    result = {"title": title, "url": "https://example.com/a", "content": "A page."}
    return JSONResponse({"results": [result]})


class TestWithSearch:
    @pytest.fixture
    async def searxng_url(self) -> AsyncIterator[str]:
        async with serve(Starlette(routes=[Route("/search", search_engine)])) as address:
            yield address

    @pytest.fixture
    def settings(self, settings: Settings, searxng_url: str) -> Settings:
        # The operator's own address is reached wherever it lies.
        tools = ToolsSettings(searxng_url=searxng_url)
        return settings.model_copy(update={"tools": tools, "egress_allow": []})

    async def test_the_web_is_searched(self, muster: Muster, context: ToolContext) -> None:
        outcome = await call(muster, "web_search", context, query="muster")

        assert outcome.content["results"][0]["title"] == "About muster"


async def test_a_timeout_of_the_tools_own_is_not_taken_for_ours(
    muster: Muster, people: People
) -> None:
    async def ask(agent: str, prompt: str, step_key: str) -> ToolOutcome:
        raise TimeoutError("of the tool")

    context = ToolContext(project_id=people.project_id, ask_agent=ask)

    with pytest.raises(TimeoutError, match="of the tool"):
        await call(muster, "ask_agent", context, agent="sage", prompt="Why?")


async def test_what_means_nothing_cannot_be_bound(muster: Muster) -> None:
    with pytest.raises(ToolUnknown):
        muster.tools.bind_one(Named(reference="nothing", definition=None), {})
