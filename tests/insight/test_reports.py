"""Reports over HTTP: asked for, made in the background, downloaded, deleted, refused."""

import asyncio
from hashlib import sha256
from typing import Any

import httpx2
import pytest
from sqlalchemy import update

from muster.domains.insight.reports import Report
from muster.entrypoints.assembly import Muster
from tests.insight.report_setting import ask, download, until
from tests.support.people import People

pytestmark = pytest.mark.anyio

MONTH = {"from": "2026-10-01", "to": "2026-11-01T00:00:00+01:00"}
MEDIA = {"pdf": "application/pdf", "xml": "application/xml", "json": "application/json"}


@pytest.fixture
async def client(people: People) -> httpx2.AsyncClient:
    return people.operator


def refusal(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]


@pytest.mark.parametrize("format", MEDIA)
async def test_a_report_is_made_in_the_background(
    people: People, client: httpx2.AsyncClient, format: str
) -> None:
    answer = await client.post("/reports", json={"format": format, **MONTH})
    assert answer.status_code == 202, answer.text
    report = answer.json()
    assert answer.headers["location"] == f"/api/v1/reports/{report['id']}"
    assert (report["status"], report["progress"], report["phase"]) == ("queued", 0, "waiting")
    assert report["from"] == "2026-10-01T00:00:00.000000Z"
    assert report["to"] == "2026-10-31T23:00:00.000000Z"
    assert report["title"] == "Report 2026-10-01 to 2026-10-31"
    assert report["created_by_name"] == "Operator"
    done = await until(people.viewer, report["id"])
    assert (done["status"], done["progress"], done["phase"]) == ("completed", 100, "done")
    assert done["error"] is None
    assert report["created_at"] <= done["started_at"] <= done["as_of"] <= done["completed_at"]
    file = await download(people.viewer, report["id"])
    assert file.headers["content-type"] == MEDIA[format]
    assert f'.{format}"' in file.headers["content-disposition"]
    assert "attachment" in file.headers["content-disposition"]
    assert len(file.content) == done["size"] == int(file.headers["content-length"])
    assert sha256(file.content).hexdigest() == done["sha256"] == file.headers["etag"].strip('"')


async def test_the_log_of_events_tells_of_it(people: People, client: httpx2.AsyncClient) -> None:
    report = await until(client, (await ask(client, **MONTH))["id"])
    params = {"subject_type": "report", "subject_id": report["id"], "order": "asc"}
    events = (await people.viewer.get("/events", params=params)).json()["items"]
    assert [event["type"] for event in events] == ["report.requested", "report.completed"]
    assert events[1]["data"]["sha256"] == report["sha256"]


async def test_the_same_file_is_not_sent_twice(client: httpx2.AsyncClient) -> None:
    report = await until(client, (await ask(client, format="json", **MONTH))["id"])
    path = f"/reports/{report['id']}/download"
    for etag in (f'"{report["sha256"]}"', f'"other", W/"{report["sha256"]}"'):
        answer = await client.get(path, headers={"if-none-match": etag})
        assert (answer.status_code, answer.content) == (304, b"")
    assert (await client.get(path, headers={"if-none-match": '"other"'})).status_code == 200


async def test_lists(people: People, client: httpx2.AsyncClient) -> None:
    made = [await ask(client, format=kind, **MONTH) for kind in ("xml", "json", "xml")]
    for report in made:
        await until(client, report["id"])

    async def ids(**params: Any) -> list[str]:
        answer = await people.viewer.get("/reports", params=params)
        assert answer.status_code == 200, answer.text
        return [item["id"] for item in answer.json()["items"]]

    newest_first = [report["id"] for report in reversed(made)]
    assert await ids() == newest_first
    assert await ids(format="json") == [made[1]["id"]]
    assert await ids(status="completed", format="xml") == [newest_first[0], newest_first[2]]
    assert await ids(status="failed") == []
    assert await ids(limit=1, offset=1) == newest_first[1:2]
    assert (await people.viewer.get("/reports", params={"format": "doc"})).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"from": "2026-10-01"},
        {"from": "2026-11-01", "to": "2026-10-01"},
        {"from": "2026-10-01", "to": "2026-10-01"},
        {"from": "2020-01-01", "to": "2026-01-01"},
        {"from": 1764547200, "to": 1764633600},
        {"from": "1960-01-01", "to": "1961-01-01"},
        {"from": "0001-01-01T00:00:00+14:00", "to": "2026-01-01"},
        {"from": "yesterday", "to": "today"},
        {**MONTH, "format": "docx"},
        {**MONTH, "title": ""},
        {**MONTH, "title": "x" * 256},
        {**MONTH, "agent_ids": []},
        {**MONTH, "agent_ids": ["x"] * 201},
        {**MONTH, "environment": "moon"},
        {**MONTH, "unknown": 1},
    ],
)
async def test_refused_bodies(client: httpx2.AsyncClient, body: dict[str, Any]) -> None:
    answer = await client.post("/reports", json=body)
    assert answer.status_code == 422, answer.text


async def test_what_is_not_there_is_refused(people: People, client: httpx2.AsyncClient) -> None:
    answer = await client.post("/reports", json={**MONTH, "framework": "nonsense"})
    assert refusal(answer) == (422, "report_framework_unknown")
    assert "owasp_agentic_default" in answer.json()["message"] + str(answer.json()["detail"])
    theirs = {"name": "Theirs", "llm": "builtin/extractive"}
    agent = (await people.outsider.post("/agents", json=theirs)).json()["id"]
    answer = await client.post("/reports", json={**MONTH, "agent_ids": [agent]})
    assert refusal(answer) == (422, "report_agent_unknown")
    assert answer.json()["errors"][0]["field"] == "agent_ids.0"
    assert (await client.get("/reports")).json()["total"] == 0


async def test_roles(people: People) -> None:
    assert refusal(await people.viewer.post("/reports", json=MONTH)) == (403, "insufficient_role")
    report = await ask(people.editor, **MONTH)
    refused = await people.viewer.delete(f"/reports/{report['id']}")
    assert refusal(refused) == (403, "insufficient_role")


async def test_other_projects_see_nothing(people: People, client: httpx2.AsyncClient) -> None:
    report = await until(client, (await ask(client, **MONTH))["id"])
    path = f"/reports/{report['id']}"
    for answer in (
        await people.outsider.get(path),
        await people.outsider.get(f"{path}/download"),
        await people.outsider.delete(path),
    ):
        assert refusal(answer) == (404, "report_not_found")
    assert (await people.outsider.get("/reports")).json()["items"] == []


async def test_the_same_request_twice_makes_one(client: httpx2.AsyncClient) -> None:
    headers = {"idempotency-key": "october"}
    answers = [await client.post("/reports", json=MONTH, headers=headers) for _ in range(2)]
    assert len({answer.json()["id"] for answer in answers}) == 1
    assert answers[1].headers["location"] == answers[0].headers["location"]
    assert (await client.get("/reports")).json()["total"] == 1


async def test_many_at_once(client: httpx2.AsyncClient) -> None:
    asked = await asyncio.gather(*(ask(client, format="json", **MONTH) for _ in range(8)))
    done = [await until(client, report["id"]) for report in asked]
    assert {report["status"] for report in done} == {"completed"}
    # Each file names its report.
    assert len({report["sha256"] for report in done}) == 8


async def test_one_that_is_not_ready_is_not_downloaded(
    client: httpx2.AsyncClient, working: Muster
) -> None:
    report = await until(client, (await ask(client, **MONTH))["id"])
    path = f"/reports/{report['id']}/download"

    async def put(**values: Any) -> None:
        async with working.database.write() as session:
            await session.execute(update(Report).where(Report.id == report["id"]).values(**values))

    await put(status="running", progress=42, attempt=99)
    answer = await client.get(path)
    assert refusal(answer) == (409, "report_not_ready")
    assert "42 percent" in str(answer.json()["detail"])
    await put(status="failed", error="It broke.")
    answer = await client.get(path)
    assert refusal(answer) == (409, "report_not_ready")
    assert "It broke." in str(answer.json()["detail"])
    await put(status="completed")
    await working.report_parts.files.delete(report["sha256"])
    assert refusal(await client.get(path)) == (410, "report_lost")


async def test_deleting(people: People, client: httpx2.AsyncClient, working: Muster) -> None:
    report = await until(client, (await ask(client, **MONTH))["id"])
    assert await working.report_parts.files.get(report["sha256"])
    assert (await client.delete(f"/reports/{report['id']}")).status_code == 204
    assert refusal(await client.get(f"/reports/{report['id']}")) == (404, "report_not_found")
    with pytest.raises(FileNotFoundError):
        await working.report_parts.files.get(report["sha256"])
    again = await client.delete(f"/reports/{report['id']}")
    assert refusal(again) == (404, "report_not_found")
    events = (await people.viewer.get("/events", params={"type": "report.deleted"})).json()
    assert [event["subject"]["id"] for event in events["items"]] == [report["id"]]
