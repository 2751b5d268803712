"""`muster run` with the files of crews and workflows, in this process."""

import json
from pathlib import Path

import pytest

from tests.entrypoints.conftest import ROOT, Local

CREWS, WORKFLOWS = ROOT / "examples" / "crews", ROOT / "examples" / "workflows"
SAID = {
    CREWS / "contract-desk.yaml": ("90 days", "1.5 percent", "675"),
    CREWS / "incident-review.yaml": ("labelling of spare parts", "27,400"),
    CREWS / "office-help.yaml": ("first day", "onboarding-guide.txt"),
    WORKFLOWS / "document-digest.yaml": ("travel-policy.md", "140 euro", "27,400"),
    WORKFLOWS / "price-check.yaml": ("8855 euros", "factor 0.92"),
}
"""What the answer of each example names; the one that waits for a person is tested by itself."""
NOTICE = WORKFLOWS / "approved-notice.yaml"

CREW = """
name: Desk
agents:
  clerk: {role: Clerk, goal: Work things out, llm: builtin/extractive, tools: [calculator]}
tasks:
  sum: {description: "What is 2 + 3?", agent: clerk}
"""
FLOW = """
name: Greeting
nodes:
  - {name: say, type: output, prompt: "Hello {{ who }}."}
"""


def test_every_example_is_tried() -> None:
    assert {*CREWS.iterdir(), *WORKFLOWS.iterdir()} == {*SAID, NOTICE}


@pytest.mark.parametrize("file", SAID, ids=lambda file: file.stem)
def test_an_example_comes_to_its_answer(file: Path, local: Local) -> None:
    result = local.call("run", str(file))
    assert result.exit_code == 0, result.output
    for words in SAID[file]:
        assert words in result.stdout
    assert "completed in" in result.stderr


def test_inputs_and_files_go_over_those_of_the_file(local: Local, tmp_path: Path) -> None:
    price = WORKFLOWS / "price-check.yaml"
    run = local.run(str(price), "--input", "pieces=10", "--input", "price=2.5")
    assert (run["execution_type"], run["status"]) == ("workflow", "completed")
    assert run["result"].startswith("10 pieces at 2.5 euros come to 25 euros")
    more = tmp_path / "more.md"
    more.write_text("The cat is called Minka.")
    read = tmp_path / "read.yaml"
    read.write_text(
        "name: Reading\nmode: graph\nnodes:\n  - {name: read, type: tool, tool: read_file, "
        "arguments: {path: more.md}}\n"
    )
    assert "Minka" in json.dumps(local.run(str(read), "--file", str(more))["result"])


def test_an_example_waits_for_a_person_and_goes_on(local: Local) -> None:
    result = local.call("run", str(NOTICE))
    assert result.exit_code == 3, result.output
    assert "File this notice?" in result.stderr
    assert "second supplier" in result.stderr
    assert "{}" not in result.stderr
    (approval,) = json.loads(local.ok("approvals", "list", "--json"))
    short = approval["id"].rpartition("-")[2]
    for command in ("approve", "reject"):
        assert f"muster approvals {command} {short}" in result.stderr
    assert result.stdout == ""
    decided = local.ok("approvals", "approve", approval["id"])
    assert decided
    resumed = local.call("runs", "resume", approval["run_id"])
    assert resumed.exit_code == 0, resumed.output
    assert "second supplier" in resumed.stdout
    assert "supplier-contract.md" in resumed.stdout


ASKING = """
name: Greeting
nodes:
  - {name: start, type: start, next: ask}
  - {name: ask, type: input, prompt: "Whom do I greet?", variables: [{name: who}], next: say}
  - {name: say, type: output, prompt: "Hello {{ who }}.", next: end}
  - {name: end, type: end}
"""


def test_what_a_run_needs_from_a_person_is_said_with_the_command(
    local: Local, tmp_path: Path
) -> None:
    file = tmp_path / "asking.yaml"
    file.write_text(ASKING)
    result = local.call("run", str(file))
    assert result.exit_code == 3, result.output
    assert "Whom do I greet?" in result.stderr
    assert '--arguments \'{"who": "..."}\'' in result.stderr
    (approval,) = json.loads(local.ok("approvals", "list", "--json"))
    local.ok("approvals", "approve", approval["id"], "--arguments", '{"who": "Ada"}')
    assert "Hello Ada." in local.ok("runs", "resume", approval["run_id"])


def test_how_to_answer_for_the_output_of_a_task(local: Local, tmp_path: Path) -> None:
    file = tmp_path / "crew.yaml"
    file.write_text(CREW.replace("agent: clerk", "agent: clerk, human_input: true"))
    result = local.call("run", str(file))
    assert result.exit_code == 3, result.output
    for said in ('"output"', '{"end_run": true}', "--end-run", '--arguments \'{"output":'):
        assert said in result.stderr
    (approval,) = json.loads(local.ok("approvals", "list", "--json"))
    local.ok("approvals", "reject", approval["id"], "--end-run")
    resumed = local.call("runs", "resume", approval["run_id"], "--json")
    assert json.loads(resumed.stdout)["status"] == "rejected"


def test_a_crew_of_a_file_is_named_and_runs(local: Local, tmp_path: Path) -> None:
    file = tmp_path / "crew.yaml"
    file.write_text(CREW)
    run = local.run(str(file))
    assert run["execution_type"] == "crew"
    assert run["run_name"].startswith("Desk")
    assert "5" in run["result"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (CREW.replace("calculator", "no_such_tool"), "no_such_tool"),
        (CREW.replace("agent: clerk", "agent: nobody"), "nobody"),
        (CREW.replace("builtin/extractive", "nobody/knows"), "nobody/knows"),
        (CREW + "process: sideways\n", "process"),
        (CREW + "inputs: [a, b]\n", "inputs must be a mapping of names to values."),
        (CREW + "files: contract.md\n", "files must be a list of paths"),
        (CREW + "files: [gone.md]\n", "gone.md is not there"),
        (FLOW.replace("output", "no_such_type"), "no_such_type"),
        ("[a, list]\n", "mapping"),
    ],
)
def test_what_cannot_be_run_is_refused_with_what_is_missing(
    content: str, said: str, local: Local, tmp_path: Path
) -> None:
    file = tmp_path / "plan.yaml"
    file.write_text(content)
    result = local.call("run", str(file))
    assert result.exit_code == 1, result.output
    assert said in result.stderr
    assert "Traceback" not in result.output
