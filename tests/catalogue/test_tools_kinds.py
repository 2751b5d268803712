"""Each kind of tool, called for real through the test of a tool."""

import asyncio
from typing import Any

import pytest

from muster.entrypoints.assembly import Muster
from tests.catalogue.tools_setting import (
    COUNT_WORDS,
    DOCUMENT,
    base_url,
    custom,
    echo,
    made,
    refused,
    tried,
)
from tests.platform.recorded import recorded
from tests.support.echo_server import EchoServer
from tests.support.people import People

__all__ = ["base_url", "echo"]

pytestmark = pytest.mark.anyio

REFUSED = "http://169.254.169.254/latest"


async def http(people: People, **configuration: Any) -> dict[str, Any]:
    return await made(people.editor, name="lookup", tool_type="http", configuration=configuration)


async def python(people: People, source: str, **fields: Any) -> dict[str, Any]:
    configuration = {"source": source, **fields.pop("configuration", {})}
    return await made(
        people.editor, name="code", tool_type="python", configuration=configuration, **fields
    )


async def test_a_tool_of_the_product_is_called(muster: Muster, people: People) -> None:
    result = await tried(people.operator, "calculator", arguments={"expression": "6 * 7"})

    assert result["ok"] is True
    assert result["content"]["result"] == 42
    assert result["error"] is None
    assert result["duration_ms"] >= 0
    events = await recorded(muster, "tool.tested", chain=people.project_id)
    assert [(e.data["name"], e.data["ok"]) for e in events] == [("calculator", True)]


async def test_arguments_that_do_not_fit_are_an_answer(people: People) -> None:
    result = await tried(people.operator, "calculator", arguments={"sum": 1})

    assert (result["ok"], result["is_error"]) == (False, True)
    assert result["content"]["error"] == "tool_input_invalid"


async def test_arguments_of_a_tool_of_the_product_can_be_fixed(people: People) -> None:
    fixed = {"expression": "2 + 3"}

    result = await tried(people.editor, "calculator", configuration=fixed)
    wrong = await people.editor.post("/tools/calculator/test", json={"configuration": {"x": 1}})

    assert result["content"]["result"] == 5
    assert wrong.status_code == 422
    assert wrong.json()["error"] == "tool_configuration_invalid"


async def test_a_custom_tool_sends_its_arguments_as_json(
    people: People, echo: EchoServer, base_url: str
) -> None:
    parameters = {"query": "string", "limit": 5}
    tool = await custom(
        people,
        "unused",
        configuration={"api_endpoint": f"{base_url}/search", "parameters": parameters},
    )

    result = await tried(people.operator, tool["name"], arguments={"query": "muster"})

    assert result["ok"] is True
    assert result["content"]["body"]["method"] == "POST"
    assert echo.requests[0]["body"] == '{"query": "muster", "limit": 5}'
    assert result["properties"]["status"] == 200


async def test_a_custom_tool_keeps_to_the_schema_it_was_given(
    people: People, echo: EchoServer, base_url: str
) -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    tool = await custom(people, f"{base_url}/search", input_schema=schema)

    wrong = await tried(people.operator, tool["name"])
    right = await tried(people.operator, tool["name"], arguments={"q": "x"})

    assert wrong["content"]["error"] == "tool_input_invalid"
    assert right["ok"] is True
    assert len(echo.requests) == 1


async def test_a_failing_server_is_an_answer(people: People, base_url: str) -> None:
    tool = await custom(people, f"{base_url}/status/418")

    result = await tried(people.operator, tool["name"])

    assert (result["ok"], result["is_error"]) == (False, True)
    assert "418" in result["content"]


async def test_an_http_tool_fills_its_template(people: People, base_url: str) -> None:
    tool = await http(people, url=f"{base_url}/items/{{item}}", query={"lang": "{lang}"})

    result = await tried(people.operator, "lookup", arguments={"item": "a b", "lang": "en"})

    assert tool["idempotent"] is True
    assert tool["input_schema"]["required"] == ["item", "lang"]
    assert result["content"]["body"]["path"] == "/items/a%20b"
    assert result["content"]["body"]["query"] == "lang=en"


async def test_a_tool_that_takes_too_long_is_given_up(people: People, base_url: str) -> None:
    configuration = {"api_endpoint": f"{base_url}/slow", "method": "GET"}
    tool = await custom(people, "", configuration=configuration, timeout_s=0.2)

    result = await tried(people.operator, tool["name"], arguments={})

    assert result["error"]["code"] == "tool_timeout"
    assert result["ok"] is False


@pytest.mark.parametrize(
    ("tool_type", "configuration"),
    [
        ("custom", {"api_endpoint": REFUSED}),
        ("http", {"url": f"{REFUSED}/{{x}}"}),
        ("mcp", {"url": REFUSED}),
        ("openapi", {"url": REFUSED}),
        ("openapi", {"document": DOCUMENT, "base_url": REFUSED}),
    ],
)
async def test_an_address_that_may_not_be_reached_is_refused_at_once(
    people: People, tool_type: str, configuration: dict[str, Any]
) -> None:
    status, code, _ = await refused(people.editor, tool_type=tool_type, configuration=configuration)

    assert (status, code) == (403, "address_refused")


async def test_a_redirect_to_such_an_address_is_refused_in_the_call(
    people: People, base_url: str
) -> None:
    await http(people, url=f"{base_url}/away?to={REFUSED}")

    result = await tried(people.operator, "lookup")

    assert result["ok"] is False
    assert result["error"]["code"] == "address_refused"


@pytest.mark.parametrize(
    ("tool_type", "configuration"),
    [
        ("custom", {}),
        ("custom", {"api_endpoint": "ftp://example.com"}),
        ("custom", {"api_endpoint": "http://127.0.0.1", "parameters": {"properties": {"a": 5}}}),
        ("custom", {"api_endpoint": "http://127.0.0.1", "parameters": {"token": "in the clear"}}),
        ("custom", {"api_endpoint": "http://127.0.0.1", "api_key_name": 5}),
        ("http", {"url": "http://127.0.0.1", "api_key_name": "x", "auth": {"type": "none"}}),
        ("http", {"url": "http://127.0.0.1", "nonsense": True}),
        ("http", {"url": "http://127.0.0.1", "headers": {"A": {"$secret": ""}}}),
        ("http", {"url": "http://127.0.0.1", "headers": {"A": {"$secret": "x", "y": 1}}}),
        ("openapi", {}),
        ("openapi", {"info": {"title": "made up"}}),
        ("openapi", {"url": "http://127.0.0.1", "document": DOCUMENT}),
        ("openapi", {"document": "nothing"}),
        ("openapi", {"document": {"swagger": "2.0"}}),
        ("mcp", {}),
        ("mcp", {"url": "http://127.0.0.1", "tools": 5}),
        ("python", {"source": ""}),
        ("python", {"source": COUNT_WORDS, "limits": {"memory_mb": 100_000}}),
        ("python", {"source": COUNT_WORDS, "limits": {"wall_s": {"$secret": "x"}}}),
        ("agent", {}),
    ],
)
async def test_a_configuration_that_cannot_be_used_is_refused(
    people: People, tool_type: str, configuration: dict[str, Any]
) -> None:
    status, code, _ = await refused(people.editor, tool_type=tool_type, configuration=configuration)

    assert (status, code) == (422, "tool_configuration_invalid")


async def test_code_is_run_in_the_sandbox(people: People) -> None:
    tool = await python(people, COUNT_WORDS)

    result = await tried(people.operator, "code", arguments={"text": "one two three"})

    assert tool["input_schema"]["required"] == ["text"]
    assert tool["idempotent"] is True
    assert result["content"] == {"count": 3}
    assert result["properties"]["stdout"] == "counting\n"


async def test_code_with_a_fault_is_refused_with_its_line(people: People) -> None:
    answer = await people.editor.post(
        "/tools",
        json={
            "name": "code",
            "tool_type": "python",
            "configuration": {"source": "x = 1\ndef run(:\n    pass\n"},
        },
    )

    assert answer.status_code == 422
    assert answer.json()["error"] == "tool_code_invalid"
    assert "Line 2" in answer.json()["message"]
    assert answer.json()["errors"][0]["field"] == "configuration.source:2"


async def test_code_that_fails_is_an_answer_with_the_line(people: People) -> None:
    await python(people, "def run():\n    return 1 / 0\n")

    result = await tried(people.operator, "code")

    assert (result["ok"], result["is_error"]) == (False, True)
    assert result["content"]["error"] == "tool_code_failed"
    assert "line 2" in result["content"]["message"]
    assert result["properties"]["exception"] == "ZeroDivisionError"


async def test_code_is_bounded_by_its_limits(people: People) -> None:
    source = "def run():\n    while True: pass\n"
    await python(people, source, configuration={"limits": {"wall_s": 0.5}})

    result = await tried(people.operator, "code")

    assert result["content"]["error"] == "tool_code_timeout"


async def test_no_more_code_runs_at_once_than_there_are_places(
    muster: Muster, people: People
) -> None:
    source = "import time\ndef run():\n    time.sleep(0.3)\n    return time.time()\n"
    await python(people, source)
    slots = muster.tools.services.python_slots
    for _ in range(3):
        await slots.acquire()

    first, second = await asyncio.gather(
        tried(people.operator, "code"), tried(people.operator, "code")
    )
    for _ in range(3):
        slots.release()

    assert abs(first["content"] - second["content"]) >= 0.3


async def test_a_schema_of_the_authors_own_goes_before_that_of_the_code(people: People) -> None:
    schema = {"type": "object", "properties": {"text": {"type": "string", "minLength": 3}}}

    tool = await python(people, COUNT_WORDS, input_schema=schema)

    assert tool["input_schema"] == schema


async def test_each_operation_of_a_document_is_a_function(people: People, base_url: str) -> None:
    tool = await made(
        people.editor,
        name="shop",
        tool_type="openapi",
        configuration={"document": DOCUMENT, "base_url": base_url},
    )

    result = await tried(people.operator, "shop", function="getItem", arguments={"item": "7"})
    by_name = await tried(people.operator, "shop__getItem", arguments={"item": "8"})

    assert [f["name"] for f in tool["functions"]] == ["getItem", "putItem", "add_item"]
    assert tool["functions"][0]["called_as"] == "shop__getItem"
    assert tool["functions"][0]["input_schema"]["required"] == ["item"]
    assert (tool["input_schema"], tool["idempotent"]) == (None, None)
    assert tool["configuration"] == {
        "base_url": base_url,
        "info": {"title": "Shop", "version": "2", "operations": 3, "skipped": []},
    }
    assert result["content"]["body"]["path"] == "/items/7"
    assert by_name["content"]["body"]["path"] == "/items/8"
    listed = (await people.viewer.get("/tools", params={"kind": "openapi"})).json()["items"][0]
    assert listed["functions"][0]["input_schema"] is None


async def test_a_schema_in_a_document_that_is_none_lets_everything_through(
    people: People, base_url: str
) -> None:
    await made(
        people.editor,
        name="shop",
        tool_type="openapi",
        configuration={"document": DOCUMENT, "base_url": base_url},
    )

    result = await tried(people.operator, "shop", function="putItem", arguments={"item": "7"})
    wrong = await tried(people.operator, "shop", function="putItem", arguments={"other": "7"})

    assert result["content"]["body"]["method"] == "PUT"
    assert wrong["content"]["error"] == "tool_input_invalid"


async def test_a_document_is_read_from_its_address_and_read_again(
    people: People, echo: EchoServer, base_url: str
) -> None:
    text = "openapi: 3.0.0\ninfo: {title: Pages, version: '1'}\npaths: {/a: {get: {}}}\n"
    echo.pages["api"] = (text, "application/yaml")
    tool = await made(
        people.editor,
        name="pages",
        tool_type="openapi",
        configuration={"url": f"{base_url}/page/api"},
    )
    echo.pages["api"] = (text.replace("/a:", "/b:"), "application/yaml")

    looked = await tried(people.editor, "pages")
    after = (await people.viewer.get("/tools/pages")).json()

    assert [f["name"] for f in tool["functions"]] == ["get_a"]
    assert looked["content"] == {"functions": ["get_b"]}
    assert [f["name"] for f in after["functions"]] == ["get_b"]
    result = await tried(people.operator, "pages", function="get_b")
    assert result["content"]["body"]["path"] == "/b"


async def test_the_functions_of_an_inline_document_stay(people: People, base_url: str) -> None:
    tool = await made(
        people.editor,
        name="shop",
        tool_type="openapi",
        configuration={"document": DOCUMENT, "base_url": base_url},
    )
    configuration = {**tool["configuration"], "operations": ["getItem"]}

    answer = await people.editor.patch("/tools/shop", json={"configuration": configuration})

    offered = {f["name"]: f["offered"] for f in answer.json()["functions"]}
    assert offered == {"getItem": True, "putItem": False, "add_item": False}
    assert (await people.viewer.get("/tools/shop__getItem")).status_code == 404
    refused_call = await people.operator.post("/tools/shop/test", json={"function": "putItem"})
    assert refused_call.status_code == 409
    assert refused_call.json()["error"] == "tool_unknown"


async def test_an_address_without_a_document_defines_nothing(people: People, base_url: str) -> None:
    status, code, _ = await refused(
        people.editor, tool_type="openapi", configuration={"url": f"{base_url}/status/500"}
    )

    assert (status, code) == (502, "tool_failed")


@pytest.mark.parametrize("arguments", [{}, {"a": 1}])
async def test_a_function_has_to_be_named(
    people: People, base_url: str, arguments: dict[str, Any]
) -> None:
    await made(
        people.editor,
        name="shop",
        tool_type="openapi",
        configuration={"document": DOCUMENT, "base_url": base_url},
    )

    answer = await people.operator.post("/tools/shop/test", json={"arguments": arguments})
    other = await people.editor.post("/tools/shop/test", json={"configuration": {"retries": 1}})

    assert (answer.status_code, other.status_code) == (422, 422)
    assert "getItem, putItem, add_item" in answer.json()["message"]


async def test_an_agent_can_only_be_asked_in_a_run(people: People) -> None:
    tool = await made(
        people.editor, name="expert", tool_type="agent", configuration={"agent": "expert"}
    )

    result = await tried(people.operator, "expert", arguments={"prompt": "Why?"})

    assert tool["idempotent"] is True
    assert tool["input_schema"]["required"] == ["prompt"]
    assert result["error"]["code"] == "tool_failed"


async def test_a_tool_that_needs_approval_is_tested_by_editors(people: People) -> None:
    await people.editor.patch("/tools/calculator", json={"requires_approval": True})
    body = {"arguments": {"expression": "1"}}

    operator = await people.operator.post("/tools/calculator/test", json=body)
    editor = await people.editor.post("/tools/calculator/test", json=body)

    assert (operator.status_code, operator.json()["error"]) == (403, "tool_test_refused")
    assert editor.json()["ok"] is True


async def test_a_disabled_tool_is_tested_by_editors(people: People) -> None:
    await people.editor.patch("/tools/calculator/toggle-enabled")
    body = {"arguments": {"expression": "1"}}

    operator = await people.operator.post("/tools/calculator/test", json=body)
    editor = await people.editor.post("/tools/calculator/test", json=body)

    assert (operator.status_code, operator.json()["error"]) == (409, "tool_disabled")
    assert editor.json()["ok"] is True


async def test_another_configuration_is_tried_by_editors(people: People, base_url: str) -> None:
    tool = await custom(people, f"{base_url}/one")
    body = {"configuration": {"api_endpoint": f"{base_url}/two"}}

    operator = await people.operator.post(f"/tools/{tool['name']}/test", json=body)
    editor = await tried(people.editor, tool["name"], **body)

    assert (operator.status_code, operator.json()["error"]) == (403, "tool_test_refused")
    assert editor["content"]["body"]["path"] == "/two"
    shown = (await people.viewer.get(f"/tools/{tool['name']}")).json()
    assert shown["configuration"] == tool["configuration"]
