"""Plans that hold every type of node, and crews of both processes; all names are made of a tag."""

from typing import Any

from tests.durability.plans import MODEL
from tests.durability.servers import call, calling, prompt
from tests.durability.world import World
from tests.support.model_scripts import Reply
from tests.work.plan_setting import between

AGENT = {"role": "Finder", "goal": "find", "llm": MODEL, "tools": ["fetch"]}
CREW = {
    "name": "Team",
    "agents_yaml": {"writer": {"role": "Writer", "goal": "write", "llm": MODEL}},
    "tasks_yaml": {"write": {"description": prompt("says", "{tag}g"), "agent": "writer"}},
}
INNER = {
    "name": "Inner",
    "model": MODEL,
    "nodes": between(
        {"name": "talk", "type": "llm", "prompt": prompt("says", "{{ tag }}h"), "next": "sure"},
        {"name": "sure", "type": "approval", "title": "Is it right?"},
    ),
}


def asks(name: str) -> list[Reply]:
    return [calling(call("fetch", run=name, part="t1.0")), Reply(text=f"{name} has fetched.")]


def says(name: str) -> list[Reply]:
    return [Reply(text=f"{name} has spoken.")]


def refuses(_: str) -> list[Reply]:
    return [Reply(status=400)]


async def furnish(world: World) -> None:
    """Make what the plans name."""
    world.model.plans.update(asks=asks, says=says, refuses=refuses)
    await world.tool("fetch", "GET")
    await world.tool("broken", "GET")
    await world.agent("fetch", name="Helper")
    for path, body in (("/crews", CREW), ("/workflows", INNER)):
        answer = await world.people.editor.post(path, json=body)
        assert answer.status_code == 201, answer.text


def sequential(tag: str, **fields: Any) -> dict[str, Any]:
    return {
        "agents_yaml": {
            "finder": AGENT,
            "writer": {"role": "Writer", "goal": "write", "llm": MODEL},
        },
        "tasks_yaml": {
            "find": {"description": prompt("asks", f"{tag}a"), "agent": "finder"},
            "write": {
                "description": prompt("says", f"{tag}b"),
                "agent": "writer",
                "human_input": True,
            },
        },
        **fields,
    }


def hierarchical(tag: str) -> dict[str, Any]:
    """Return a crew whose manager assigns each task and reviews what came of it."""
    return sequential(tag, process="hierarchical", manager_llm=MODEL)


def failing(tag: str) -> dict[str, Any]:
    """Return a flow that comes to no good end, and is not begun again for that."""
    broken = {"run": f"{tag}t", "part": "broken"}
    refused = {"type": "llm", "prompt": prompt("refuses", f"{tag}r")}
    nodes = [
        {"name": "start", "type": "start", "next": "fork"},
        {"name": "fork", "type": "parallel", "branches": ["refused", "broken"], "next": "end"},
        {"name": "refused", **refused, "next": "end"},
        {"name": "broken", "type": "tool", "tool": "broken", "arguments": broken, "next": "end"},
        {"name": "end", "type": "end"},
    ]
    return {"workflow": {"name": "Failing", "model": MODEL, "nodes": nodes}}


def machines(tag: str) -> dict[str, Any]:
    """Return a flow that goes on by itself."""

    def fetch(part: str, **fields: Any) -> dict[str, Any]:
        arguments = {"run": f"{tag}t", "part": part}
        return {"name": part, "type": "tool", "tool": "fetch", "arguments": arguments} | fields

    nodes = [
        {"name": "start", "type": "start", "next": "refused"},
        {"name": "refused", "type": "llm", "prompt": prompt("refuses", f"{tag}r"), "next": "broken"}
        | {"retry": {"attempts": 1, "wait_s": 0}, "fallback": "none"},
        fetch("broken", tool="broken", retry={"attempts": 1, "wait_s": 0}, on_error="fork"),
        {"name": "fork", "type": "parallel", "branches": ["talk", "p"], "next": "each"},
        {"name": "talk", "type": "llm", "prompt": prompt("says", f"{tag}b"), "next": "each"},
        fetch("p", next="each"),
        {"name": "each", "type": "map", "items": "[1, 2]", "body": "item", "next": "again"},
        fetch("i{{ item }}", name="item"),
        {"name": "again", "type": "loop", "condition": "n < 2", "body": "more", "next": "which"},
        {"name": "more", "type": "transform", "assign": {"n": "n + 1"}},
        {"name": "which", "type": "if", "condition": "n == 2", "then": "look", "otherwise": "end"},
        {"name": "look", "type": "retrieval", "query": "anything", "next": "rest"},
        {"name": "rest", "type": "delay", "delay_s": 0.05, "next": "end"},
        {"name": "end", "type": "end", "inputs": {"said": "{{ nodes.talk }}", "n": "{{ n }}"}},
    ]
    return {
        "workflow": {"name": "Machines", "model": MODEL, "nodes": nodes},
        "inputs": {"n": 0},
    }


def people(tag: str) -> dict[str, Any]:
    """Return a flow that asks people, and lets others work for it."""
    check = {
        "description": prompt("says", f"{tag}b"),
        "agent": "Helper",
        "human_input": True,
    }
    nodes = [
        {"name": "start", "type": "start", "next": "ask"},
        {"name": "ask", "type": "input", "variables": [{"name": "who"}], "next": "route"},
        {
            "name": "route",
            "type": "switch",
            "expression": "who",
            "cases": {"Ada": "greet"},
            "default": "end",
        },
        {"name": "greet", "type": "transform", "assign": {"text": "'Dear ' + who"}, "next": "work"},
        {
            "name": "work",
            "type": "agent",
            "agent": "Helper",
            "prompt": prompt("asks", f"{tag}a"),
            "next": "gate",
        },
        {"name": "gate", "type": "approval", "title": "Go on with {{ who }}?", "next": "check"},
        {"name": "check", "type": "task", "task": check, "next": "team"},
        {"name": "team", "type": "crew", "crew": "Team", "next": "inner"},
        {"name": "inner", "type": "subworkflow", "workflow": "Inner", "next": "show"},
        {"name": "show", "type": "output", "prompt": "{{ text }}: {{ nodes.team }}", "next": "end"},
        {"name": "end", "type": "end"},
    ]
    return {
        "workflow": {"name": "People", "model": MODEL, "nodes": nodes},
        "inputs": {"tag": tag},
    }
