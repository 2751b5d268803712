"""Code reviews: submitting, commenting, deciding once, and the tools of agents."""

import asyncio
from typing import Any

import pytest

from muster.domains.dialogue.reviews.errors import ReviewNotFound
from muster.entrypoints.assembly import Muster
from tests.dialogue.setting import act, as_agent, make_agent
from tests.platform.recorded import recorded
from tests.support.people import People

pytestmark = pytest.mark.anyio

DIFF = "--- a/prices.py\n+++ b/prices.py\n@@ -1 +1 @@\n-up = False\n+up = True\n"


@pytest.fixture
async def coder(people: People) -> dict[str, Any]:
    return await make_agent(people, "Coder")


async def submitted(people: People, **body: Any) -> dict[str, Any]:
    given = {"title": "Round up", "diff": DIFF, **body}
    answer = await people.operator.post("/code-reviews", json=given)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def titles(people: People, **params: Any) -> list[str]:
    answer = await people.viewer.get("/code-reviews", params=params)
    assert answer.status_code == 200, answer.text
    return [review["title"] for review in answer.json()["items"]]


async def test_a_review_is_commented_and_approved(
    muster: Muster, people: People, coder: dict[str, Any]
) -> None:
    review = await submitted(
        people, agent_id="coder", repository="shop", branch="round", description="As asked"
    )
    path = f"/code-reviews/{review['id']}"
    assert (review["status"], review["agent_id"]) == ("pending", coder["id"])
    assert (review["submitted_by_name"], review["diff"]) == ("Coder", DIFF)
    assert (review["files"], review["comments"], review["file_count"]) == ([], [], 0)

    body = {"body": "And negative ones?", "file": "prices.py", "line": 1}
    comment = await people.operator.post(f"{path}/comment", json=body)
    assert comment.status_code == 201, comment.text
    assert (comment.json()["file"], comment.json()["line"]) == ("prices.py", 1)
    plain = await people.operator.post(f"{path}/comment", json={"comment": "Nice."})
    assert plain.json()["body"] == "Nice."

    approved = await people.operator.post(f"{path}/approve", json={"comment": "Good"})
    assert approved.status_code == 200, approved.text
    shown = (await people.viewer.get(path)).json()
    assert shown == approved.json()
    assert (shown["status"], shown["decision_comment"]) == ("approved", "Good")
    assert shown["decided_by_name"]
    assert [c["body"] for c in shown["comments"]] == ["And negative ones?", "Nice."]

    for verb, more in (("approve", None), ("reject", None), ("comment", {"body": "x"})):
        answer = await people.operator.post(f"{path}/{verb}", json=more)
        assert (answer.status_code, answer.json()["error"]) == (409, "code_review_decided")
    events = await recorded(muster, chain=people.project_id)
    facts = [event for event in events if event.type.startswith("review.")]
    assert [fact.type for fact in facts] == [
        "review.submitted",
        "review.commented",
        "review.commented",
        "review.approved",
    ]
    assert all("negative" not in str(fact.data) for fact in facts)
    assert {fact.subject_id for fact in facts} == {review["id"]}


async def test_of_many_who_decide_one_decides(muster: Muster, people: People) -> None:
    review = await submitted(people)
    path = f"/code-reviews/{review['id']}"

    answers = await asyncio.gather(
        *(
            people.operator.post(f"{path}/{verb}")
            for verb in ("approve", "reject", "approve", "reject")
        )
    )

    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    facts = await recorded(muster, "review.approved", "review.rejected", chain=people.project_id)
    assert len(facts) == 1


async def test_what_is_deleted_meanwhile_is_not_found(people: People) -> None:
    review = await submitted(people)
    path = f"/code-reviews/{review['id']}"

    answers = await asyncio.gather(
        people.operator.delete(path),
        people.operator.delete(path),
        people.operator.post(f"{path}/approve"),
        people.operator.post(f"{path}/comment", json={"body": "x"}),
    )

    statuses = [answer.status_code for answer in answers]
    assert sorted(statuses[:2]) == [204, 404]
    assert set(statuses[2:]) <= {200, 201, 404, 409}


async def test_files_are_reviewed(people: People) -> None:
    files = [{"path": "a.py", "content": "x = 1\n"}, {"path": "b.py", "diff": "+y"}]
    review = await submitted(people, diff=None, files=files)
    assert review["file_count"] == 2
    assert review["files"][0] == {"path": "a.py", "content": "x = 1\n", "diff": None}
    path = f"/code-reviews/{review['id']}/comment"
    good = await people.operator.post(path, json={"body": "ok", "file": "b.py"})
    assert good.status_code == 201
    for body in ({"body": "?", "file": "c.py"}, {"body": "?", "line": 3}):
        answer = await people.operator.post(path, json=body)
        assert (answer.status_code, answer.json()["error"]) == (422, "code_review_file_unknown")


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"title": "x"}, "code_review_empty"),
        ({"title": "x", "files": [{"path": "a"}]}, "code_review_empty"),
        ({"title": "x", "diff": "\n"}, "code_review_empty"),
        ({"title": " ", "diff": "+x"}, "validation_error"),
        ({"title": "x", "diff": "x" * 500_001}, "validation_error"),
        ({"title": "x", "files": [{"path": "a", "size": 1}]}, "validation_error"),
        (
            {
                "title": "x",
                "files": [{"path": str(n), "content": "x" * 200_000} for n in range(5)]
                + [{"path": "more", "content": "x"}],
            },
            "code_review_too_large",
        ),
    ],
)
async def test_what_cannot_be_reviewed(people: People, body: dict[str, Any], error: str) -> None:
    answer = await people.operator.post("/code-reviews", json=body)
    assert (answer.status_code, answer.json()["error"]) == (422, error), answer.text[:500]


async def test_the_list_is_filtered(people: People, coder: dict[str, Any]) -> None:
    first = await submitted(people, title="First", agent_id=coder["id"])
    await submitted(people, title="Second", branch="50%")
    assert (await people.operator.post(f"/code-reviews/{first['id']}/reject")).status_code == 200

    assert await titles(people) == ["Second", "First"]
    assert await titles(people, status="rejected") == ["First"]
    assert await titles(people, status="pending") == ["Second"]
    assert await titles(people, agent_id="coder") == ["First"]
    assert await titles(people, search="50%") == ["Second"]
    assert (await people.viewer.get("/code-reviews", params={"status": "x"})).status_code == 422
    items = (await people.viewer.get("/code-reviews")).json()["items"]
    assert not {"diff", "files", "comments"} & set(items[0])


async def test_who_may(muster: Muster, people: People) -> None:
    review = await submitted(people)
    path = f"/code-reviews/{review['id']}"
    body = {"title": "x", "diff": "+x"}
    assert (await people.viewer.post("/code-reviews", json=body)).status_code == 403
    assert (await people.viewer.post(f"{path}/approve")).status_code == 403
    assert (await people.viewer.post(f"{path}/comment", json={"body": "x"})).status_code == 403
    for method, below, given in (
        ("GET", "", None),
        ("POST", "/approve", None),
        ("POST", "/reject", None),
        ("POST", "/comment", {"body": "x"}),
        ("DELETE", "", None),
    ):
        answer = await people.outsider.request(method, path + below, json=given)
        assert answer.status_code == 404, (method, below)
    assert (await people.operator.delete(path)).status_code == 204
    assert (await people.viewer.get(path)).status_code == 404
    assert await recorded(muster, "review.deleted", chain=people.project_id)


async def test_agents_submit_and_see_the_decision(
    muster: Muster, people: People, coder: dict[str, Any]
) -> None:
    context = as_agent(people, coder)
    done = await act(muster, context, "submit_code_review", title="Round up", diff=DIFF)
    again = await act(muster, context, "submit_code_review", title="Round up", diff=DIFF)
    assert done.content == again.content
    review_id = done.content["review_id"]
    path = f"/code-reviews/{review_id}"
    shown = (await people.viewer.get(path)).json()
    assert (shown["agent_id"], shown["run_id"]) == (coder["id"], context.run_id)

    waiting = await act(muster, context, "review_status", review_id=review_id)
    assert (waiting.content["status"], waiting.content["comments"]) == ("pending", [])
    await people.operator.post(f"{path}/comment", json={"body": "Round down."})
    await people.operator.post(f"{path}/reject", json={"comment": "See the comment"})
    seen = await act(muster, context, "review_status", review_id=review_id)
    assert (seen.content["status"], seen.content["decision_comment"]) == (
        "rejected",
        "See the comment",
    )
    assert [c["body"] for c in seen.content["comments"]] == ["Round down."]

    other = await make_agent(people, "Other")
    with pytest.raises(ReviewNotFound):
        await act(muster, as_agent(people, other), "review_status", review_id=review_id)
    unfit = await act(muster, context, "submit_code_review", title="")
    assert unfit.is_error
