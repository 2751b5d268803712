"""Prompt templates: kept, checked against their placeholders, versioned, filled."""

import asyncio
from typing import Any

import pytest

from muster.entrypoints.assembly import Muster
from muster.kernel.placeholders import fill, filled_length, placeholders_in
from tests.platform.recorded import recorded
from tests.support.people import People

pytestmark = pytest.mark.anyio

RESEARCH = {
    "name": "Research Agent Template",
    "template": "You are a research agent. Your task is to {task_description}. "
    "Please provide {expected_output}.",
    "variables": ["task_description", "expected_output"],
}


async def made(people: People, **fields: Any) -> dict[str, Any]:
    answer = await people.editor.post("/templates", json={**RESEARCH, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_the_documented_template(people: People, muster: Muster) -> None:
    body = await made(people)
    assert {name: body[name] for name in RESEARCH} == RESEARCH
    assert (body["description"], body["is_active"], body["version"]) == (None, True, 1)
    assert body["configuration_status"] == {"is_ready": True, "problems": []}
    assert (await people.viewer.get(f"/templates/{body['id']}")).json() == body
    by_name = await people.viewer.get("/templates/by-name/Research Agent Template")
    assert by_name.json() == body
    (event,) = await recorded(muster, "template.created", chain=people.project_id)
    assert event.data == {"template_id": body["id"], "name": body["name"]}
    assert (event.subject_type, event.subject_id) == ("template", body["id"])


async def test_a_name_may_have_slashes_and_is_unique(people: People) -> None:
    body = await made(people, name="a/b/versions")
    assert (await people.viewer.get("/templates/by-name/a/b/versions")).json() == body
    again = await people.editor.post("/templates", json={**RESEARCH, "name": "a/b/versions"})
    assert (again.status_code, again.json()["error"]) == (409, "template_name_taken")
    other = await made(people)
    path = f"/templates/{other['id']}"
    clash = await people.editor.patch(path, json={"name": "a/b/versions"})
    assert (clash.status_code, clash.json()["error"]) == (409, "template_name_taken")
    missing = await people.viewer.get("/templates/by-name/nothing")
    assert (missing.status_code, missing.json()["error"]) == (404, "template_not_found")
    elsewhere = await people.outsider.post("/templates", json={**RESEARCH, "name": "a/b/versions"})
    assert elsewhere.status_code == 201


async def test_of_two_at_once_one_is_made(people: People) -> None:
    answers = await asyncio.gather(
        *(people.editor.post("/templates", json=RESEARCH) for _ in range(4))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]


async def test_variables_are_read_from_the_text_unless_declared(people: People) -> None:
    text = 'Hello {name}, {name} and {other_1}. {"json": 1} {} {1, 2}'
    body = await made(people, template=text, variables=None)
    assert body["variables"] == ["name", "other_1"]
    assert body["configuration_status"]["is_ready"]
    path = f"/templates/{body['id']}"
    changed = (await people.editor.patch(path, json={"template": "{third}"})).json()
    assert (changed["variables"], changed["version"]) == (["third"], 2)
    told = (await people.editor.patch(path, json={"variables": ["fourth", "fourth"]})).json()
    assert told["variables"] == ["fourth"]
    assert [p["code"] for p in told["configuration_status"]["problems"]] == [
        "variable_undeclared",
        "variable_unused",
    ]
    assert not told["configuration_status"]["is_ready"]
    again = (await people.editor.put(path, json={"variables": None})).json()
    assert (again["variables"], again["template"]) == (["third"], "{third}")


async def test_what_looks_like_a_placeholder_and_is_none_is_told(people: People) -> None:
    body = await made(people, template="For {the customer}", variables=[])
    (problem,) = body["configuration_status"]["problems"]
    assert (problem["code"], problem["field"]) == ("placeholder_invalid", "template")
    assert "{the customer}" in problem["message"]


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "n" * 256},
        {"template": ""},
        {"template": "t" * 100_001},
        {"template": None},
        {"variables": ["no name"]},
        {"variables": "a"},
        {"unknown": 1},
    ],
)
async def test_what_is_no_template_is_refused(people: People, fields: dict[str, Any]) -> None:
    answer = await people.editor.post("/templates", json={**RESEARCH, **fields})
    assert answer.status_code == 422, answer.text


async def test_the_text_is_kept_to_the_last_space(people: People) -> None:
    body = await made(people, template="  Name: {name}\n\n ", variables=None)
    assert body["template"] == "  Name: {name}\n\n "


async def test_versions_are_kept_and_can_be_restored(people: People, muster: Muster) -> None:
    body = await made(people, description="One")
    path = f"/templates/{body['id']}"
    same = (await people.editor.put(path, json={"description": "One"})).json()
    assert same["version"] == 1
    second = (
        await people.editor.put(path, json={"template": "Now {x}", "variables": ["x"]})
    ).json()
    assert (second["version"], second["description"]) == (2, "One")
    page = (await people.viewer.get(f"{path}/versions")).json()
    assert [item["version"] for item in page["items"]] == [2, 1]
    first = (await people.viewer.get(f"{path}/versions/1")).json()
    assert (first["template"], first["note"]) == (RESEARCH["template"], None)
    restored = (await people.editor.post(f"{path}/versions/1/restore")).json()
    assert (restored["version"], restored["template"]) == (3, RESEARCH["template"])
    third = (await people.viewer.get(f"{path}/versions/3")).json()
    assert third["note"] == "Restored from version 1"
    missing = await people.editor.post(f"{path}/versions/9/restore")
    assert (missing.status_code, missing.json()["error"]) == (404, "template_version_not_found")
    facts = await recorded(muster, "template.updated", chain=people.project_id)
    assert [(fact.data["version"], fact.data["changed"]) for fact in facts] == [
        (2, ["template", "variables"]),
        (3, ["template", "variables"]),
    ]


async def test_changes_at_once_are_all_kept(people: People) -> None:
    path = f"/templates/{(await made(people))['id']}"
    changes = [{"description": f"Number {n}"} for n in range(5)]
    answers = await asyncio.gather(*(people.editor.patch(path, json=c) for c in changes))
    assert sorted(a.json()["version"] for a in answers) == [2, 3, 4, 5, 6]


async def test_filling_a_template(people: People) -> None:
    body = await made(people)
    path = f"/templates/{body['id']}/render"
    values = {"task_description": "read {expected_output}", "expected_output": ["a", 1], "more": 0}
    answer = await people.viewer.post(path, json={"variables": values})
    assert answer.json() == {
        "text": "You are a research agent. Your task is to read {expected_output}. "
        'Please provide ["a",1].',
        "template_id": body["id"],
        "version": 1,
    }
    missing = await people.viewer.post(path, json={"variables": {"task_description": "x"}})
    told = missing.json()
    assert (missing.status_code, told["error"]) == (422, "template_variables_missing")
    assert told["details"] == {"missing": ["expected_output"]}
    assert [error["field"] for error in told["errors"]] == ["variables.expected_output"]


async def test_one_that_is_not_active_is_not_filled(people: People) -> None:
    body = await made(people, is_active=False)
    refused = await people.viewer.post(f"/templates/{body['id']}/render", json={})
    assert (refused.status_code, refused.json()["error"]) == (409, "template_inactive")


async def test_a_text_that_repeats_a_long_value_is_refused(people: People) -> None:
    body = await made(people, template="{x}" * 30_000, variables=None)
    refused = await people.viewer.post(
        f"/templates/{body['id']}/render", json={"variables": {"x": "y" * 100_000}}
    )
    assert (refused.status_code, refused.json()["error"]) == (422, "template_text_too_long")


async def test_lists_are_searched_filtered_and_paged(people: People) -> None:
    for number in range(3):
        await made(people, name=f"Number {number}", is_active=number != 1)
    await made(people, name="Other", description="100% of them")

    async def names(**params: Any) -> list[str]:
        page = (await people.viewer.get("/templates", params=params)).json()
        return [item["name"] for item in page["items"]]

    assert await names() == ["Other", "Number 2", "Number 1", "Number 0"]
    assert await names(search="number", is_active="true") == ["Number 2", "Number 0"]
    assert await names(is_active="false") == ["Number 1"]
    assert await names(search="100%") == ["Other"]
    assert await names(limit=1, offset=1) == ["Number 2"]


async def test_deleting(people: People, muster: Muster) -> None:
    body = await made(people)
    path = f"/templates/{body['id']}"
    await people.editor.patch(path, json={"description": "x"})
    assert (await people.editor.delete(path)).status_code == 204
    assert (await people.viewer.get(path)).status_code == 404
    assert (await people.editor.delete(path)).status_code == 404
    (event,) = await recorded(muster, "template.deleted", chain=people.project_id)
    assert event.subject_id == body["id"]


async def test_who_may_do_what(people: People) -> None:
    body = await made(people)
    path = f"/templates/{body['id']}"
    for person in (people.viewer, people.operator):
        assert (await person.get(path)).status_code == 200
        assert (await person.post("/templates", json=RESEARCH)).status_code == 403
        assert (await person.patch(path, json={})).status_code == 403
        assert (await person.delete(path)).status_code == 403
    for answer in (
        await people.outsider.get(path),
        await people.outsider.patch(path, json={"name": "Mine"}),
        await people.outsider.get(f"{path}/versions"),
        await people.outsider.post(f"{path}/render", json={}),
        await people.outsider.get(f"/templates/by-name/{body['name']}"),
    ):
        assert answer.status_code == 404
    assert (await people.outsider.get("/templates")).json()["items"] == []


def test_placeholders_of_a_text() -> None:
    assert placeholders_in("{a} {{b}} { c } {a} {1x} {d_1}") == ["a", "b", "d_1"]
    assert fill("{a} {b} {{a}}", {"a": 1}) == "1 {b} {1}"
    assert filled_length("{a}{a}{b}", {"a": "xxx"}) == len("xxxxxx{b}")
