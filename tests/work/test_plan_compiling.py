"""From a crew to its graph: who waits for whom, and who is given what."""

from typing import Any

import pytest

from muster.domains.work.plans import CrewSpec, compile_crew, task_names

Compiled = dict[str, tuple[list[str], list[str]]]


def compiled(*tasks: dict[str, Any]) -> Compiled:
    """Return for each node what it waits for, and what it is given."""
    plan = compile_crew(CrewSpec.model_validate({"tasks": list(tasks)}))
    found: Compiled = {}
    for node in plan.nodes:
        assert node.task is not None
        assert not isinstance(node.task, str)
        assert node.task.key == node.name
        found[node.name] = (node.depends_on, node.task.context)
    return found


@pytest.mark.parametrize(
    ("tasks", "expected"),
    [
        pytest.param(
            [{"key": "a"}, {"key": "b"}, {"key": "c"}],
            {"a": ([], []), "b": (["a"], ["a"]), "c": (["b"], ["a", "b"])},
            id="one after the other, with all that is there",
        ),
        pytest.param(
            [
                {"key": "a"},
                {"key": "b", "async_execution": True},
                {"key": "c", "async_execution": True},
                {"key": "d"},
                {"key": "e"},
            ],
            {
                "a": ([], []),
                "b": (["a"], ["a"]),
                "c": (["a"], ["a"]),
                "d": (["a", "b", "c"], ["a", "b", "c"]),
                "e": (["d"], ["a", "b", "c", "d"]),
            },
            id="asynchronous ones are waited for by the next that is not",
        ),
        pytest.param(
            [
                {"key": "a", "async_execution": True},
                {"key": "b", "async_execution": True, "context": ["a"]},
                {"key": "c", "context": ["b"]},
            ],
            {"a": ([], []), "b": (["a"], ["a"]), "c": (["a", "b"], ["b"])},
            id="an asynchronous one waits for its context",
        ),
        pytest.param(
            [
                {"key": "a", "title": "First"},
                {"name": "Second"},
                {"description": "x", "context": ["First", "Second", "a", "task_3", "nobody"]},
            ],
            {
                "a": ([], []),
                "Second": (["a"], ["a"]),
                "task_3": (["Second", "a"], ["a", "Second"]),
            },
            id="context by key and name, never itself",
        ),
        pytest.param(
            [{"key": "a"}, {"key": "a"}, {"name": "a"}, {"key": "b", "context": ["a"]}],
            {
                "a": ([], []),
                "a_2": (["a"], ["a"]),
                "a_3": (["a_2"], ["a", "a_2"]),
                "b": (["a_3", "a"], ["a"]),
            },
            id="names twice",
        ),
        pytest.param(
            [{"key": "late"}, {"key": "early", "context": ["last"]}, {"key": "last"}],
            {
                "late": ([], []),
                "early": (["late"], []),
                "last": (["early"], ["late", "early"]),
            },
            id="what comes later cannot be context",
        ),
    ],
)
def test_order_and_context(tasks: list[dict[str, Any]], expected: Compiled) -> None:
    assert compiled(*tasks) == expected


def test_names_are_unique_whatever_they_are() -> None:
    given = [{"key": "a"}, {"key": "a_3"}, {"key": "a"}, {"key": "a"}, {"key": "k" * 200}]
    crew = CrewSpec.model_validate({"tasks": [*given, {"key": "k" * 200}, {}]})
    names = task_names(crew.tasks)
    assert len(set(names)) == len(names)
    assert all(len(name) <= 100 for name in names)
    assert names[-1] == "task_7"


def test_what_a_node_takes_from_its_task() -> None:
    crew = CrewSpec.model_validate(
        {
            "name": "Desk",
            "description": "Writes.",
            "model": "openai/m",
            "inputs": {"kind": "prose"},
            "tasks": [
                {"key": "a", "condition": "kind == 'prose'", "retry_on_fail": 2, "timeout": 9}
            ],
        }
    )
    plan = compile_crew(crew)
    assert (plan.name, plan.description, plan.model) == ("Desk", "Writes.", "openai/m")
    assert (plan.mode, plan.inputs) == ("graph", {"kind": "prose"})
    (node,) = plan.nodes
    assert (node.when, node.retry.attempts, node.timeout_s) == ("kind == 'prose'", 2, 9)
