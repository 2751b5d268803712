"""Secrets of tools: into the vault, out of it for a call, and never into an answer."""

from typing import Any

import pytest
from sqlalchemy import select

from muster.domains.catalogue.tools.models import Tool
from muster.entrypoints.assembly import Muster
from muster.platform.events import EventRecord
from tests.catalogue.tools_setting import (
    STDIO,
    base_url,
    custom,
    echo,
    made,
    mcp_url,
    refused,
    tried,
)
from tests.support.echo_server import EchoServer
from tests.support.people import People

__all__ = ["base_url", "echo", "mcp_url"]

pytestmark = pytest.mark.anyio

SECRET = "s3cr3t-value-of-the-test"


async def keys(people: People) -> list[str]:
    page = (await people.editor.get("/api-keys")).json()
    return [key["name"] for key in page["items"]]


async def store(people: People, name: str, value: str = SECRET) -> None:
    answer = await people.editor.post("/api-keys", json={"name": name, "key": value})
    assert answer.status_code == 201


async def lookup(people: People, base_url: str, **configuration: Any) -> dict[str, Any]:
    given = {"url": f"{base_url}/items", **configuration}
    return await made(people.editor, name="lookup", tool_type="http", configuration=given)


async def everything_stored(muster: Muster) -> str:
    async with muster.database.read() as session:
        tools = [row.configuration for row in await session.scalars(select(Tool))]
        events = [row.data for row in await session.scalars(select(EventRecord))]
    return f"{tools} {events}"


@pytest.mark.parametrize(
    ("configuration", "path", "sent"),
    [
        ({"headers": {"X-API-Key": SECRET}}, "headers.X-API-Key", "headers"),
        ({"headers": {"Authorization": f"Bearer {SECRET}"}}, "headers.Authorization", "headers"),
        ({"query": {"key": SECRET}}, "query.key", "query"),
        (
            {"method": "POST", "body": {"login": {"password": SECRET}}},
            "body.login.password",
            "body",
        ),
        ({"method": "POST", "body": {"tokens": ["x" * 9, SECRET]}}, "body.tokens.1", "body"),
        ({"auth": {"type": "bearer", "token": SECRET}}, "auth", "headers"),
        (
            {"auth": {"type": "api_key", "header": "X-Key", "value": SECRET}},
            "auth",
            "headers",
        ),
    ],
)
async def test_a_value_in_the_clear_goes_into_the_vault(
    muster: Muster,
    people: People,
    echo: EchoServer,
    base_url: str,
    configuration: dict[str, Any],
    path: str,
    sent: str,
) -> None:
    answer = await people.editor.post(
        "/tools",
        json={
            "name": "lookup",
            "tool_type": "http",
            "configuration": {"url": f"{base_url}/items", **configuration},
        },
    )
    result = await people.operator.post("/tools/lookup/test", json={})

    assert answer.status_code == 201
    assert SECRET not in answer.text
    assert f"tool:lookup:{path}" in answer.text
    assert f"tool:lookup:{path}" in await keys(people)
    assert SECRET not in await everything_stored(muster)
    assert result.json()["ok"] is True
    assert SECRET in str(echo.requests[0][sent])
    assert SECRET not in result.text
    assert "***" in result.text


async def test_templates_and_harmless_fields_stay(people: People, base_url: str) -> None:
    query = {"api_key": "{api_key}", "token_type": "bearer", "key_name": "x", "n": 5}

    tool = await lookup(people, base_url, query=query)

    assert tool["configuration"]["query"] == query
    assert await keys(people) == []


async def test_a_key_of_the_vault_is_named(people: People, echo: EchoServer, base_url: str) -> None:
    await store(people, "Search key")
    tool = await custom(
        people,
        "unused",
        configuration={"api_endpoint": base_url, "api_key_name": "Search key"},
    )

    result = await tried(people.operator, tool["name"])

    assert tool["configuration"]["api_key_name"] == "Search key"
    assert echo.requests[0]["headers"]["authorization"] == f"Bearer {SECRET}"
    assert result["ok"] is True


async def test_a_missing_key_is_named_before_and_in_the_call(people: People, base_url: str) -> None:
    headers = {"X-A": {"$secret": "gone"}}
    await lookup(people, base_url, headers=headers)

    result = await tried(people.operator, "lookup")
    status = (await people.viewer.get("/tools/lookup")).json()["configuration_status"]

    assert result["error"]["code"] == "secret_not_found"
    assert status["is_ready"] is False
    assert "'gone'" in status["issues"][0]


async def test_a_secret_does_not_come_back_in_an_error(people: People, base_url: str) -> None:
    await store(people, "path", "hidden-part")
    await lookup(
        people, base_url, headers={"X-A": {"$secret": "path"}}, response={"path": "body.missing"}
    )
    await people.editor.patch(
        "/tools/lookup",
        json={"configuration": {"url": f"{base_url}/x", "headers": {"X-A\n": "b"}}},
    )

    result = await tried(people.operator, "lookup")

    assert result["is_error"] is True
    assert "hidden-part" not in str(result)


async def test_braces_in_a_secret_are_not_filled_in(people: People, base_url: str) -> None:
    await store(people, "odd", "abc{item}def")
    await lookup(people, base_url, headers={"X-A": {"$secret": "odd"}})

    result = await tried(people.operator, "lookup")

    assert result["error"]["code"] == "tool_configuration_invalid"
    assert "abc{item}def" not in str(result)


@pytest.mark.parametrize(
    ("tool_type", "field"), [("http", "url"), ("custom", "api_endpoint"), ("mcp", "url")]
)
async def test_a_secret_in_an_address_is_refused(
    people: People, tool_type: str, field: str
) -> None:
    address = f"http://127.0.0.1:9/?api_key={SECRET}"

    status, code, message = await refused(
        people.editor, tool_type=tool_type, configuration={field: address}
    )

    assert (status, code) == (422, "tool_configuration_invalid")
    assert SECRET not in message


async def test_an_address_that_is_none_is_refused(people: People) -> None:
    status, code, _ = await refused(
        people.editor, tool_type="http", configuration={"url": "http://[::1"}
    )

    assert (status, code) == (422, "tool_configuration_invalid")


async def test_a_secret_that_is_too_long_is_refused(people: People) -> None:
    configuration = {"url": "http://127.0.0.1:9", "headers": {"X-Token": "x" * 20_000}}

    status, code, _ = await refused(people.editor, tool_type="http", configuration=configuration)

    assert (status, code) == (422, "tool_configuration_invalid")


async def test_a_new_value_takes_the_place_of_the_old(
    people: People, echo: EchoServer, base_url: str
) -> None:
    tool = await lookup(people, base_url, headers={"X-API-Key": "the old value"})
    same = await people.editor.patch(
        "/tools/lookup",
        json={"configuration": {**tool["configuration"], "headers": {"X-API-Key": SECRET}}},
    )

    await tried(people.operator, "lookup")

    assert same.json()["configuration"] == tool["configuration"]
    assert await keys(people) == ["tool:lookup:headers.X-API-Key"]
    assert echo.requests[0]["headers"]["x-api-key"] == SECRET


async def test_secrets_that_nothing_refers_to_go_away(people: People, base_url: str) -> None:
    await store(people, "mine")
    headers = {"X-API-Key": "one value", "X-Token": "another value", "X-A": {"$secret": "mine"}}
    tool = await lookup(people, base_url, headers=headers)
    shared = tool["configuration"]["headers"]["X-Token"]
    await made(
        people.editor,
        name="other",
        tool_type="http",
        configuration={"url": base_url, "headers": {"X-Token": shared}},
    )

    await people.editor.patch("/tools/lookup", json={"configuration": {"url": base_url}})
    after_change = await keys(people)
    await people.editor.delete("/tools/other")

    assert after_change == ["mine", "tool:lookup:headers.X-Token"]
    assert await keys(people) == ["mine"]


async def test_deleting_a_tool_survives_a_secret_that_is_gone(
    people: People, base_url: str
) -> None:
    await lookup(people, base_url, headers={"X-API-Key": "one value"})
    await people.editor.delete("/api-keys/tool:lookup:headers.X-API-Key")

    answer = await people.editor.delete("/tools/lookup")

    assert answer.status_code == 204


async def test_a_tool_of_the_same_name_takes_no_secret_of_another(
    people: People, echo: EchoServer, base_url: str
) -> None:
    await lookup(people, base_url, headers={"X-API-Key": SECRET})
    await people.editor.patch("/tools/lookup", json={"name": "first"})

    await lookup(people, base_url, headers={"X-API-Key": "of the second"})
    await tried(people.operator, "first")

    assert echo.requests[0]["headers"]["x-api-key"] == SECRET
    assert len(await keys(people)) == 2


async def test_a_secret_can_be_tried_without_being_stored(
    people: People, echo: EchoServer, base_url: str
) -> None:
    await store(people, "kept", "the kept value")
    await lookup(people, base_url, headers={"X-A": {"$secret": "kept"}})
    headers = {"X-A": {"$secret": "kept"}, "X-API-Key": SECRET}

    answer = await people.editor.post(
        "/tools/lookup/test", json={"configuration": {"headers": headers}}
    )

    assert SECRET not in answer.text
    assert echo.requests[0]["headers"]["x-api-key"] == SECRET
    assert echo.requests[0]["headers"]["x-a"] == "the kept value"
    assert await keys(people) == ["kept"]


async def test_storing_secrets_needs_its_scope(people: People, base_url: str) -> None:
    answer = await people.editor.post(
        "/auth/api-keys", json={"name": "narrow", "kind": "user", "scopes": ["tools:write"]}
    )
    key = answer.json()["key"]
    narrow = {"Authorization": f"Bearer {key}"}
    body = {
        "name": "lookup",
        "tool_type": "http",
        "configuration": {"url": base_url, "headers": {"X-API-Key": SECRET}},
    }

    refusal = await people.editor.post("/tools", json=body, headers=narrow)

    assert answer.status_code == 201
    assert (refusal.status_code, refusal.json()["error"]) == (403, "tool_secrets_refused")


async def test_a_document_is_called_with_the_key_it_names(
    people: People, echo: EchoServer, base_url: str
) -> None:
    document = {
        "openapi": "3.1.0",
        "info": {"title": "A", "version": "1"},
        "paths": {"/a": {"get": {"operationId": "a"}}},
    }
    await store(people, "shop")
    await made(
        people.editor,
        name="shop",
        tool_type="openapi",
        configuration={"document": document, "base_url": base_url, "api_key_name": "shop"},
    )

    result = await tried(people.operator, "shop__a")

    assert echo.requests[0]["headers"]["authorization"] == f"Bearer {SECRET}"
    assert SECRET not in str(result)


async def test_the_environment_of_a_command_is_kept_in_the_vault(people: People) -> None:
    configuration = {**STDIO, "env": {"TOKEN": SECRET}}
    tool = await made(people.superadmin, name="bench", tool_type="mcp", configuration=configuration)

    result = await tried(people.superadmin, "bench__die")

    assert tool["configuration"]["env"] == {"TOKEN": {"$secret": "tool:bench:env.TOKEN"}}
    assert result["error"]["code"] == "tool_failed"
    assert SECRET not in str(result)


async def test_an_mcp_server_whose_secret_is_missing_is_saved(people: People, mcp_url: str) -> None:
    headers = {"X-A": {"$secret": "gone"}}
    tool = await made(
        people.editor,
        name="bench",
        tool_type="mcp",
        configuration={"url": mcp_url, "headers": headers},
    )
    await store(people, "gone")

    looked = await tried(people.editor, "bench")
    discovered = await people.editor.post(
        "/tools/mcp/discover", json={"url": mcp_url, "headers": headers}
    )

    assert "'gone'" in tool["configuration"]["info"]["problem"]
    assert "add" in looked["content"]["functions"]
    assert discovered.status_code == 200


async def test_the_whole_address_of_a_server_may_be_a_secret(people: People, mcp_url: str) -> None:
    await store(people, "address", mcp_url)

    tool = await made(
        people.editor,
        name="bench",
        tool_type="mcp",
        configuration={"url": {"$secret": "address"}},
    )
    result = await tried(people.operator, "bench__add", arguments={"a": 1, "b": 2})

    assert mcp_url not in str(tool)
    assert result["content"] == {"result": 3}
