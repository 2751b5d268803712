"""Reading what was logged: lists, tasks, verification, tenancy."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from urllib.parse import quote

import httpx2
import pytest
from sqlalchemy import delete, text, update

from muster.domains.work.journal import JournalReader, Run, Step
from muster.domains.work.journal.chaining import step_hash
from muster.domains.work.journal.reading import step_values
from muster.domains.work.logs.schemas import LogOut
from muster.domains.work.runs.presenting import MASK
from muster.entrypoints.assembly import Muster
from muster.kernel.chain import GENESIS
from muster.kernel.paging import CursorPage
from tests.support.accounts import find_accounts
from tests.support.people import People, signed_in
from tests.support.serving import serving
from tests.work.external_setting import agent_client, code, logged, registered, steps_of

pytestmark = pytest.mark.anyio

Connect = Callable[..., httpx2.AsyncClient]


@pytest.fixture
async def people(muster: Muster, connect: Connect) -> People:
    """The people of the application that executes nothing."""
    return signed_in(await find_accounts(muster), connect)


@pytest.fixture
async def agent(people: People, connect: Connect) -> httpx2.AsyncClient:
    return await agent_client(people.owner, connect)


async def list_of(reader: httpx2.AsyncClient, **params: str) -> list[tuple[str, int]]:
    answer = await reader.get("/logs", params=params)
    assert answer.status_code == 200, answer.text
    return [(item["task_id"], item["seq"]) for item in answer.json()["items"]]


async def test_lists(people: People, agent: httpx2.AsyncClient) -> None:
    first, second = await registered(agent, "a"), await registered(agent, "b")
    at = "2026-05-04T12:00:0{}Z"
    for number in range(3):
        await logged(agent, first, task_id="one", timestamp=at.format(number))
    await logged(agent, second, task_id="two", timestamp=at.format(1), status="failed")
    await logged(agent, second, task_id="two", timestamp=at.format(3), kind="task.end", verb=None)

    everything = [("two", 2), ("one", 3), ("two", 1), ("one", 2), ("one", 1)]
    assert await list_of(people.viewer) == everything
    assert await list_of(people.viewer, external="true") == everything
    assert await list_of(people.viewer, external="false") == []
    assert await list_of(people.viewer, agent_id=second) == [("two", 2), ("two", 1)]
    assert await list_of(people.viewer, task_id="one", limit="1") == [("one", 3)]
    assert await list_of(people.viewer, kind="task.end") == [("two", 2)]
    assert await list_of(people.viewer, status="error") == [("two", 1)]
    window = {"from": at.format(1), "to": at.format(2)}
    assert await list_of(people.viewer, **window) == [("two", 1), ("one", 2)]
    assert await list_of(people.outsider) == []
    assert await list_of(people.outsider, task_id="one") == []

    seen: list[tuple[str, int]] = []
    params: dict[str, str] = {"limit": "2"}
    for total in (5, None, None):
        page = (await people.viewer.get("/logs", params=params)).json()
        assert page["total"] == total
        seen += [(item["task_id"], item["seq"]) for item in page["items"]]
        params["cursor"] = page["next_cursor"] or ""
    assert (seen, page["next_cursor"]) == (everything, None)
    for cursor in ("nonsense", "WzFd", "e30"):
        bad = await people.viewer.get("/logs", params={"cursor": cursor})
        assert code(bad) == (400, "bad_cursor")
    run_id = (await people.viewer.get("/logs", params={"task_id": "two"})).json()["items"][0][
        "execution_id"
    ]
    assert await list_of(people.viewer, task_id=run_id) == [("two", 2), ("two", 1)]


async def test_pages_where_all_steps_have_one_time(
    people: People, agent: httpx2.AsyncClient
) -> None:
    agent_id = await registered(agent)
    steps = [{"kind": "step.exec", "timestamp": "2026-05-04T12:00:00Z"}] * 7
    body = {"agent_id": agent_id, "task_id": "t-1", "steps": steps}
    assert (await agent.post("/logs/batch", json=body)).status_code == 201
    seen: list[int] = []
    cursor = ""
    for _ in range(4):
        params = {"limit": "2", **({"cursor": cursor} if cursor else {})}
        page = (await people.viewer.get("/logs", params=params)).json()
        seen += [item["seq"] for item in page["items"]]
        cursor = page["next_cursor"] or ""
    assert seen == list(range(7, 0, -1))

    numbers: list[int] = []
    params = {"limit": "3"}
    for _ in range(3):
        page = (await people.viewer.get("/logs/tasks/t-1", params=params)).json()
        numbers += [item["seq"] for item in page["items"]]
        params["cursor"] = page["next_cursor"] or ""
    assert numbers == list(range(1, 8))
    for cursor in ("x", "²", "-1"):
        bad = await people.viewer.get("/logs/tasks/t-1", params={"cursor": cursor})
        assert code(bad) == (400, "bad_cursor")


async def test_a_task_by_either_id(people: People, agent: httpx2.AsyncClient) -> None:
    first, second = await registered(agent, "a"), await registered(agent, "b")
    run_id = (await logged(agent, first, task_id="same"))["execution_id"]
    await logged(agent, second, task_id="same")
    for path in ("", "/verify", "/validate"):
        ambiguous = await people.viewer.get(f"/logs/tasks/same{path}")
        assert code(ambiguous) == (409, "task_ambiguous")
        which = await people.viewer.get(f"/logs/tasks/same{path}", params={"agent_id": second})
        assert which.status_code == 200
        for missing in ("nothing", "same"):
            gone = await people.outsider.get(f"/logs/tasks/{missing}{path}")
            assert code(gone) == (404, "task_not_found")
        hidden = await people.outsider.get(f"/logs/tasks/{run_id}{path}")
        assert code(hidden) == (404, "task_not_found")
    [step] = await steps_of(people.viewer, run_id)
    assert (step["task_id"], step["agent_id"], step["external"]) == ("same", first, True)
    assert code(await agent.get("/logs")) == (403, "insufficient_role")


async def test_an_answer_is_what_its_description_says(
    people: People, agent: httpx2.AsyncClient
) -> None:
    agent_id = await registered(agent)
    long = ['\u00dcn\u00efcode " \\ \n', 1e21, 0.1, {"nested": [None, True]}] * 3_000
    given = [
        {"input": long, "output": {"text": "x"}},
        {"input": {"password": "p", "max_tokens": 7, "to\u212aen": "t"}, "output": long},
        {"input": {"Api-Key": "k"}, "status": "failed", "error": {"message": "No."}},
        {"properties": {"usage": {"input_tokens": 7}, "cost": 0.000012}, "duration_ms": 1.5},
        {"input": "password", "kind": "task.end", "verb": None},
    ]
    for fields in given:
        await logged(agent, agent_id, **fields)
    for path, params in (
        ("/logs", {"limit": 3}),
        ("/logs", {"limit": 3, "offset": 3}),
        ("/logs/tasks/t-1", {"limit": 100}),
        ("/logs/tasks/t-1", {"limit": 2, "cursor": "2"}),
        ("/logs", {"task_id": "nothing"}),
    ):
        answer = await people.viewer.get(path, params=params)
        read = CursorPage[LogOut].model_validate_json(answer.content)
        assert answer.json() == read.model_dump(mode="json")
        assert set(answer.json()) == set(read.model_fields_set)
        assert all(item.model_fields_set == set(LogOut.model_fields) for item in read.items)
    steps = await steps_of(people.viewer)
    assert (steps[0]["input"], steps[1]["output"]) == (long, long)
    assert [step["input"] for step in steps[1:]] == [
        {"password": MASK, "max_tokens": 7, "to\u212aen": MASK},
        {"Api-Key": MASK},
        None,
        "password",
    ]


STRANGE = [
    "a/b",
    "a/verify",
    "verify",
    "/",
    "a/",
    "//x//",
    "?a=b&c#d",
    "100%",
    "%2F",
    "a%2Fverify",
    "two words\t\n",
    "..",
    ".",
    "Ünïcode 漢字 🎈",
    "\\;:@+",
    "x" * 255,
]


@pytest.mark.parametrize("http", [None, "h11", "httptools"])
async def test_a_task_may_be_called_anything(
    muster: Muster, people: People, agent: httpx2.AsyncClient, http: str | None
) -> None:
    agent_id = await registered(agent)
    runs = {
        task_id: (await logged(agent, agent_id, task_id=task_id))["execution_id"]
        for task_id in (*STRANGE, "a")
    }
    async with AsyncExitStack() as stack:
        client = people.viewer
        if http is not None:
            address = await stack.enter_async_context(serving(muster.app, http=http))
            client = await stack.enter_async_context(
                httpx2.AsyncClient(
                    base_url=f"http://{address}",
                    headers={"Authorization": client.headers["Authorization"]},
                )
            )
        for task_id, run_id in runs.items():
            # As a client writes it that knows nothing of dots: a path is shortened by them.
            named = quote(task_id, safe="").replace(".", "%2E")
            for base in ("/api/v1", "/v1"):
                url = client.base_url.join(f"{base}/logs/tasks/{named}")
                (step,) = (await client.get(url)).raise_for_status().json()["items"]
                assert (step["task_id"], step["execution_id"]) == (task_id, run_id)
                for verb in ("verify", "validate", "verify/"):
                    answer = await client.get(f"{url}/{verb}", params={"agent_id": agent_id})
                    found = answer.raise_for_status().json()
                    assert (found["task_id"], found["valid"]) == (task_id, True)
        # Slashes as they are belong to the id as far as they can.
        url = str(client.base_url.join("/api/v1/logs/tasks"))
        (step,) = (await client.get(f"{url}/a/b")).raise_for_status().json()["items"]
        assert step["task_id"] == "a/b"
        for path, task_id in (("a/verify", "a"), ("a/b/verify", "a/b")):
            assert (await client.get(f"{url}/{path}")).json()["task_id"] == task_id
        # No text of the database, so no task: how that is said differs.
        assert (await client.get(f"{url}/a%00")).status_code in {404, 422}
        for path in ("%FF", "a%2Fb%2Fc", "nothing/verify", "%2E%2E/verify/verify"):
            assert code(await client.get(f"{url}/{path}")) == (404, "task_not_found")
        assert (await client.post(f"{url}/a")).status_code == 405


async def test_secrets_in_inputs_are_masked(people: People, agent: httpx2.AsyncClient) -> None:
    agent_id = await registered(agent)
    await logged(agent, agent_id, input={"password": "hunter2"})
    [step] = await steps_of(people.viewer)
    assert step["input"] == {"password": "***REDACTED***"}


async def test_steps_of_runs_here_are_listed_too(people: People) -> None:
    body = {"name": "Own", "llm": "builtin/extractive"}
    agent = (await people.editor.post("/agents", json=body)).json()
    started = await people.operator.post("/executions", json={"agent_id": agent["id"]})
    run_id = started.json()["execution_id"]
    assert await steps_of(people.viewer, run_id) == []
    found = (await people.viewer.get(f"/logs/tasks/{run_id}/verify")).json()
    assert (found["valid"], found["task_id"], found["steps"]) == (True, run_id, 0)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("input", '{"a":2}'),
        ("output", "null"),
        ("kind", "step.exec"),
        ("verb", "POST"),
        ("properties", "{}"),
        ("status", "blocked"),
        ("name", "Other"),
        ("cost", 1.0),
        ("previous_hash", "1" * 64),
    ],
)
async def test_a_changed_row_is_named(
    muster: Muster, people: People, agent: httpx2.AsyncClient, column: str, value: object
) -> None:
    agent_id = await registered(agent)
    run_id = ""
    for _ in range(3):
        run_id = (await logged(agent, agent_id, input={"a": 1}))["execution_id"]
    async with muster.database.write() as session:
        where = (Step.run_id == run_id, Step.seq == 2)
        await session.execute(update(Step).where(*where).values({column: value}))
    for path in ("verify", "validate"):
        found = (await people.viewer.get(f"/logs/tasks/t-1/{path}")).json()
        assert (found["valid"], found["first_bad_seq"], found["execution_id"]) == (False, 2, run_id)
        assert found["reason"]


@pytest.mark.parametrize(("removed", "bad"), [(2, 2), (3, 3)])
async def test_a_removed_row_is_named(
    muster: Muster, people: People, agent: httpx2.AsyncClient, removed: int, bad: int
) -> None:
    agent_id = await registered(agent)
    run_id = ""
    for _ in range(3):
        run_id = (await logged(agent, agent_id))["execution_id"]
    async with muster.database.write() as session:
        await session.execute(delete(Step).where(Step.run_id == run_id, Step.seq == removed))
    found = (await people.viewer.get("/logs/tasks/t-1/verify")).json()
    assert (found["valid"], found["first_bad_seq"]) == (False, bad)


async def test_what_is_cut_off_together_with_the_head_is_missed(
    muster: Muster, people: People, agent: httpx2.AsyncClient
) -> None:
    agent_id = await registered(agent)
    hashes = [(await logged(agent, agent_id))["hash_tail"] for _ in range(3)]
    run_id = (await logged(agent, agent_id, kind="task.end", verb=None))["execution_id"]
    assert (await people.viewer.get("/logs/tasks/t-1/verify")).json()["valid"]
    async with muster.database.write() as session:
        await session.execute(delete(Step).where(Step.run_id == run_id, Step.seq > 2))
        cut = update(Run).where(Run.id == run_id).values(head_seq=2, head_hash=hashes[1])
        await session.execute(cut)
    for path in ("/logs/tasks/t-1/verify", f"/execution-trace/{run_id}/verify"):
        found = (await people.viewer.get(path)).json()
        assert (found["valid"], found["first_bad_seq"]) == (False, 3)


async def test_a_chain_that_was_written_anew_is_not_the_one_that_ended(
    muster: Muster, people: People, agent: httpx2.AsyncClient
) -> None:
    agent_id = await registered(agent)
    await logged(agent, agent_id)
    run_id = (await logged(agent, agent_id, kind="task.end", verb=None))["execution_id"]
    async with muster.database.write() as session:
        previous = GENESIS
        for row in await JournalReader(session).steps(run_id):
            values = {**step_values(row), "name": "Other", "previous_hash": previous}
            values["hash"] = previous = step_hash(previous, values)
            here = (Step.run_id == run_id, Step.seq == row.seq)
            await session.execute(update(Step).where(*here).values(values))
        await session.execute(update(Run).where(Run.id == run_id).values(head_hash=previous))
    found = (await people.viewer.get("/logs/tasks/t-1/verify")).json()
    assert (found["valid"], found["first_bad_seq"]) == (False, 2)
    assert "rewritten" in found["reason"]


@pytest.mark.parametrize("column", ["started_at", "name"])
async def test_a_row_that_cannot_be_read_is_named(
    muster: Muster, people: People, agent: httpx2.AsyncClient, column: str
) -> None:
    if muster.database.dialect == "postgresql":
        return  # such values cannot be stored there
    agent_id = await registered(agent)
    for _ in range(3):
        await logged(agent, agent_id)
    async with muster.database.write() as session:
        await session.execute(text(f"UPDATE steps SET {column} = x'ff' WHERE seq = 2"))
    found = (await people.viewer.get("/logs/tasks/t-1/verify")).json()
    assert (found["valid"], found["first_bad_seq"]) == (False, 2)
