"""Tools as a run gets them: bound by name, with an agent's configuration, and what they lack."""

from pathlib import Path
from typing import Any

import pytest

from muster.adapters.tools.base import ToolConfigurationInvalid, ToolOutcome, ToolTimeout
from muster.domains.catalogue.tools import BoundTool, ToolContext
from muster.domains.catalogue.tools.errors import ToolUnknown
from muster.domains.catalogue.tools.naming import function_name, split_candidates, tool_name
from muster.entrypoints.assembly import Muster
from muster.kernel.settings import Settings, ToolsSettings
from tests.catalogue.tools_setting import (
    COUNT_WORDS,
    DOCUMENT,
    STDIO,
    base_url,
    custom,
    echo,
    made,
    mcp_url,
)
from tests.support.echo_server import EchoServer
from tests.support.people import People

__all__ = ["base_url", "echo", "mcp_url"]

pytestmark = pytest.mark.anyio

ENDPOINT = "http://127.0.0.1:9/search"


async def bound(
    muster: Muster, people: People, *names: str, **configs: dict[str, Any]
) -> list[BoundTool]:
    return await muster.tools.bind(people.project_id, names, configs)


async def problems(
    muster: Muster, people: People, *names: str, **configs: dict[str, Any]
) -> list[tuple[str, str]]:
    return await muster.tools.problems(people.project_id, names, configs)


async def shop(people: People, base_url: str, **configuration: Any) -> dict[str, Any]:
    return await made(
        people.editor,
        name="shop",
        tool_type="openapi",
        configuration={"document": DOCUMENT, "base_url": base_url, **configuration},
    )


def face(tool: BoundTool) -> tuple[str, str, str | None, bool]:
    return tool.name, tool.step_kind, tool.verb, tool.idempotent


async def test_nothing_is_bound_by_no_name(muster: Muster, people: People) -> None:
    assert await bound(muster, people) == []
    assert await problems(muster, people) == []


async def test_tools_are_bound_in_their_order_and_once(muster: Muster, people: People) -> None:
    tool = await custom(people, ENDPOINT)

    tools = await bound(
        muster, people, "current_time", "Custom Search Tool", tool["id"], "calculator"
    )

    assert [face(tool) for tool in tools] == [
        ("current_time", "step.self", "GET", True),
        ("custom_search_tool", "step.resource", "POST", False),
        ("calculator", "step.exec", None, True),
    ]
    assert tools[1].spec.description == "A tool for searching specific databases"


async def test_a_name_comes_before_a_title_and_an_id_before_both(
    muster: Muster, people: People
) -> None:
    first = await custom(people, ENDPOINT, name="first", title="second")
    second = await custom(people, ENDPOINT, name="second", title=first["id"])

    tools = await bound(muster, people, "second", first["id"])

    assert [tool.name for tool in tools] == ["second", "first"]
    assert second["title"] == first["id"]


async def test_a_tool_of_the_project_goes_before_one_of_the_product(
    muster: Muster, people: People
) -> None:
    await custom(people, ENDPOINT, name="calculator")

    own = await bound(muster, people, "calculator")
    other = await muster.tools.bind(people.other_project_id, ["calculator"], {})

    assert own[0].kind == "custom"
    assert other[0].kind == "builtin"


async def test_unknown_names_are_named(muster: Muster, people: People) -> None:
    with pytest.raises(ToolUnknown) as caught:
        await bound(muster, people, "calculator", "nothing", "no__thing", "calculator__x")

    assert caught.value.details == {"tools": ["nothing", "no__thing", "calculator__x"]}
    assert caught.value.status == 409
    found = await problems(muster, people, "calculator", "nothing")
    assert [name for name, _ in found] == ["nothing"]


async def test_the_tools_of_another_project_are_unknown(muster: Muster, people: People) -> None:
    tool = await custom(people, ENDPOINT)

    with pytest.raises(ToolUnknown):
        await muster.tools.bind(people.other_project_id, [tool["id"]], {})


async def test_the_operations_of_a_document_are_bound(
    muster: Muster, people: People, base_url: str
) -> None:
    await shop(people, base_url)

    tools = await bound(muster, people, "shop")

    assert [face(tool) for tool in tools] == [
        ("shop__getItem", "step.resource", "GET", True),
        ("shop__putItem", "step.resource", "PATCH", True),
        ("shop__add_item", "step.resource", "POST", False),
    ]


async def test_a_single_function_can_be_named(
    muster: Muster, people: People, base_url: str
) -> None:
    await shop(people, base_url)

    tools = await bound(muster, people, "shop__getItem", "shop__add_item")

    assert [tool.name for tool in tools] == ["shop__getItem", "shop__add_item"]
    with pytest.raises(ToolUnknown):
        await bound(muster, people, "shop__nothing")
    found = await problems(muster, people, "shop__nothing")
    assert "has no function 'nothing'" in found[0][1]


async def test_two_tools_never_share_a_name(muster: Muster, people: People, base_url: str) -> None:
    await shop(people, base_url)
    own = await custom(people, ENDPOINT, name="shop__getItem")

    tools = await bound(muster, people, "shop", own["id"])

    assert tools[0].name == "shop__getItem"
    assert [tool.name for tool in tools][3:] == ["shop__getItem_2"]
    assert tools[3].kind == "custom"


async def test_the_functions_can_be_restricted(
    muster: Muster, people: People, base_url: str
) -> None:
    await shop(people, base_url, operations=["getItem", "add item"])

    own = await bound(muster, people, "shop")
    agents = await bound(muster, people, "shop", shop={"operations": ["getItem"]})

    assert [tool.name for tool in own] == ["shop__getItem", "shop__add_item"]
    assert [tool.name for tool in agents] == ["shop__getItem"]
    found = await problems(muster, people, "shop", shop={"operations": ["nothing"]})
    assert [name for name, _ in found] == ["shop"]
    assert "none that is allowed. Look at it again with POST /tools/shop/test." in found[0][1]


async def test_what_mcp_servers_say_of_their_tools_counts(
    muster: Muster, people: People, mcp_url: str
) -> None:
    await made(
        people.editor,
        name="bench",
        tool_type="mcp",
        configuration={"url": mcp_url, "tools": ["add", "echo"]},
    )

    tools = await bound(muster, people, "bench")
    one = await bound(muster, people, "bench", bench={"tools": ["echo"]})
    outcome = await tools[1].call({"text": "hi"}, ToolContext(project_id=people.project_id))

    assert [face(tool) for tool in tools] == [
        ("bench__add", "step.resource", "GET", True),
        ("bench__echo", "step.resource", "POST", False),
    ]
    assert [tool.name for tool in one] == ["bench__echo"]
    assert outcome.content == "hi"


async def test_an_author_says_whether_calls_may_be_repeated(muster: Muster, people: People) -> None:
    await custom(people, ENDPOINT, idempotent=True)

    tools = await bound(muster, people, "custom_search_tool")

    assert tools[0].idempotent is True


async def test_disabled_tools_are_bound_and_say_so(muster: Muster, people: People) -> None:
    await custom(people, ENDPOINT, enabled=False, requires_approval=True)

    tools = await bound(muster, people, "custom_search_tool")

    assert (tools[0].enabled, tools[0].requires_approval) == (False, True)
    assert len(await problems(muster, people, "custom_search_tool")) == 1


async def test_the_time_limit_is_the_tools_or_long_enough(muster: Muster, people: People) -> None:
    await custom(people, ENDPOINT, name="short", timeout_s=3)
    await custom(
        people, "", name="long", configuration={"api_endpoint": ENDPOINT, "timeout_s": 200}
    )

    tools = await bound(muster, people, "short", "long", "calculator", "ask_agent")

    assert [tool.timeout_s for tool in tools] == [3, 210, 60, 3_600]


async def test_an_agent_fixes_arguments_of_a_tool_of_the_product(
    muster: Muster, people: People
) -> None:
    tools = await bound(muster, people, "calculator", calculator={"expression": "20 + 1"})
    outcome = await tools[0].call({}, ToolContext(project_id=people.project_id))

    assert tools[0].spec.parameters["properties"] == {}
    assert tools[0].spec.parameters["required"] == []
    assert outcome.content["result"] == 21


@pytest.mark.parametrize(
    ("tool", "config"),
    [
        ("calculator", {"nothing": 1}),
        ("calculator", {"expression": 5}),
        ("custom_search_tool", {"api_endpoint": "http://127.0.0.1:8"}),
        ("custom_search_tool", {"parameters": 5}),
        ("code", {"source": "def run(): pass"}),
        ("code", {"limits": {"wall_s": 100_000}}),
        ("expert", {"agent": "other"}),
        ("bench", {"command": "sh"}),
        ("bench", {"headers": {"X-A": {"$secret": 5}}}),
        ("lookup", {"url": "http://127.0.0.1:8"}),
        ("lookup", {"headers": {"X-A": {"$secret": 5}}}),
        ("shop", {"base_url": "http://127.0.0.1:8"}),
    ],
)
async def test_an_agent_cannot_set_where_a_call_goes_nor_what_does_not_fit(
    muster: Muster, people: People, tool: str, config: dict[str, Any]
) -> None:
    await custom(people, ENDPOINT)
    definitions: list[tuple[str, str, dict[str, Any]]] = [
        ("code", "python", {"source": COUNT_WORDS}),
        ("expert", "agent", {"agent": "expert"}),
        ("bench", "mcp", {"url": "http://127.0.0.1:9"}),
        ("lookup", "http", {"url": ENDPOINT}),
        ("shop", "openapi", {"document": DOCUMENT}),
    ]
    for name, kind, configuration in definitions:
        await made(people.editor, name=name, tool_type=kind, configuration=configuration)

    found = await problems(muster, people, tool, **{tool: config})

    assert [name for name, _ in found] == [tool]
    with pytest.raises(ToolConfigurationInvalid):
        await bound(muster, people, tool, **{tool: config})


async def test_an_agents_configuration_goes_over_the_tools(
    muster: Muster, people: People, echo: EchoServer, base_url: str
) -> None:
    await made(
        people.editor,
        name="lookup",
        tool_type="http",
        configuration={"url": base_url, "query": {"lang": "en"}},
    )

    tools = await bound(muster, people, "lookup", lookup={"query": {"lang": "de"}})
    await tools[0].call({}, ToolContext(project_id=people.project_id))

    assert echo.requests[0]["query"] == "lang=de"


async def test_a_step_sends_its_key_with_what_must_happen_once(
    muster: Muster, people: People, echo: EchoServer, base_url: str
) -> None:
    await custom(people, base_url)
    context = ToolContext(project_id=people.project_id, run_id="r1").for_step("s1")

    tools = await bound(muster, people, "custom_search_tool")
    await tools[0].call({}, context)

    assert echo.requests[0]["headers"]["idempotency-key"] == "r1:s1"


async def test_code_gets_a_folder_of_its_own_in_the_workspace(
    muster: Muster, people: People, tmp_path: Path
) -> None:
    source = "def run():\n    open('note.txt', 'w').write('hello')\n    return 1\n"
    await made(
        people.editor,
        name="code",
        tool_type="python",
        configuration={"source": source, "workspace": True},
    )
    tmp_path.chmod(0o755)
    (tmp_path / "mine.txt").write_text("not for the sandbox")
    owner = (tmp_path / "mine.txt").stat().st_uid

    tools = await bound(muster, people, "code")
    context = ToolContext(project_id=people.project_id, run_id="r", workspace=tmp_path)
    outcome = await tools[0].call({}, context)
    without = await tools[0].call({}, ToolContext(project_id=people.project_id))

    assert face(tools[0]) == ("code", "step.exec", None, False)
    assert (outcome.content, without.content) == (1, 1)
    assert (tmp_path / "python" / "note.txt").read_text() == "hello"
    assert (tmp_path / "mine.txt").stat().st_uid == owner


@pytest.mark.parametrize(
    ("name", "arguments"),
    [("expert", {"prompt": "Why?"}), ("ask_agent", {"agent": "sage", "prompt": "Why?"})],
)
async def test_another_agent_is_asked_in_a_run(
    muster: Muster, people: People, name: str, arguments: dict[str, Any]
) -> None:
    await made(
        people.editor,
        name="expert",
        tool_type="agent",
        configuration={"agent": "sage", "description": "Knows why."},
    )
    asked: list[tuple[str, str, str]] = []

    async def ask(agent: str, prompt: str, step_key: str) -> ToolOutcome:
        asked.append((agent, prompt, step_key))
        return ToolOutcome(content="because")

    context = ToolContext(project_id=people.project_id, run_id="r", step_key="s", ask_agent=ask)

    tools = await bound(muster, people, name)
    outcome = await tools[0].call(arguments, context)

    assert face(tools[0]) == (name, "step.message", "POST", True)
    assert outcome.content == "because"
    assert asked == [("sage", "Why?", "s")]


async def test_a_call_that_takes_too_long_is_cut_off(
    muster: Muster, people: People, base_url: str
) -> None:
    configuration = {"api_endpoint": f"{base_url}/slow", "method": "GET"}
    await custom(people, "", configuration=configuration, timeout_s=0.1)
    tools = await bound(muster, people, "custom_search_tool")

    with pytest.raises(ToolTimeout):
        await tools[0].call({}, ToolContext(project_id=people.project_id))


async def test_a_tool_without_its_setting_is_a_problem(muster: Muster, people: People) -> None:
    found = await problems(muster, people, "web_search")

    assert found == [
        (
            "web_search",
            "The tool web_search needs MUSTER_TOOLS_SEARXNG_URL, which the operator has not set.",
        )
    ]


async def test_a_secret_that_an_agent_names_has_to_be_there(muster: Muster, people: People) -> None:
    await made(people.editor, name="lookup", tool_type="http", configuration={"url": ENDPOINT})
    config = {"headers": {"X-A": {"$secret": "mine"}}}

    before = await problems(muster, people, "lookup", lookup=config)
    await people.editor.post("/api-keys", json={"name": "mine", "key": "a value"})
    after = await problems(muster, people, "lookup", lookup=config)

    assert "'mine'" in before[0][1]
    assert after == []


class TestWithSearch:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(
            update={"tools": ToolsSettings(searxng_url="http://127.0.0.1:9")}
        )

    async def test_a_tool_with_its_setting_is_ready(self, muster: Muster, people: People) -> None:
        assert await problems(muster, people, "web_search") == []


async def test_commands_that_were_turned_off_since_are_not_started(
    muster: Muster, people: People
) -> None:
    await made(people.superadmin, name="bench", tool_type="mcp", configuration=STDIO)
    ready = await problems(muster, people, "bench")
    object.__setattr__(muster.tools.services, "mcp_stdio", False)

    tools = await bound(muster, people, "bench__add")
    found = await problems(muster, people, "bench")

    assert ready == []
    assert "MUSTER_TOOLS_MCP_STDIO" in found[0][1]
    with pytest.raises(Exception, match="MUSTER_TOOLS_MCP_STDIO"):
        await tools[0].call({"a": 1, "b": 1}, ToolContext(project_id=people.project_id))


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("Custom Search Tool", "custom_search_tool"),
        ("already-Safe_1", "already-Safe_1"),
        ("Übersicht (neu)", "ubersicht_neu"),
        ("x" * 80, "x" * 64),
    ],
)
def test_names_are_made_safe(given: str, name: str) -> None:
    assert tool_name(given) == name


def test_names_of_functions_are_safe_and_apart() -> None:
    long = function_name("tool", "f" * 80)

    assert function_name("tool", "plain") == "tool__plain"
    assert len(long) == 64
    assert long != function_name("tool", "f" * 81)
    assert function_name("tool", "a b") != function_name("tool", "a_b")


def test_a_reference_is_split_in_every_way() -> None:
    assert list(split_candidates("a__b__c")) == [("a", "b__c"), ("a__b", "c")]
    assert list(split_candidates("__a")) == []
