"""Setting up models: fields, filters, what they lack, who may, and which addresses."""

from typing import Any

import pytest
from sqlalchemy import select

from muster.entrypoints.assembly import Muster
from muster.platform.events import EventRecord
from tests.catalogue.models_setting import (
    OPERATOR_KEY,
    bare_environment,
    made,
    server,
    settings,
    stored_key,
)
from tests.support.model_server import Reply, ScriptedServer
from tests.support.people import People

pytestmark = pytest.mark.anyio
__all__ = ["bare_environment", "server", "settings"]

DOCUMENTED = {
    "name": "custom-gpt-4",
    "provider": "openai",
    "model": "gpt-4",
    "api_key_name": "openai_api_key",
    "parameters": {"temperature": 0.7, "max_tokens": 2000},
}


async def test_the_documented_model_is_saved_and_says_what_it_lacks(people: People) -> None:
    created = await people.editor.post("/models", json=DOCUMENTED)

    assert created.status_code == 201
    body = created.json()
    assert {key: body[key] for key in DOCUMENTED} == DOCUMENTED
    assert (body["key"], body["source"], body["enabled"]) == ("custom-gpt-4", "project", True)
    assert body["status"] == "incomplete"
    status = body["configuration_status"]
    assert (status["is_ready"], [i["code"] for i in status["issues"]]) == (
        False,
        ["model_not_ready"],
    )
    assert "'openai_api_key'" in status["summary"]

    await stored_key(people)
    ready = (await people.viewer.get("/models/custom-gpt-4")).json()
    assert (ready["status"], ready["configuration_status"]["is_ready"]) == ("ready", True)
    assert (await people.viewer.get(f"/models/{body['id']}")).json() == ready


async def test_the_other_spelling_of_a_model_is_understood(people: People) -> None:
    body = await made(
        people,
        key="short",
        name="gpt-4o-2024",
        model=None,
        temperature=0.5,
        extended_thinking=True,
        context_window=128_000,
        max_output_tokens=4096,
    )

    assert (body["name"], body["model"]) == ("short", "gpt-4o-2024")
    assert body["parameters"] == {"temperature": 0.5, "thinking": True}
    assert (body["context_window"], body["max_output_tokens"]) == (128_000, 4096)

    changed = await people.editor.put(
        "/models/short", json={"key": "shorter", "name": "gpt-5", "temperature": None}
    )
    assert changed.status_code == 200
    assert (changed.json()["name"], changed.json()["model"]) == ("shorter", "gpt-5")
    assert changed.json()["parameters"] == {"thinking": True}


@pytest.mark.parametrize(
    "fields",
    [
        {"provider": "nobody"},
        {"name": None},
        {"name": "x/"},
        {"name": "a\nb"},
        {"model": ""},
        {"parameters": {"temperature": 2.1}},
        {"parameters": {"temperature": -0.1}},
        {"parameters": {"max_tokens": 0}},
        {"parameters": {"top_p": 1.5}},
        {"parameters": {"seed": 2**63}},
        {"parameters": {"unknown": 1}},
        {"parameters": {"timeout": 0}},
        {"input_price": 1.0},
        {"output_price": 1.0},
        {"cached_price": 1.0},
        {"input_price": -1, "output_price": 1},
        {"base_url": "ftp://example.com"},
        {"base_url": "http://user:word@127.0.0.1/v1"},
        {"base_url": "http://127.0.0.1/v1?api-key=1"},
        {"context_window": 2**31},
        {"surprise": True},
    ],
)
async def test_a_body_that_is_not_right_is_refused(people: People, fields: dict[str, Any]) -> None:
    response = await people.editor.post("/models", json=DOCUMENTED | fields)

    assert response.status_code == 422, response.text


@pytest.mark.parametrize(
    "address",
    [
        "http://10.0.0.1/v1",
        "http://192.168.1.10:8080/v1",
        "http://169.254.169.254/latest",
        "http://[::1]:9000/v1",
        "http://0x0a000001/v1",
    ],
)
async def test_addresses_inside_are_refused_when_they_are_saved(
    people: People, address: str
) -> None:
    body = DOCUMENTED | {"base_url": address}

    created = await people.editor.post("/models", json=body)
    await made(people)
    changed = await people.editor.put("/models/own", json={"base_url": address})

    assert (created.status_code, created.json()["error"]) == (403, "address_refused")
    assert (changed.status_code, changed.json()["error"]) == (403, "address_refused")
    assert (await people.viewer.get("/models/own")).json()["base_url"] is None


async def test_names_are_unique_in_a_project(people: People) -> None:
    await made(people)
    await made(people, name="other")

    again = await people.editor.post("/models", json=DOCUMENTED | {"name": "own"})
    renamed = await people.editor.put("/models/other", json={"name": "own"})
    builtin = await people.editor.post("/models", json=DOCUMENTED | {"name": "builtin/extractive"})
    to_builtin = await people.editor.put("/models/other", json={"name": "builtin/extractive"})
    elsewhere = await people.outsider.post("/models", json=DOCUMENTED | {"name": "own"})

    for refused in (again, renamed, builtin, to_builtin):
        assert (refused.status_code, refused.json()["error"]) == (409, "model_name_taken")
    assert elsewhere.status_code == 201


async def test_the_list_has_all_models_that_can_be_named(people: People) -> None:
    await made(people, name="mine", provider="anthropic", model="claude-x", api_key_name="k")
    await made(people, name="openai/scripted-large", model="scripted-small", enabled=False)

    async def names(**params: Any) -> list[str]:
        response = await people.viewer.get("/models", params=params)
        assert response.status_code == 200, response.text
        return [item["name"] for item in response.json()["items"]]

    everything = ["mine", "openai/scripted-large", "builtin/extractive", "openai/scripted-small"]
    assert await names() == everything
    assert await names(provider="openai") == [everything[1], everything[3]]
    assert await names(provider="Anthropic") == ["mine"]
    assert await names(enabled="false") == ["openai/scripted-large"]
    assert await names(source="environment") == ["openai/scripted-small"]
    assert await names(source="builtin") == ["builtin/extractive"]
    assert await names(search="CLAUDE") == ["mine"]
    page = (await people.viewer.get("/models", params={"limit": 1, "offset": 1})).json()
    assert [item["name"] for item in page["items"]] == [everything[1]]
    assert (page["total"], page["has_more"]) == (4, True)
    statuses = [item["status"] for item in (await people.viewer.get("/models")).json()["items"]]
    assert statuses == ["incomplete", "disabled", "ready", "ready"]


async def test_gemini_is_google_in_the_filter(people: People) -> None:
    await made(people, name="g", provider="Gemini", model="gemini-2.5-pro", api_key_name="k")

    listed = await people.viewer.get("/models", params={"provider": "google"})

    assert [(i["name"], i["provider"]) for i in listed.json()["items"]] == [("g", "gemini")]


async def test_models_of_the_environment_are_shown_but_not_changed(
    people: People, server: ScriptedServer
) -> None:
    for path, name in (
        ("/models/builtin/extractive", "builtin/extractive"),
        ("/models/openai/scripted-large", "openai/scripted-large"),
        ("/models/scripted-large", "openai/scripted-large"),
    ):
        shown = await people.viewer.get(path)
        assert shown.status_code == 200
        assert (shown.json()["name"], shown.json()["id"]) == (name, name)
        assert OPERATOR_KEY not in shown.text
        assert server.base_url not in shown.text
        for refused in (
            await people.editor.put(path, json={"description": "x"}),
            await people.editor.patch(f"{path}/toggle", json={"enabled": False}),
            await people.editor.delete(path),
        ):
            assert (refused.status_code, refused.json()["error"]) == (409, "model_read_only")
            assert "POST /models" in refused.json()["message"]


async def test_a_provider_that_does_not_answer_leaves_the_rest_of_the_list(
    people: People, server: ScriptedServer
) -> None:
    server.model_list_reply = Reply(status=500)
    await made(people)

    listed = await people.viewer.get("/models")

    assert listed.status_code == 200
    assert [i["name"] for i in listed.json()["items"]] == ["own", "builtin/extractive"]


async def test_only_the_given_fields_change(people: People) -> None:
    await made(people, description="kept", input_price=1, output_price=2, cached_price=0.5)

    changed = await people.editor.put(
        "/models/own", json={"parameters": {"stop": "END"}, "provider": "mistral", "enabled": False}
    )
    half = await people.editor.put("/models/own", json={"output_price": None})
    nothing = await people.editor.put("/models/own", json={})

    assert changed.status_code == 200
    body = changed.json()
    assert (body["description"], body["model"], body["cached_price"]) == (
        "kept",
        "scripted-small",
        0.5,
    )
    assert (body["provider"], body["status"]) == ("mistral", "disabled")
    assert body["parameters"] == {"stop_sequences": ["END"]}
    assert (half.status_code, half.json()["error"]) == (422, "validation_error")
    assert nothing.json() == body
    assert (await people.viewer.get("/models/own")).json() == body


async def test_toggling_sets_or_turns_round(people: People, muster: Muster) -> None:
    model = await made(people, name="team/own")
    path = "/models/team/own/toggle"

    off = await people.editor.patch(path, json={"enabled": False})
    same = await people.editor.patch(path, json={"enabled": False})
    turned = await people.editor.patch(path)

    assert [r.status_code for r in (off, same, turned)] == [200, 200, 200]
    assert [r.json()["enabled"] for r in (off, same, turned)] == [False, False, True]
    async with muster.database.read() as session:
        events = (
            await session.scalars(
                select(EventRecord)
                .where(EventRecord.subject_id == model["id"])
                .order_by(EventRecord.seq)
            )
        ).all()
    assert [event.type for event in events] == ["model.created", "model.toggled", "model.toggled"]


async def test_changes_are_events(people: People, muster: Muster) -> None:
    model = await made(people)
    await people.editor.put("/models/own", json={"name": "new", "temperature": 1})
    assert (await people.editor.delete(f"/models/{model['id']}")).status_code == 204

    async with muster.database.read() as session:
        events = (
            await session.scalars(
                select(EventRecord)
                .where(EventRecord.subject_id == model["id"])
                .order_by(EventRecord.seq)
            )
        ).all()
    assert [event.type for event in events] == ["model.created", "model.updated", "model.deleted"]
    assert events[1].data["changed"] == ["name", "parameters"]


async def test_what_is_not_there_reads_404(people: People) -> None:
    model = await made(people)

    for client, reference in (
        (people.outsider, model["id"]),
        (people.outsider, "own"),
        (people.editor, "nothing/at/all"),
    ):
        path = f"/models/{reference}"
        answers = [
            await client.get(path),
            await client.put(path, json={}),
            await client.patch(f"{path}/toggle"),
            await client.delete(path),
        ]
        assert [(a.status_code, a.json()["error"]) for a in answers] == [
            (404, "model_not_found")
        ] * 4
    assert (await people.outsider.get("/models", params={"source": "project"})).json()["total"] == 0


async def test_viewers_and_operators_may_not_write(people: People, anonymous: Any) -> None:
    await made(people)

    for client, status in ((people.viewer, 403), (people.operator, 403), (anonymous, 401)):
        answers = [
            await client.post("/models", json=DOCUMENTED),
            await client.put("/models/own", json={}),
            await client.patch("/models/own/toggle"),
            await client.delete("/models/own"),
        ]
        assert [a.status_code for a in answers] == [status] * 4
    assert (await anonymous.get("/models")).status_code == 401


@pytest.mark.parametrize(
    ("fields", "codes"),
    [
        ({"provider": "vllm"}, ["model_not_ready"]),
        ({"provider": "ollama"}, ["model_not_ready"]),
        ({"provider": "anthropic"}, ["model_not_ready", "offline_provider_blocked"]),
        (
            {"provider": "anthropic", "api_key_name": "k"},
            ["model_not_ready", "offline_provider_blocked"],
        ),
        ({"provider": "vllm", "base_url": "http://127.0.0.1:1/v1"}, []),
        (
            {"provider": "databricks", "base_url": "https://1.1.1.1/v1"},
            ["offline_provider_blocked"],
        ),
        ({"provider": "builtin", "model": "extractive"}, []),
        ({"provider": "openai"}, []),
    ],
)
async def test_a_model_tells_everything_that_it_lacks(
    people: People, fields: dict[str, Any], codes: list[str]
) -> None:
    body = await made(people, **fields)

    assert [i["code"] for i in body["configuration_status"]["issues"]] == codes
    assert body["status"] == ("incomplete" if codes else "ready")
