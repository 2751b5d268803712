"""Tools through HTTP: listing, defining, changing, switching, deleting, and who may do it."""

import httpx2
import pytest

from muster.entrypoints.assembly import Muster
from tests.catalogue.tools_setting import COUNT_WORDS, custom, made, refused
from tests.platform.recorded import recorded
from tests.support.people import People

pytestmark = pytest.mark.anyio

ENDPOINT = "http://127.0.0.1:9/search"


async def test_the_documented_tool_can_be_defined(muster: Muster, people: People) -> None:
    answer = await people.editor.post(
        "/tools",
        json={
            "name": "Custom Search Tool",
            "description": "A tool for searching specific databases",
            "tool_type": "custom",
            "configuration": {"api_endpoint": ENDPOINT, "parameters": {}},
            "enabled": True,
        },
    )

    assert answer.status_code == 201
    tool = answer.json()
    assert tool["name"] == "custom_search_tool"
    assert tool["title"] == "Custom Search Tool"
    assert tool["tool_type"] == tool["kind"] == "custom"
    assert tool["configuration"] == tool["config"] == {"api_endpoint": ENDPOINT, "parameters": {}}
    assert tool["enabled"] is True
    assert tool["requires_approval"] is False
    assert tool["idempotent"] is False
    assert tool["input_schema"] == {"type": "object", "properties": {}}
    assert tool["functions"] is None
    assert tool["source"] == "project"
    assert tool["group_id"] == people.project_id
    events = await recorded(muster, "tool.created", chain=people.project_id)
    assert [event.data for event in events] == [
        {"tool_id": tool["id"], "name": "custom_search_tool", "kind": "custom"}
    ]


@pytest.mark.parametrize("by", ["id", "name", "title"])
async def test_a_tool_is_found_by(people: People, by: str) -> None:
    tool = await custom(people, ENDPOINT)

    answer = await people.viewer.get(f"/tools/{tool[by]}")

    assert answer.status_code == 200
    assert answer.json()["id"] == tool["id"]
    assert answer.json()["configuration_status"] == {"is_ready": True, "issues": []}


async def test_the_other_spellings_of_the_fields_are_understood(people: People) -> None:
    tool = await made(people.editor, name="x", kind="CUSTOM", config={"api_endpoint": ENDPOINT})

    assert tool["kind"] == "custom"
    assert tool["config"] == {"api_endpoint": ENDPOINT}


async def test_two_spellings_that_differ_are_refused(people: People) -> None:
    status, code, _ = await refused(people.editor, kind="http")

    assert (status, code) == (422, "validation_error")


@pytest.mark.parametrize("body", [[], "text", None])
async def test_a_body_that_is_no_object_is_refused(people: People, body: object) -> None:
    answer = await people.editor.post("/tools", json=body)

    assert answer.status_code == 422


async def test_a_name_is_used_once_in_a_project(people: People) -> None:
    await custom(people, ENDPOINT)

    status, code, _ = await refused(
        people.editor, name="custom search  tool", configuration={"api_endpoint": ENDPOINT}
    )
    other = await made(
        people.outsider,
        name="Custom Search Tool",
        tool_type="custom",
        configuration={"api_endpoint": ENDPOINT},
    )

    assert (status, code) == (409, "tool_name_taken")
    assert other["name"] == "custom_search_tool"


async def test_a_name_without_letters_is_refused(people: People) -> None:
    status, code, _ = await refused(
        people.editor, name="搜索", configuration={"api_endpoint": ENDPOINT}
    )

    assert (status, code) == (422, "tool_name_invalid")


async def test_the_list_has_the_projects_tools_and_those_of_the_product(people: People) -> None:
    tool = await custom(people, ENDPOINT)

    answer = await people.viewer.get("/tools", params={"limit": 5})

    page = answer.json()
    assert page["items"][0]["id"] == tool["id"]
    assert page["items"][1]["source"] == "builtin"
    assert page["items"][1]["created_at"] is None
    assert page["total"] > page["limit"] == len(page["items"]) == 5
    assert page["has_more"] is True


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"kind": "custom"}, {"custom_search_tool"}),
        ({"tool_type": "Custom"}, {"custom_search_tool"}),
        ({"kind": "custom", "tool_type": "http"}, set()),
        ({"search": "arithmetic"}, {"calculator"}),
        ({"enabled": False}, {"custom_search_tool"}),
    ],
)
async def test_the_list_can_be_filtered(
    people: People, params: dict[str, str | bool], names: set[str]
) -> None:
    await custom(people, ENDPOINT, enabled=False)

    answer = await people.viewer.get("/tools", params=params)

    assert {tool["name"] for tool in answer.json()["items"]} == names


async def test_the_enabled_tools_are_listed(people: People) -> None:
    await custom(people, ENDPOINT)
    await people.editor.patch("/tools/calculator/toggle-enabled")

    page = (await people.viewer.get("/tools/enabled")).json()

    names = {tool["name"] for tool in page["items"]}
    assert "custom_search_tool" in names
    assert "current_time" in names
    assert "calculator" not in names
    assert page["total"] == len(names)


async def test_a_tool_of_the_project_takes_the_place_of_one_of_the_product(people: People) -> None:
    own = await custom(people, ENDPOINT, name="calculator")

    found = (await people.viewer.get("/tools/calculator")).json()
    page = (await people.viewer.get("/tools", params={"search": "calculator"})).json()

    assert found["id"] == own["id"]
    assert [tool["id"] for tool in page["items"]] == [own["id"]]


async def test_toggling_switches_and_says_so(muster: Muster, people: People) -> None:
    tool = await custom(people, ENDPOINT)

    off = await people.editor.patch(f"/tools/{tool['id']}/toggle-enabled")
    on = await people.editor.patch(f"/tools/{tool['name']}/toggle-enabled")

    assert off.json()["enabled"] is False
    assert off.json()["message"] == "Tool custom_search_tool disabled"
    assert on.json()["enabled"] is True
    events = await recorded(muster, "tool.toggled", chain=people.project_id)
    assert [event.data["enabled"] for event in events] == [False, True]


async def test_a_tool_of_the_product_is_switched_for_one_project(
    muster: Muster, people: People
) -> None:
    off = await people.editor.patch("/tools/calculator/toggle-enabled")
    again = await people.editor.patch("/tools/calculator/toggle-enabled")
    await people.editor.patch("/tools/calculator/toggle-enabled")

    assert off.json()["enabled"] is False
    assert again.json()["enabled"] is True
    shown = (await people.viewer.get("/tools/calculator")).json()
    assert shown["configuration_status"]["issues"] == [
        "The tool calculator is disabled; enable it or take it off the agent."
    ]
    assert (await people.outsider.get("/tools/calculator")).json()["enabled"] is True
    assert len(await recorded(muster, "tool.toggled", chain=people.project_id)) == 3


async def test_what_can_be_set_of_a_tool_of_the_product(muster: Muster, people: People) -> None:
    changes = {"requires_approval": True, "timeout_s": 5}

    first = await people.editor.put("/tools/calculator", json=changes)
    second = await people.editor.patch("/tools/calculator", json=changes)

    assert first.json()["requires_approval"] is True
    assert second.json()["timeout_s"] == 5
    events = await recorded(muster, "tool.updated", chain=people.project_id)
    assert [event.data["changed"] for event in events] == [["requires_approval", "timeout_s"]]


@pytest.mark.parametrize("field", [{"description": "Mine"}, {"configuration": {"x": 1}}])
async def test_the_rest_of_a_tool_of_the_product_stays(
    people: People, field: dict[str, object]
) -> None:
    answer = await people.editor.patch("/tools/calculator", json=field)

    assert answer.status_code == 409
    assert answer.json()["error"] == "builtin_tool"


async def test_a_tool_of_the_product_cannot_be_deleted(people: People) -> None:
    answer = await people.editor.delete("/tools/calculator")

    assert answer.status_code == 409
    assert answer.json()["error"] == "builtin_tool"


@pytest.mark.parametrize("method", ["put", "patch"])
async def test_only_the_given_fields_change(muster: Muster, people: People, method: str) -> None:
    tool = await custom(people, ENDPOINT, icon="search", timeout_s=9, idempotent=True)

    answer = await people.editor.request(
        method.upper(), f"/tools/{tool['id']}", json={"description": "New", "timeout_s": None}
    )

    changed = answer.json()
    assert changed["description"] == "New"
    assert changed["timeout_s"] is None
    assert (changed["icon"], changed["idempotent"]) == ("search", True)
    assert changed["configuration"] == tool["configuration"]
    events = await recorded(muster, "tool.updated", chain=people.project_id)
    assert [event.data["changed"] for event in events] == [["description", "timeout_s"]]


async def test_what_was_read_can_be_sent_back(muster: Muster, people: People) -> None:
    await custom(people, ENDPOINT)
    shown = (await people.editor.get("/tools/custom_search_tool")).json()

    answer = await people.editor.put(f"/tools/{shown['id']}", json=shown)

    assert answer.status_code == 200
    assert answer.json() == {**shown, "configuration_status": None}
    assert await recorded(muster, "tool.updated", chain=people.project_id) == []


async def test_a_tool_can_be_renamed(people: People) -> None:
    tool = await custom(people, ENDPOINT)

    renamed = (await people.editor.patch(f"/tools/{tool['id']}", json={"name": "My Tool"})).json()
    same = (await people.editor.patch(f"/tools/{tool['id']}", json={"name": "My tool"})).json()

    assert (renamed["name"], renamed["title"]) == ("my_tool", "My Tool")
    assert same["title"] == "My Tool"


async def test_a_tool_cannot_take_the_name_of_another(people: People) -> None:
    tool = await custom(people, ENDPOINT)
    await custom(people, ENDPOINT, name="other")

    answer = await people.editor.patch(f"/tools/{tool['id']}", json={"name": "other"})

    assert answer.status_code == 409
    assert answer.json()["error"] == "tool_name_taken"


async def test_the_kind_of_a_tool_stays(people: People) -> None:
    tool = await custom(people, ENDPOINT)

    answer = await people.editor.patch(f"/tools/{tool['id']}", json={"kind": "http"})

    assert answer.status_code == 409
    assert answer.json()["error"] == "tool_kind_fixed"


async def test_an_input_schema_can_be_set_and_taken_away(people: People) -> None:
    schema = {"type": "object", "properties": {"q": {"type": "string"}}, "required": ["q"]}
    tool = await custom(people, ENDPOINT, input_schema=schema)

    without = await people.editor.patch(f"/tools/{tool['id']}", json={"input_schema": None})

    assert tool["input_schema"] == schema
    assert without.json()["input_schema"] == {"type": "object", "properties": {}}


@pytest.mark.parametrize(
    "fields",
    [
        {"input_schema": {"type": "array"}},
        {
            "tool_type": "agent",
            "configuration": {"agent": "x"},
            "input_schema": {"type": "object"},
        },
    ],
)
async def test_an_input_schema_that_cannot_be_is_refused(
    people: People, fields: dict[str, object]
) -> None:
    given = {"configuration": {"api_endpoint": ENDPOINT}, **fields}

    status, code, _ = await refused(people.editor, **given)

    assert (status, code) == (422, "tool_configuration_invalid")


async def test_a_deleted_tool_is_gone(muster: Muster, people: People) -> None:
    tool = await custom(people, ENDPOINT)

    answer = await people.editor.delete(f"/tools/{tool['id']}")

    assert answer.status_code == 204
    assert (await people.editor.get(f"/tools/{tool['id']}")).status_code == 404
    events = await recorded(muster, "tool.deleted", chain=people.project_id)
    assert [event.data["name"] for event in events] == ["custom_search_tool"]


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("custom", "api_endpoint"),
        ("http", "url"),
        ("openapi", "document"),
        ("mcp", "command"),
        ("python", "source"),
        ("agent", "agent"),
        ("custom_search_tool", "api_key_name"),
        ("web_search", "limit"),
    ],
)
async def test_the_schema_of_a_configuration(people: People, name: str, field: str) -> None:
    await custom(people, ENDPOINT)

    answer = await people.viewer.get(f"/tools/configurations/{name}/schema")

    assert answer.status_code == 200
    assert answer.json()["type"] == "object"
    assert field in answer.json()["properties"]


async def test_the_schema_of_the_tools_of_the_product_in_general(people: People) -> None:
    answer = await people.viewer.get("/tools/configurations/builtin/schema")

    assert answer.json()["properties"] == {}


async def test_there_is_no_schema_of_an_unknown_tool(people: People) -> None:
    answer = await people.viewer.get("/tools/configurations/nothing/schema")

    assert answer.status_code == 404
    assert answer.json()["message"] == "Schema for tool nothing not found"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PUT", "", {"enabled": False}),
        ("PATCH", "", {"enabled": False}),
        ("DELETE", "", None),
        ("PATCH", "/toggle-enabled", None),
        ("POST", "/test", {}),
    ],
)
async def test_nobody_reaches_the_tools_of_another_project(
    people: People, method: str, path: str, body: dict[str, object] | None
) -> None:
    tool = await custom(people, ENDPOINT)

    answer = await people.outsider.request(method, f"/tools/{tool['id']}{path}", json=body)

    assert answer.status_code == 404
    assert answer.json()["error"] == "tool_not_found"


async def test_viewers_and_operators_change_nothing(people: People) -> None:
    tool = await custom(people, ENDPOINT)
    fields = {"name": "x", "tool_type": "custom", "configuration": {"api_endpoint": ENDPOINT}}

    async def statuses(client: httpx2.AsyncClient) -> set[int]:
        one = f"/tools/{tool['id']}"
        return {
            (await client.post("/tools", json=fields)).status_code,
            (await client.put(one, json={"enabled": False})).status_code,
            (await client.patch(one, json={"enabled": False})).status_code,
            (await client.patch(f"{one}/toggle-enabled")).status_code,
            (await client.delete(one)).status_code,
            (await client.post("/tools/mcp/discover", json={"url": ENDPOINT})).status_code,
        }

    assert await statuses(people.viewer) == {403}
    assert await statuses(people.operator) == {403}
    assert (await people.viewer.post("/tools/calculator/test", json={})).status_code == 403


async def test_the_same_request_twice_defines_one_tool(people: People) -> None:
    body = {
        "name": "count",
        "tool_type": "python",
        "configuration": {"source": COUNT_WORDS},
    }
    headers = {"Idempotency-Key": "tool-1"}

    first = await people.editor.post("/tools", json=body, headers=headers)
    second = await people.editor.post("/tools", json=body, headers=headers)

    assert first.json() == second.json()
    assert second.headers["idempotency-replayed"] == "true"
