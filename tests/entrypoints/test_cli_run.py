"""`muster run`, in this process."""

import json
from pathlib import Path

import pytest

from tests.entrypoints.conftest import AGENT, CONTRACT, QUESTION, Local
from tests.support.model_scripts import Reply, Script
from tests.support.model_server import ScriptedServer


def test_the_answer_goes_to_standard_output_and_the_steps_beside_it(local: Local) -> None:
    result = local.call(
        "run", str(AGENT), "--file", str(CONTRACT), "--input", f"question={QUESTION}"
    )
    assert result.exit_code == 0
    assert "90 days" in result.stdout
    assert "search_files" not in result.stdout
    assert "search_files(query=" in result.stderr
    assert "completed in" in result.stderr
    assert "tokens in" in result.stderr


def test_the_first_run_makes_the_installation_and_shows_the_password(
    empty: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("MUSTER_ADMIN_PASSWORD")
    result = empty.call("run", str(AGENT), "--file", str(CONTRACT))
    assert result.exit_code == 0, result.output
    assert "Password  " in result.stderr
    assert "45000*1.5/100" in result.stderr  # the file's own example question was asked
    again = empty.call("run", str(AGENT), "--file", str(CONTRACT))
    assert "Password" not in again.output


def test_json_is_the_run_and_nothing_else(local: Local) -> None:
    result = local.call("run", str(AGENT), "--file", str(CONTRACT), "--json")
    run = json.loads(result.stdout)
    assert run["status"] == "completed"
    assert run["usage"]["tool_calls"] > 0
    assert result.stderr == ""


def test_no_live_prints_the_answer_only(local: Local) -> None:
    result = local.call("run", str(AGENT), "--file", str(CONTRACT), "--no-live")
    assert "search_files(" not in result.output
    assert "90 days" in result.stdout


def test_a_file_run_twice_changes_its_agent_instead_of_making_another(
    local: Local, tmp_path: Path
) -> None:
    changed = tmp_path / "changed.yaml"
    changed.write_text(AGENT.read_text().replace("max_iter: 10", "max_iter: 9"))
    run = local.run(str(changed), "--file", str(CONTRACT))
    assert run["agent_version"] == 2
    agents = json.loads(local.ok("agents", "list", "--json"))
    assert [agent["key"] for agent in agents] == ["document-analyst"]


def test_inputs_come_from_files_too(local: Local, tmp_path: Path) -> None:
    question = tmp_path / "question.txt"
    question.write_text(QUESTION)
    run = local.run(str(AGENT), "--file", str(CONTRACT), "--input", f"question=@{question}")
    assert run["inputs"] == {"question": QUESTION}


def test_a_model_can_be_named(local: Local, scripted: ScriptedServer) -> None:
    scripted.script = Script(rounds=0, text="Scripted.")
    run = local.run(str(AGENT), "--model", "openai/scripted-small")
    assert (run["model"], run["result"]) == ("openai/scripted-small", "Scripted.")
    assert run["usage"]["cost"] is None


def test_an_unpriced_run_says_that_its_cost_is_unknown(
    local: Local, scripted: ScriptedServer
) -> None:
    scripted.script = Script(rounds=0)
    result = local.call("run", str(AGENT), "--model", "openai/scripted-small")
    assert "cost unknown" in result.stderr


def test_structured_answers_are_printed_as_json(
    local: Local, scripted: ScriptedServer, writer: Path
) -> None:
    schema = "output_schema: {type: object, properties: {n: {type: integer}}, required: [n]}\n"
    writer.write_text(writer.read_text().replace("tools: [write_file]\n", "") + schema)
    result = local.call("run", str(writer), "--input", "what=a number")
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout) == {"n": 1}


def test_a_run_that_fails_has_exit_code_1(local: Local, scripted: ScriptedServer) -> None:
    scripted.script = Script(select="call", replies=[Reply(status=401, message="no such key")])
    result = local.call("run", str(AGENT), "--model", "openai/scripted-small")
    assert result.exit_code == 1
    assert "failed in" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--input", "nothing"], "--input takes name=value"),
        (["--input", "question=@missing.txt"], "missing.txt"),
        (["--model", "nobody/knows"], "nobody/knows"),
        (["--project", "Nowhere"], "There is no project 'Nowhere'. Those that exist: \"Admin's"),
    ],
)
def test_what_cannot_be_run_is_refused(arguments: list[str], said: str, local: Local) -> None:
    result = local.call("run", str(AGENT), *arguments)
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"name: [unclosed", "line "),
        (b"name: A\nmax_iter: many\n", "max_iter"),
        (b"\xff\xfe\x00", "is not a text file"),
    ],
)
def test_a_file_that_describes_no_agent_is_refused(
    content: bytes, said: str, local: Local, tmp_path: Path
) -> None:
    path = tmp_path / "agent.yaml"
    path.write_bytes(content)
    result = local.call("run", str(path))
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_file_that_is_not_there_is_a_usage_error(local: Local) -> None:
    result = local.call("run", "nowhere.yaml")
    assert result.exit_code == 2
    assert "does not exist" in result.stderr


def test_files_with_odd_names_are_taken_and_equal_ones_refused(
    local: Local, tmp_path: Path
) -> None:
    odd = tmp_path / "Vertrag (März).md"
    odd.write_text(CONTRACT.read_text())
    run = local.run(str(AGENT), "--file", str(odd), "--input", f"question={QUESTION}")
    assert "90 days" in run["result"]
    other = tmp_path / "other" / odd.name
    other.parent.mkdir()
    other.write_text("x")
    result = local.call("run", str(AGENT), "--file", str(odd), "--file", str(other))
    assert result.exit_code == 1
    assert "Two files are named" in result.stderr


def test_a_project_is_found_by_its_name(local: Local) -> None:
    run = local.run(str(AGENT), "--file", str(CONTRACT), "--project", "Admin's project")
    assert run["status"] == "completed"
