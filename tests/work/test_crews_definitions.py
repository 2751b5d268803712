"""Definitions of crews: every notation, what belongs to whom, and where it is wrong."""

import json
import textwrap
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.domains.catalogue.agents import AgentSpec
from muster.domains.work.crews import DefinitionsInvalid, read_definitions, write_definitions
from muster.domains.work.plans import CrewMember, CrewSpec, Guardian, TaskSpec

AGENTS = {
    "researcher": {"role": "Senior Researcher", "goal": "Find {topic}", "tools": ["calculator"]},
    "agent_77": {"role": "Writer", "goal": "Write", "backstory": "Wrote books", "llm": "gpt-4"},
}
TASKS = {
    "write": {"description": "Write it", "agent": "Writer", "expected_output": "A report"},
    "check": {"description": "Check it", "agent": "77", "context": ["write"]},
    "again": {"description": "Read it", "agent": "researcher", "context": "write"},
}
YAML_AGENTS = """\
# who works
researcher:
  role: Senior Researcher
  goal: Find {topic}
  tools: [calculator]
agent_77:
  role: >
    Writer
  goal: Write
  backstory: 'Wrote books'
  llm: gpt-4
"""
YAML_TASKS = """\
write:
  description: Write it
  agent: Writer
  expected_output: A report
check:
  description: Check it
  agent: 77
  context:
    - write
again:
  description: Read it
  agent: researcher
  context: write
"""


def yaml(text: str) -> str:
    return textwrap.dedent(text).strip()


def task(text: str) -> TaskSpec:
    (only,) = read_definitions(None, yaml(text)).tasks
    return only


def agent(text: str) -> AgentSpec:
    (only,) = read_definitions(yaml(text), None).agents
    assert only.definition is not None
    return only.definition


def refused(agents: Any, tasks: Any = None) -> dict[str, Any]:
    with pytest.raises(DefinitionsInvalid) as caught:
        read_definitions(agents, tasks)
    assert caught.value.status == 422
    assert caught.value.errors
    return caught.value.details["problems"][0]


@pytest.mark.parametrize(
    ("agents", "tasks"),
    [
        (AGENTS, TASKS),
        (json.dumps(AGENTS), json.dumps(TASKS)),
        (json.dumps(AGENTS, indent="\t"), json.dumps(TASKS, indent="\t")),
        (YAML_AGENTS, YAML_TASKS),
        ({"agents": AGENTS}, {"tasks": TASKS}),
        (
            [{"key": key, **values} for key, values in AGENTS.items()],
            [{"key": key, **values} for key, values in TASKS.items()],
        ),
        ([{key: values} for key, values in AGENTS.items()], [{k: v} for k, v in TASKS.items()]),
    ],
    ids=["objects", "json", "json with tabs", "yaml", "wrapped", "lists", "lists of maps"],
)
def test_one_crew_in_every_notation(agents: Any, tasks: Any) -> None:
    spec = read_definitions(agents, tasks, name="Team", model="m", inputs={"topic": "AI"})
    assert (spec.name, spec.model, spec.inputs) == ("Team", "m", {"topic": "AI"})
    assert [member.key for member in spec.agents] == ["researcher", "agent_77"]
    researcher, writer = (member.definition for member in spec.agents)
    assert researcher is not None
    assert writer is not None
    assert (researcher.name, researcher.tools) == ("researcher", ["calculator"])
    assert (writer.role, writer.llm, writer.name) == ("Writer", "gpt-4", "Writer")
    assert [(t.key, t.agent, t.context) for t in spec.tasks] == [
        ("write", "agent_77", []),
        ("check", "agent_77", ["write"]),
        ("again", "researcher", ["write"]),
    ]


def test_the_order_of_keys_is_kept() -> None:
    keys = ["z", "10", "a", "2", "m"]
    tasks = {key: {"description": key} for key in keys}
    for source in (tasks, json.dumps(tasks), "\n".join(f"'{k}': {{description: x}}" for k in keys)):
        assert [t.key for t in read_definitions(None, source).tasks] == keys


@pytest.mark.parametrize(
    ("entry", "reference"),
    [
        ("0190-aa: ", "0190-aa"),
        ("agent_0190-aa: {}", "0190-aa"),
        ("writer: research-agent", "research-agent"),
        ("writer: {agent: research-agent}", "research-agent"),
        ("writer: {agent_id: 42}", "42"),
        ("writer: {id: 42, name: Writer}", "42"),
        ("writer: {name: The Writer}", "The Writer"),
        ("- research-agent", "research-agent"),
        ("- {agent: {id: 7}}", "7"),
    ],
)
def test_agents_that_are_stored(entry: str, reference: str) -> None:
    (member,) = read_definitions(entry, None).agents
    assert (member.reference, member.definition) == (reference, None)


@pytest.mark.parametrize(
    "named", ["agent_77", "77", "Writer", "writer", "AGENT_77", " Writer ", "w-key", "W-KEY"]
)
def test_an_agent_is_named_by_anything_that_it_is_called(named: str) -> None:
    agents = {"first": {"role": "x"}, "agent_77": {"role": "y", "name": "Writer", "key": "w-key"}}
    spec = read_definitions(agents, {"t": {"description": "d", "agent": named}})
    assert spec.tasks[0].agent == "agent_77"


@pytest.mark.parametrize("field", ["agent", "agent_id"])
def test_what_nobody_is_called_stays(field: str) -> None:
    spec = read_definitions({}, {"t": {"description": "d", field: "nobody", "context": ["none"]}})
    assert (spec.tasks[0].agent, spec.tasks[0].context) == ("nobody", ["none"])


@pytest.mark.parametrize("named", ["task_5", "5", 5, "Gather", ["task_5"], [{"id": 5}]])
def test_context_by_anything_that_a_task_is_called(named: Any) -> None:
    tasks = {
        "task_5": {"description": "d", "name": "Gather"},
        "task_6": {"description": "d", "context": named},
    }
    assert read_definitions(None, tasks).tasks[1].context == ["task_5"]


def test_a_key_wins_over_a_name() -> None:
    agents = {"a": {"role": "r", "name": "b"}, "b": {"role": "r", "name": "a"}}
    tasks = {"t": {"description": "d", "agent": "b"}}
    assert read_definitions(agents, tasks).tasks[0].agent == "b"


def test_every_field_of_a_task() -> None:
    found = task(
        """
        t:
          title: Gather
          description: d
          instructions: i
          expected_output: e
          required_tools: [6, calculator]
          tool_configs: {calculator: {digits: 2}, other: null}
          async_execution: true
          output_json: '{"type": "object"}'
          output_file: out.md
          markdown: true
          guardrail: len(output) > 3
          llm_guardrail: {description: polite, llm_model: gpt-4}
          guardrail_max_retries: 1
          human_input: yes
          retry_on_fail: 3
          timeout: 60
          condition: topic != ''
          callback: ignored
          converter_cls: ignored
          unknown: {deep: [1]}
        """
    )
    assert found == TaskSpec(
        key="t",
        name="Gather",
        description="d",
        instructions="i",
        expected_output="e",
        tools=["6", "calculator"],
        tool_configs={"calculator": {"digits": 2}},
        async_execution=True,
        output_schema={"type": "object"},
        output_file="out.md",
        markdown=True,
        guardrail="len(output) > 3",
        llm_guardrail=Guardian(description="polite", llm_model="gpt-4"),
        guardrail_max_retries=1,
        human_input=True,
        retry_on_fail=3,
        timeout_s=60,
        condition="topic != ''",
    )


def test_the_config_of_a_task_counts_where_its_fields_are_empty() -> None:
    config = {
        "retry_on_fail": True,
        "timeout": 30,
        "human_input": True,
        "output_file": "a.md",
        "llm_guardrail": "be polite",
        "priority": 3,
    }
    values = {"description": "d", "human_input": False, "output_file": "b.md", "config": config}
    (found,) = read_definitions(None, {"t": values}).tasks
    assert (found.retry_on_fail, found.timeout_s, found.human_input) == (1, 30, True)
    assert found.output_file == "b.md"
    assert found.llm_guardrail == Guardian(description="be polite")


def test_every_kind_of_null_is_a_default() -> None:
    found = task("t: {description: d, agent: null, tools: null, context: , guardrail: '', name: }")
    assert found == TaskSpec(key="t", description="d")
    nulls = dict.fromkeys(AgentSpec.model_fields)
    (member,) = read_definitions({"a": {**nulls, "role": "r"}}, None).agents
    assert member.definition == AgentSpec(name="a", role="r")


def test_texts_that_yaml_takes_for_something_else() -> None:
    found = agent(
        """
        a:
          role: {topic}
          goal: 2026-11-22
          backstory: 12:30
          name: 007
          description: off
          instructions: [one, two]
        """
    )
    assert (found.role, found.goal, found.backstory) == ("{topic}", "2026-11-22", "12:30")
    assert (found.name, found.instructions) == ("7", "one\ntwo")
    assert found.description == "false"


def test_fields_of_agents_as_crews_spell_them() -> None:
    found = agent(
        """
        a:
          system_prompt: Be brief.
          llm: {model: gpt-4, temperature: 1}
          enabled_tools: calculator
          max_rpm: 0
          limits: {max_iter: 4}
          allow_code_execution: true
          knowledge_sources: []
          favourite_colour: blue
        """
    )
    assert (found.instructions, found.llm, found.tools) == ("Be brief.", "gpt-4", ["calculator"])
    assert (found.max_rpm, found.max_iter, found.allow_code_execution) == (None, 4, False)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a:\n  role: x\n b: y", 3, 2, "did not find"),
        ("a: [1, 2", 2, 1, "did not find"),
        ("a:\n\trole: x", 2, 1, "found character that cannot start any token"),
        ("a:\n  role: {topic} Senior", 2, 17, "must be in quotation marks"),
        ("a: &x\n  role: r\nb: *x", 3, 4, "Aliases"),
        ("a:\n  role: !!python/object:os.system x", 2, 9, "Tags"),
        ("a: {role: r}\nb: {role: r}\na: {role: r}", 3, 1, "given twice"),
        ("a: {role: r}\n---\nb: {role: r}", 2, 1, "one document"),
        ('{"a": {"role": "r"},\n "a": {"role": "s"}}', 2, 2, "given twice"),
        ("- a:\n    role: [1]", 2, 5, "valid string"),
        ("? [a]\n: b", 1, 3, "plain text"),
        ("a:\n  role: r\n  max_iter: many", 3, 3, "valid integer"),
        ("a:\n  role: r\n  tools:\n    - x\n    - [1]", 5, 7, "valid string"),
        ("a: {role: r}\nb: [1]", 2, 1, "must be a mapping"),
        ("a:\n  role: .inf", 2, 9, "finite"),
        ("a:\n  max_iter: 99999999999999999999", 2, 13, "too large"),
        ('a:\n  role: "\\0"', 2, 9, "NUL"),
        ("a:\n  role: \x07", 2, 9, "does not allow"),
        ("only words", 1, 1, "must be a mapping of keys"),
    ],
)
def test_where_a_text_is_wrong(text: str, line: int, column: int, message: str) -> None:
    for field, sources in (("agents_yaml", (text, None)), ("tasks_yaml", (None, text))):
        if field == "tasks_yaml" and (
            "max_iter" in text or "[1]" in text or "role: [" in text or "finite" in message
        ):
            continue
        problem = refused(*sources)
        assert problem["path"].startswith(field)
        assert message in problem["message"]
        assert (problem["line"], problem["column"]) == (line, column)


def test_what_is_wrong_in_an_object_is_named_without_a_line() -> None:
    problem = refused(None, {"t": {"description": "d", "timeout": -5}})
    assert problem["path"] == "tasks_yaml.t.timeout_s"
    assert problem["line"] is None


def test_all_faults_are_told_at_once() -> None:
    with pytest.raises(DefinitionsInvalid) as caught:
        read_definitions("a: [", {"t": {"retry_on_fail": 99}, "u": 5})
    fields = [error.field for error in caught.value.errors]
    assert fields == ["agents_yaml", "tasks_yaml.t.retry_on_fail", "tasks_yaml.u"]
    assert caught.value.errors[0].message.startswith("line 2, column 1: ")


BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 9)}]\n" for a, b in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    "text",
    [
        BOMB,
        "[" * 500_000,
        "{a: " * 100_000,
        "- " * 100_000,
        "a: " + "1:" * 400_000 + "1",
        "a: 0x" + "f" * 900_000,
        "a: " + "9" * 900_000,
        "x" * 1_000_001,
        "é" * 600_000,
        "- a\n" * 250_000,
        '{"a": ' * 5_000,
        "a: 0x_",
        "\ud800: x",
        "\0",
    ],
    ids=range(14),
)
def test_hostile_texts_are_refused_in_time(text: str) -> None:
    for sources in ((text, None), (None, text)):
        with suppress(DefinitionsInvalid):
            read_definitions(*sources)


def test_bombs_and_depth_have_a_place() -> None:
    assert "Aliases" in refused(BOMB)["message"]
    assert "levels deep" in refused("[" * 500)["message"]
    deep: Any = "x"
    for _ in range(60):
        deep = {"a": deep}
    assert "levels deep" in refused(deep)["message"]
    assert "1000000 bytes" in refused({"a": {"role": "x" * 1_000_001}})["message"]
    assert "100 agents" in refused({str(n): {"role": "r"} for n in range(101)})["message"]
    assert "500 tasks" in refused(None, {str(n): {} for n in range(501)})["message"]


def test_what_is_written_is_read_again() -> None:
    spec = read_definitions(AGENTS, TASKS)
    assert read_definitions(*write_definitions(spec)) == spec
    assert read_definitions(*(json.dumps(part) for part in write_definitions(spec))) == spec
    small = CrewSpec(
        agents=[
            CrewMember(key="a", reference="stored"),
            CrewMember(key="b", definition=AgentSpec(name="Only a name")),
        ],
        tasks=[TaskSpec(key="t", agent="a"), TaskSpec(key="u", description="d", context=["t"])],
    )
    assert read_definitions(*write_definitions(small)) == small


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=20,
)
names = st.sampled_from(
    [
        *TaskSpec.model_fields,
        *AgentSpec.model_fields,
        "agent_id",
        "config",
        "output_json",
        "timeout",
        "limits",
    ]
)
maps = st.dictionaries(st.text(max_size=8), st.dictionaries(names, values, max_size=6), max_size=4)
rubbish = st.text(alphabet="ab: -[]{}\n\t&*!?|>'\"#%@`,0.\\\0\x07é\u2028\ud800", max_size=60)


@pytest.mark.repeats
@settings(max_examples=300, deadline=None)
@given(agents=rubbish | values | maps | maps.map(repr), tasks=rubbish | values | maps | st.text())
def test_rubbish_gives_a_crew_or_is_refused(agents: Any, tasks: Any) -> None:
    try:
        spec = read_definitions(agents, tasks)
    except DefinitionsInvalid as error:
        told = error.errors
    else:
        told = [spec]
        keys = [member.key for member in spec.agents], [task.key for task in spec.tasks]
        if all(len(set(each)) == len(each) for each in keys):
            assert read_definitions(*write_definitions(spec)) == spec
    assert told
