"""Versions of agents, and agents as YAML files."""

from typing import Any

import pytest

from tests.catalogue.models_setting import bare_environment
from tests.catalogue.test_agents import made
from tests.support.people import People

pytestmark = pytest.mark.anyio
__all__ = ["bare_environment"]


async def test_versions(people: People) -> None:
    agent = await made(people, goal="one")
    path = f"/agents/{agent['id']}"
    await people.owner.patch(path, json={"goal": "two", "max_iter": 3})
    listed = (await people.viewer.get(f"{path}/versions")).json()
    assert (listed["total"], [v["version"] for v in listed["items"]]) == (2, [2, 1])
    assert [v["created_by_name"] for v in listed["items"]] == ["Owner", "Editor"]
    page = (await people.viewer.get(f"{path}/versions", params={"limit": 1, "offset": 1})).json()
    assert [v["version"] for v in page["items"]] == [1]

    first = (await people.viewer.get(f"{path}/versions/1")).json()
    assert (first["spec"]["goal"], first["note"], first["agent_id"]) == ("one", None, agent["id"])
    for number, status in (("9", 404), ("0", 422), (str(2**31), 422), ("x", 422)):
        answer = await people.viewer.get(f"{path}/versions/{number}")
        assert answer.status_code == status, number
        restored = await people.editor.post(f"{path}/versions/{number}/restore")
        assert restored.status_code == status, number

    diff = await people.viewer.get(
        f"{path}/versions/diff", params={"from_version": 1, "to_version": 2}
    )
    assert diff.json() == {
        "agent_id": agent["id"],
        "from_version": 1,
        "to_version": 2,
        "changes": [
            {"field": "goal", "before": "one", "after": "two"},
            {"field": "max_iter", "before": 25, "after": 3},
        ],
    }
    missing = await people.viewer.get(
        f"{path}/versions/diff", params={"from_version": 1, "to_version": 9}
    )
    assert (missing.status_code, missing.json()["error"]) == (404, "agent_version_not_found")


async def test_restore(people: People) -> None:
    agent = await made(people, goal="one", key="first")
    path = f"/agents/{agent['id']}"
    await people.editor.patch(path, json={"goal": "two", "key": "second"})
    restored = await people.editor.post(f"{path}/versions/1/restore")
    body = restored.json()
    assert (body["goal"], body["key"], body["version"]) == ("one", "first", 3)
    newest = (await people.viewer.get(f"{path}/versions/3")).json()
    assert newest["note"] == "Restored from version 1"
    same = await people.editor.post(f"{path}/versions/3/restore")
    assert same.json()["version"] == 3

    await people.editor.patch(path, json={"key": "second"})
    await made(people, name="Usurper", key="first")
    taken = await people.editor.post(f"{path}/versions/1/restore")
    assert (taken.status_code, taken.json()["error"]) == (409, "agent_key_taken")


async def test_a_file_goes_out_and_comes_back(people: People) -> None:
    agent = await made(
        people,
        name="Währungsrechner",
        role="a: tricky\n- role",
        max_iter=7,
        max_rpm=3,
        tools=["calculator"],
        tool_configs={"calculator": {}},
        metadata={"nested": [1, 2.5, True, None, "2024-01-01"]},
    )
    exported = await people.viewer.get(f"/agents/{agent['id']}/export")
    assert exported.headers["content-type"].startswith("application/yaml")
    assert "limits:\n  max_iter: 7\n  max_rpm: 3\n" in exported.text
    assert "backstory" not in exported.text

    twice = await people.editor.post("/agents/import", json={"yaml": exported.text})
    assert (twice.status_code, twice.json()["error"]) == (409, "agent_key_taken")
    changed = exported.text.replace("max_iter: 7", "max_iter: 8")
    over = await people.editor.post("/agents/import", json={"yaml": changed, "overwrite": True})
    assert over.status_code == 201
    assert (over.json()["id"], over.json()["max_iter"]) == (agent["id"], 8)
    assert over.json()["configuration_status"]["is_ready"]

    copied = await people.outsider.post("/agents/import", json={"yaml": exported.text})
    again = await people.outsider.get(f"/agents/{copied.json()['id']}/export")
    assert again.text == exported.text


async def test_a_file_may_use_what_yaml_has(people: People) -> None:
    text = "name: Dated\ninputs: {day: 2024-05-01, at: 2024-05-01T10:00:00Z, 5: five}\n"
    answer = await people.editor.post("/agents/import", json={"yaml": text, "overwrite": True})
    assert answer.json()["inputs"] == {
        "day": "2024-05-01",
        "at": "2024-05-01T10:00:00Z",
        "5": "five",
    }


BAD_FILES = {
    "name: [unclosed\nrole: x": "line 2",
    "name: a\n\tb: c": "line 2",
    "a: b: c": "line 1",
    "just text": "mapping",
    "- a\n- b": "mapping",
    "": None,
    "name: x\nsurprise: 1": "surprise",
    "name: x\nlimits: {max_iter: 0}": "max_iter",
    "name: x\nlimits: 5": "limits",
    "name: x\nllm_provider: 5\nllm_model: m": "llm_provider",
    "a: &a [x]\nb: [*a, *a]": "line 2",
    "name: &n [*n]": "line 1",
    "metadata: {k: !!binary aGk=}": "Tags",
    "metadata: {k: !!set {a, b}}": "Tags",
    "metadata: {k: !!python/object:os.system {}}": "line 1",
    "metadata: {k: .inf}": "finite",
    'metadata: {k: "a\\0b"}': "NUL",
    "name: x\n---\nname: y": "line",
    "name: x\nname: y": "line 2, column 1: The key 'name' is given twice.",
    "metadata: " + "[" * 3000: "levels deep",
}


@pytest.mark.parametrize("text", BAD_FILES)
async def test_a_bad_file_is_refused_with_the_place(people: People, text: str) -> None:
    answer = await people.editor.post("/agents/import", json={"yaml": text})
    assert answer.status_code == 422, answer.text
    hint = BAD_FILES[text]
    if hint is not None:
        body: dict[str, Any] = answer.json()
        assert body["error"] == "agent_yaml_invalid"
        assert hint in str(body["message"]), body
