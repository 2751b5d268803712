"""Agents: every documented spelling, keys, filters, changes, and what they lack."""

import asyncio
from typing import Any

import pytest

from muster.entrypoints.assembly import Muster
from tests.catalogue.models_setting import bare_environment
from tests.platform.recorded import recorded
from tests.support.people import People

pytestmark = pytest.mark.anyio
__all__ = ["bare_environment"]

CREWS = {
    "name": "Research Agent",
    "role": "Senior Researcher",
    "goal": "Conduct thorough research on given topics",
    "backstory": "You are an experienced researcher with expertise in gathering information",
    "llm": "gpt-4",
    "tools": ["search_tool", "browser_tool"],
    "allow_delegation": False,
    "verbose": True,
}
FLEET = {
    "name": "Support",
    "description": "Answers customers",
    "role": "support",
    "llm_provider": "builtin",
    "llm_model": "extractive",
    "system_prompt": "Be brief.",
    "enabled_tools": ["calculator"],
    "worker_id": "worker-7",
}


async def made(people: People, **fields: Any) -> dict[str, Any]:
    body = {"name": "Tester", "llm": "builtin/extractive", **fields}
    answer = await people.editor.post("/agents", json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def read(people: People, agent: dict[str, Any]) -> dict[str, Any]:
    answer = await people.viewer.get(f"/agents/{agent['id']}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_the_agent_of_the_crews_family(people: People) -> None:
    answer = await people.editor.post("/agents", json=CREWS)
    assert answer.status_code == 201
    body = answer.json()
    assert {name: body[name] for name in CREWS} == CREWS
    assert (body["key"], body["agent_key"]) == ("research-agent", "research-agent")
    assert (body["llm_provider"], body["llm_model"]) == (None, "gpt-4")
    assert (body["status"], body["is_started"], body["active"]) == ("offline", False, True)
    assert (body["version"], body["group_id"]) == (1, people.project_id)
    assert (body["max_iter"], body["memory"], body["temperature"]) == (25, True, None)
    status = body["configuration_status"]
    assert not status["is_ready"]
    fields = [issue["field"] for issue in status["issues"]]
    assert fields == ["llm", "tools.search_tool", "tools.browser_tool"]
    assert (body.pop("registration_status"), body.pop("incidents")) == ("created", [])
    assert await read(people, body) == body


async def test_the_agent_of_the_fleet(people: People) -> None:
    body = await made(people, **FLEET, llm=None)
    assert {name: body[name] for name in FLEET} == FLEET
    assert body["llm"] == "builtin/extractive"
    assert (body["instructions"], body["tools"]) == ("Be brief.", ["calculator"])
    assert body["configuration_status"]["is_ready"]


@pytest.mark.parametrize(
    ("fields", "llm", "shown"),
    [
        ({"llm_model": "gpt-4"}, "gpt-4", (None, "gpt-4")),
        ({"llm_provider": "groq", "llm_model": "a/b"}, "groq/a/b", ("groq", "a/b")),
        ({"llm_provider": "groq", "llm_model": "groq/b"}, "groq/b", ("groq", "b")),
        ({"llm_provider": "groq"}, None, (None, None)),
        ({"llm": "groq/x", "llm_model": "y"}, "groq/x", ("groq", "x")),
        ({"llm": None, "llm_provider": "p", "llm_model": "m"}, "p/m", ("p", "m")),
    ],
)
async def test_a_model_in_two_halves(
    people: People, fields: dict[str, Any], llm: str | None, shown: tuple[str | None, str | None]
) -> None:
    body = (await people.editor.post("/agents", json={"name": "Halves", **fields})).json()
    assert body["llm"] == llm
    assert (body["llm_provider"], body["llm_model"]) == shown
    back = {"llm_provider": body["llm_provider"], "llm_model": body["llm_model"]}
    again = (await people.editor.patch(f"/agents/{body['id']}", json=back)).json()
    assert (again["llm"], again["version"]) == (llm, 1)


async def test_halves_of_a_model_are_changed_one_by_one(people: People) -> None:
    agent = await made(people, llm="openai/gpt-4")
    path = f"/agents/{agent['id']}"
    for change, llm in (
        ({"llm_model": "gpt-5"}, "openai/gpt-5"),
        ({"llm_provider": "azure"}, "azure/gpt-5"),
        ({"llm_model": "groq/llama"}, "groq/llama"),
        ({"llm_model": None}, None),
        ({"llm": "gpt-4", "llm_provider": "openai"}, "gpt-4"),
    ):
        body = (await people.editor.patch(path, json=change)).json()
        assert body["llm"] == llm, change
    refused = await people.editor.patch(path, json={"llm_provider": 5})
    assert refused.status_code == 422
    assert "llm_provider must be a text" in refused.json()["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"temperature": 101},
        {"temperature": -1},
        {"name": "  "},
        {"name": "x" * 256},
        {"key": "no spaces"},
        {"key": ""},
        {"max_iter": 0},
        {"max_rpm": 0},
        {"max_execution_time": 0},
        {"tools": "calculator"},
        {"tools": [""]},
        {"environment": "moon"},
        {"risk_classification": "fun"},
        {"llm_model": 5},
        {"llm_provider": ["x"], "llm_model": "y"},
        {"surprise": True},
        {"metadata": {"nul": "a\0b"}},
    ],
)
async def test_a_body_that_is_not_right_is_refused(people: People, fields: dict[str, Any]) -> None:
    answer = await people.editor.post("/agents", json={"name": "Bad", **fields})
    assert answer.status_code == 422, answer.text
    agent = await made(people)
    if "llm_provider" in fields or "llm_model" in fields:
        fields = {**fields, "llm": agent["llm"]}
    changed = await people.editor.patch(f"/agents/{agent['id']}", json=fields)
    assert changed.status_code == 422, changed.text
    assert (await read(people, agent))["version"] == 1


async def test_numbers_too_large_to_store_are_refused(people: People) -> None:
    answer = await people.editor.post(
        "/agents",
        content=b'{"name": "Big", "metadata": {"n": 1' + b"0" * 400 + b"}}",
        headers={"content-type": "application/json"},
    )
    assert answer.status_code in {201, 422}, answer.text


async def test_a_body_must_be_an_object(people: People) -> None:
    agent = await made(people)
    path = f"/agents/{agent['id']}"
    for method, target in (("POST", "/agents"), ("PATCH", path), ("PUT", f"{path}/full")):
        for body in ([1], "name: x", 5, None):
            answer = await people.editor.request(method, target, json=body)
            assert answer.status_code == 422, (method, target, body)


@pytest.mark.parametrize("temperature", [0, 50, 100])
async def test_documented_temperatures(people: People, temperature: int) -> None:
    assert (await made(people, temperature=temperature))["temperature"] == temperature


async def test_nulls_mean_defaults_and_code_execution_stays_off(people: People) -> None:
    body = await made(
        people, max_iter=None, tools=None, verbose=None, name=None, allow_code_execution=True
    )
    assert (body["max_iter"], body["tools"], body["verbose"]) == (25, [], False)
    assert (body["name"], body["allow_code_execution"]) == ("Unnamed Agent", False)


async def test_keys_are_made_of_names(people: People) -> None:
    keys = [(await made(people, name="Ünïcode & Söhne"))["key"] for _ in range(3)]
    assert keys == ["unicode-sohne", "unicode-sohne-2", "unicode-sohne-3"]
    assert (await made(people, name="日本語"))["key"] == "agent"
    assert (await made(people, key="Own.Key:1"))["key"] == "Own.Key:1"
    taken = await people.editor.post("/agents", json={"name": "x", "agent_key": "unicode-sohne"})
    assert (taken.status_code, taken.json()["error"]) == (409, "agent_key_taken")
    moved = await people.editor.patch(
        f"/agents/{(await made(people, name='Mover'))['id']}", json={"key": "agent"}
    )
    assert (moved.status_code, moved.json()["error"]) == (409, "agent_key_taken")
    elsewhere = await people.outsider.post("/agents", json={"name": "x", "key": "agent"})
    assert elsewhere.status_code == 201


async def test_fifty_at_once_of_one_key_make_one_and_of_one_name_make_fifty(
    people: People, muster: Muster
) -> None:
    same_key = {"name": "Racer", "key": "racer", "llm": "builtin/extractive"}
    answers = await asyncio.gather(
        *(people.editor.post("/agents", json=same_key) for _ in range(50))
    )
    assert sorted(answer.status_code for answer in answers) == [201] + [409] * 49

    same_name = {"name": "Twin", "llm": "builtin/extractive"}
    answers = await asyncio.gather(
        *(people.editor.post("/agents", json=same_name) for _ in range(50))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["key"] for answer in answers}) == 50
    created = await recorded(muster, "agent.created", chain=people.project_id)
    assert len(created) == 51


async def test_changes_at_once_lose_nothing(people: People) -> None:
    agent = await made(people)
    path = f"/agents/{agent['id']}"
    answers = await asyncio.gather(
        *(people.editor.patch(path, json={"inputs": {"n": n}}) for n in range(15)),
        *(
            people.editor.patch(path, json={field: "new"})
            for field in ("goal", "backstory", "instructions", "prompt", "description")
        ),
        people.editor.post(f"{path}/start"),
    )
    assert {answer.status_code for answer in answers} == {200}, [a.text for a in answers]
    body = await read(people, agent)
    assert body["version"] == 21
    assert body["is_started"]
    assert all(body[f] == "new" for f in ("goal", "backstory", "instructions", "prompt"))
    listed = (await people.viewer.get(f"{path}/versions")).json()
    assert [v["version"] for v in listed["items"]] == list(range(21, 0, -1))


async def test_lists_and_filters(people: People) -> None:
    first = await made(people, name="Alpha", role="Senior 100% researcher", environment="qa")
    second = await made(people, name="Beta", role="Writer", key="the-beta")
    third = await made(people, name="Gamma")
    await people.editor.post(f"/agents/{second['id']}/start")
    await people.editor.delete(f"/agents/{third['id']}")

    async def found(**params: Any) -> list[str]:
        answer = await people.viewer.get("/agents", params=params)
        assert answer.status_code == 200, answer.text
        return [item["name"] for item in answer.json()["items"]]

    assert await found() == ["Beta", "Alpha"]
    assert await found(include_inactive=True) == ["Gamma", "Beta", "Alpha"]
    assert await found(status_filter="idle") == ["Beta"]
    assert await found(status_filter="offline") == ["Alpha"]
    assert await found(role="researcher") == ["Alpha"]
    assert await found(role="100%") == ["Alpha"]
    assert await found(role="%") == ["Alpha"]
    assert await found(environment="qa") == ["Alpha"]
    assert await found(search="THE-BETA") == ["Beta"]
    assert await found(search="alph") == ["Alpha"]
    assert await found(limit=1, offset=1) == ["Alpha"]
    page = (await people.viewer.get("/agents", params={"limit": 1})).json()
    assert {k: page[k] for k in ("total", "limit", "offset", "has_more")} == {
        "total": 2,
        "limit": 1,
        "offset": 0,
        "has_more": True,
    }
    assert page["items"][0]["configuration_status"] is None
    assert (await people.outsider.get("/agents")).json()["items"] == []
    for bad in ({"status_filter": "asleep"}, {"limit": 0}, {"limit": 201}, {"colour": "red"}):
        assert (await people.viewer.get("/agents", params=bad)).status_code == 422
    assert first["id"] != second["id"]


async def test_configuration_status_names_what_is_missing(people: People) -> None:
    body = await made(
        people,
        llm="no/such-model",
        tools=["calculator", "no_such_tool"],
        role="{topic} expert of {the topic}",
        goal="Find {topic} in {year}",
        instructions='Answer as {"json": true} {} { } {1 2}. Greet {user-name}.',
    )
    status = (await read(people, body))["configuration_status"]
    assert not status["is_ready"]
    assert [(i["field"], i["code"]) for i in status["issues"]] == [
        ("llm", "model_unavailable"),
        ("tools.no_such_tool", "tool_unavailable"),
        ("role", "placeholder_invalid"),
        ("instructions", "placeholder_invalid"),
    ]
    assert status["issues"][2]["message"].startswith("{the topic}")
    assert status["placeholders"] == ["topic", "year"]
    assert str(len(status["issues"])) in status["summary"]

    fixed = await people.editor.patch(
        f"/agents/{body['id']}",
        json={
            "llm": "builtin/extractive",
            "tools": ["calculator"],
            "role": "{topic} expert",
            "instructions": "{ }",
        },
    )
    assert fixed.json()["configuration_status"] == {
        "is_ready": True,
        "issues": [],
        "placeholders": ["topic", "year"],
        "summary": "Everything is configured.",
    }
    nameless = await made(people, llm=None)
    assert nameless["configuration_status"]["issues"][0]["code"] == "model_missing"


@pytest.mark.parametrize("verb", ["put", "patch"])
async def test_partial_changes(people: People, muster: Muster, verb: str) -> None:
    agent = await made(people, role="r", goal="g", max_iter=5, tools=["calculator"])
    send = getattr(people.editor, verb)
    path = f"/agents/{agent['id']}"
    changed = (await send(path, json={"name": "Renamed", "goal": None, "max_iter": None})).json()
    assert (changed["name"], changed["goal"], changed["max_iter"]) == ("Renamed", None, 25)
    assert (changed["role"], changed["tools"], changed["key"]) == ("r", ["calculator"], "tester")
    assert changed["version"] == 2

    same = (await send(path, json={"name": "Renamed", "role": " r "})).json()
    assert (same["version"], same["updated_at"]) == (2, changed["updated_at"])
    assert (await send(path, json={})).json()["version"] == 2
    assert (await send(path, json={"key": None})).json()["key"] == "tester"

    unknown = await send(path, json={"goal": "x", "surprise": 1, "changes": 2})
    assert unknown.status_code == 422
    assert [e["field"] for e in unknown.json()["errors"]] == ["changes", "surprise"]

    (event,) = await recorded(muster, "agent.updated", chain=people.project_id)
    assert event.data["changed"] == ["goal", "max_iter", "name"]
    assert (event.data["version"], event.subject_id) == (2, agent["id"])


async def test_what_was_read_can_be_sent_back(people: People) -> None:
    agent = await made(people, **FLEET, llm=None)
    whole = await read(people, agent)
    for verb, path in (("put", ""), ("patch", ""), ("put", "/full")):
        answer = await getattr(people.editor, verb)(f"/agents/{agent['id']}{path}", json=whole)
        assert answer.status_code == 200, answer.text
        assert answer.json() == whole
    for change, field, value in (
        ({"system_prompt": "Be long."}, "instructions", "Be long."),
        ({"instructions": "Be kind."}, "system_prompt", "Be kind."),
        ({"enabled_tools": []}, "tools", []),
        ({"llm_model": "gpt-4"}, "llm", "builtin/gpt-4"),
        ({"llm": "gpt-5"}, "llm_model", "gpt-5"),
        ({"agent_key": "moved"}, "key", "moved"),
    ):
        whole = await read(people, agent)
        answer = await people.editor.put(f"/agents/{agent['id']}", json={**whole, **change})
        assert answer.json()[field] == value, change
    copy = await people.outsider.post("/agents", json=await read(people, agent))
    assert copy.status_code == 201
    assert copy.json()["id"] != agent["id"]


async def test_full_replaces(people: People) -> None:
    agent = await made(people, role="r", goal="g", max_iter=5, key="stays")
    answer = await people.editor.put(f"/agents/{agent['id']}/full", json={"name": "New"})
    body = answer.json()
    assert (body["name"], body["role"], body["goal"], body["max_iter"]) == ("New", None, None, 25)
    assert (body["key"], body["version"]) == ("stays", 2)
    assert body["configuration_status"]["issues"][0]["field"] == "llm"
    bad = await people.editor.put(f"/agents/{agent['id']}/full", json={"name": "x", "odd": 1})
    assert bad.status_code == 422


async def test_delete_is_soft(people: People, muster: Muster) -> None:
    agent = await made(people, name="Gone")
    assert (await people.editor.delete(f"/agents/{agent['id']}")).status_code == 204
    for method, path in (
        ("GET", ""),
        ("PATCH", ""),
        ("PUT", "/full"),
        ("DELETE", ""),
        ("POST", "/start"),
        ("GET", "/export"),
        ("GET", "/versions"),
        ("POST", "/versions/1/restore"),
    ):
        body = {"name": "x"} if method in {"PATCH", "PUT"} else None
        answer = await people.editor.request(method, f"/agents/{agent['id']}{path}", json=body)
        assert (answer.status_code, answer.json()["error"]) == (404, "agent_not_found"), path
    again = await made(people, name="Gone")
    assert again["key"] == agent["key"]
    events = await recorded(muster, chain=people.project_id)
    assert [event.type for event in events] == ["agent.created", "agent.deleted", "agent.created"]


async def test_start_and_stop(people: People, muster: Muster) -> None:
    agent = await made(people)
    for verb, started, status in (
        ("start", True, "idle"),
        ("start", True, "idle"),
        ("stop", False, "offline"),
        ("stop", False, "offline"),
    ):
        body = (await people.editor.post(f"/agents/{agent['id']}/{verb}")).json()
        assert (body["is_started"], body["status"], body["version"]) == (started, status, 1)
    events = await recorded(muster, "agent.status", chain=people.project_id)
    assert [(e.data["status"], e.data["is_started"]) for e in events] == [
        ("idle", True),
        ("offline", False),
    ]


async def test_roles_and_tenants(people: People) -> None:
    agent = await made(people)
    path = f"/agents/{agent['id']}"
    writes: list[tuple[str, str, Any]] = [
        ("POST", "/agents", {"name": "x"}),
        ("POST", "/agents/import", {"yaml": "name: x"}),
        ("PUT", path, {"name": "x"}),
        ("PATCH", path, {"name": "x"}),
        ("PUT", f"{path}/full", {"name": "x"}),
        ("POST", f"{path}/start", None),
        ("POST", f"{path}/stop", None),
        ("POST", f"{path}/versions/1/restore", None),
        ("DELETE", path, None),
    ]
    for client in (people.viewer, people.operator):
        for method, target, body in writes:
            answer = await client.request(method, target, json=body)
            assert answer.status_code == 403, (method, target)
    reads = [
        "",
        "/export",
        "/versions",
        "/versions/1",
        "/versions/diff?from_version=1&to_version=1",
    ]
    for suffix in reads:
        assert (await people.viewer.get(path + suffix)).status_code == 200, suffix
        assert (await people.outsider.get(path + suffix)).status_code == 404, suffix
    for method, target, body in writes[2:]:
        answer = await people.outsider.request(method, target, json=body)
        assert answer.status_code == 404, (method, target)
    assert (await read(people, agent))["name"] == "Tester"


async def test_secrets_of_its_tools_go_into_the_vault(people: People, muster: Muster) -> None:
    configs = {"searxng": {"headers": {"X-Api-Key": "very-secret"}, "limit": 3}}
    agent = await made(people, key="keeper", tool_configs=configs)
    assert "very-secret" not in str(agent)
    assert agent["tool_configs"]["searxng"]["limit"] == 3
    name = agent["tool_configs"]["searxng"]["headers"]["X-Api-Key"]["$secret"]
    assert await muster.vault.value(people.project_id, name) == "very-secret"
    # What was answered can be sent back, and means the same.
    again = await people.editor.put(
        f"/agents/{agent['id']}",
        json={"tool_configs": agent["tool_configs"], "goal": "Another goal"},
    )
    assert again.json()["tool_configs"] == agent["tool_configs"]
    changed = await people.editor.put(
        f"/agents/{agent['id']}",
        json={"tool_configs": {"searxng": {"headers": {"X-Api-Key": "rotated"}}}},
    )
    assert changed.status_code == 200
    assert await muster.vault.value(people.project_id, name) == "rotated"
    versions = await people.viewer.get(f"/agents/{agent['id']}/versions")
    facts = await people.owner.get("/events")
    for text in (changed.text, versions.text, facts.text):
        assert "very-secret" not in text
        assert "rotated" not in text


async def test_a_secret_that_is_too_long(people: People) -> None:
    configs = {"searxng": {"headers": {"X-Api-Key": "x" * 20_000}}}
    answer = await people.editor.post("/agents", json={"name": "Tester", "tool_configs": configs})
    assert answer.status_code == 422
    assert "longer than" in answer.json()["message"]
