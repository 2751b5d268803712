"""Commands as processes: killed in the middle, left with Ctrl-C, at a terminal, several at once."""

import json
import signal
from pathlib import Path

import pytest

from tests.entrypoints.conftest import Local
from tests.entrypoints.program import program, until
from tests.entrypoints.test_cli_approvals import CALL, require_approval
from tests.support.model_scripts import Reply, Script
from tests.support.model_server import ScriptedServer

pytestmark = pytest.mark.durability

CALCULATE = Reply(tool_calls=[{"name": "calculator", "arguments": {"expression": "6*7"}}])
DONE = Reply(text="It is 42.")


@pytest.fixture
def slow(scripted: ScriptedServer, tmp_path: Path) -> Path:
    """The file of an agent whose second call of the model never ends."""
    scripted.script = Script(select="call", replies=[CALCULATE, Reply(hang=True), DONE])
    path = tmp_path / "slow.yaml"
    path.write_text(
        "name: Slow\nkey: slow\nllm: openai/scripted-large\ntools: [calculator]\n"
        "prompt: Calculate.\n"
    )
    return path


def run_id(local: Local) -> str:
    return str(json.loads(local.ok("runs", "list", "--json"))[0]["id"])


def test_a_killed_run_is_recovered_by_the_next_process(
    local: Local, slow: Path, scripted: ScriptedServer
) -> None:
    with program("--data-dir", str(local.folder), "run", str(slow)) as first:
        until(lambda: scripted.count == 2, "the second call of the model")
        first.wait_for("calculator(expression='6*7')")
        first.kill()
    run = run_id(local)
    watched = local.call("doctor")
    assert "lost the process: Slow" in watched.output
    result = local.call("runs", "resume", run)
    assert result.exit_code == 0, result.output
    assert "Recovered 1 run of a process that is gone: Slow" in result.stderr
    assert result.stdout.strip() == "It is 42."
    shown = json.loads(local.ok("runs", "show", run, "--trace", "--json"))
    names = [span["name"] for span in shown["trace"]["spans"] if span["key"].startswith("t")]
    assert names == ["calculator"]
    assert scripted.count == 3


def test_another_run_lets_recovered_ones_come_to_their_end(
    local: Local, slow: Path, scripted: ScriptedServer, tmp_path: Path
) -> None:
    with program("--data-dir", str(local.folder), "run", str(slow)) as first:
        until(lambda: scripted.count == 2, "the second call of the model")
        first.kill()
    killed = run_id(local)
    scripted.script = Script(select="call", replies=[Reply(text="Late.", delay_s=3)])
    quick = tmp_path / "quick.yaml"
    quick.write_text("name: Quick\nkey: quick\nllm: builtin/extractive\nprompt: 'What is 2 + 2?'\n")
    result = local.call("run", str(quick))
    assert result.exit_code == 0, result.output
    assert "Recovered 1 run" in result.stderr
    assert json.loads(local.ok("runs", "show", killed, "--json"))["result"] == "Late."


def test_ctrl_c_leaves_a_run_that_can_be_resumed(
    local: Local, slow: Path, scripted: ScriptedServer
) -> None:
    with program("--data-dir", str(local.folder), "run", str(slow)) as first:
        until(lambda: scripted.count == 2, "the second call of the model")
        first.signal(signal.SIGINT)
        assert first.code() == 130
        assert "muster runs resume" in first.said
        assert "Traceback" not in first.said
    result = local.call("runs", "resume", run_id(local))
    assert result.stdout.strip() == "It is 42."


def test_a_run_in_another_process_is_watched_and_cancelled(
    local: Local, slow: Path, scripted: ScriptedServer
) -> None:
    folder = str(local.folder)
    with program("--data-dir", folder, "run", str(slow)) as first:
        until(lambda: scripted.count == 2, "the second call of the model")
        run = run_id(local)
        with program("--data-dir", folder, "runs", "watch", run) as second:
            second.wait_for("calculator(expression='6*7')")
            assert "is cancelled" in local.ok("runs", "cancel", run, "--reason", "enough")
            assert second.code() == 1
            assert "enough" in second.said
        assert first.code() == 1
        assert "cancelled in" in first.said
    until(lambda: scripted.calls[1].closed_early, "the end of the call in flight")


def test_looking_on_is_left_with_ctrl_c_and_without_a_process_it_says_so(
    local: Local, slow: Path, scripted: ScriptedServer
) -> None:
    with program("--data-dir", str(local.folder), "run", str(slow)) as first:
        until(lambda: scripted.count == 2, "the second call of the model")
        first.kill()
    with program("--data-dir", str(local.folder), "runs", "watch", run_id(local)) as second:
        second.wait_for("No process executes runs now")
        second.wait_for("calculator")
        second.signal(signal.SIGINT)
        assert second.code() == 130


def test_a_run_is_stopped_after_its_step(
    local: Local, scripted: ScriptedServer, slow: Path
) -> None:
    scripted.script = Script(
        select="call", replies=[CALCULATE, Reply(text="Late.", delay_s=4), DONE]
    )
    with program("--data-dir", str(local.folder), "run", str(slow)) as first:
        until(lambda: scripted.count == 2, "the second call of the model")
        assert "stops after its present step" in local.ok("runs", "stop", run_id(local))
        first.code()
        assert "The run stops after its present step." in first.said


@pytest.fixture
def guarded(local: Local, scripted: ScriptedServer) -> Local:
    scripted.script = Script(select="turn", replies=[CALL, Reply(text="Done **well**.")])
    project = json.loads(local.ok("runs", "list", "--json"))[0]["group_id"]
    require_approval(local.folder, project)
    return local


def test_a_person_at_the_terminal_approves(guarded: Local, writer: Path) -> None:
    arguments = ("--data-dir", str(guarded.folder), "run", str(writer), "--input", "what=it")
    with program(*arguments, terminal=True) as running:
        running.wait_for("[a]pprove")
        assert "Writer wants to call write_file" in running.said
        running.type("what?")
        running.type("a")
        running.wait_for("Done well.")
        assert running.code() == 0
        assert "completed in" in running.said


def test_a_person_at_the_terminal_edits_and_rejects(
    guarded: Local, writer: Path, scripted: ScriptedServer
) -> None:
    scripted.script = Script(select="turn", replies=[CALL, CALL, Reply(text="Done.")])
    arguments = ("--data-dir", str(guarded.folder), "run", str(writer), "--input", "what=it")
    with program(*arguments, terminal=True) as running:
        running.wait_for("[a]pprove")
        running.type("e")
        running.wait_for("Arguments as one line of JSON")
        running.type("{broken")
        running.wait_for("This is no JSON")
        running.type("e")
        running.type('{"path": 1}')
        running.wait_for("do not fit")
        running.type("e")
        running.type('{"path": "b.txt", "content": "x"}')
        running.wait_for("Decided: Writer wants to call write_file")
        running.wait_for("path='b.txt'")
        running.type("r")
        running.wait_for("Why?")
        running.type("not twice")
        assert running.code() == 0
    assert "not twice" in json.dumps(scripted.last.body)


def test_a_person_at_the_terminal_leaves_it_for_later(guarded: Local, writer: Path) -> None:
    arguments = ("--data-dir", str(guarded.folder), "run", str(writer), "--input", "what=it")
    with program(*arguments, terminal=True) as running:
        running.wait_for("[a]pprove")
        running.type("l")
        assert running.code() == 3
        assert "muster approvals approve" in running.said


def test_the_words_of_a_model_are_shown_as_they_come(
    local: Local, scripted: ScriptedServer, slow: Path
) -> None:
    text = "One sentence after the other comes along. " * 4
    scripted.script = Script(select="call", replies=[Reply(text=text, chunk_delay_s=0.3)])
    with program("--data-dir", str(local.folder), "run", str(slow), terminal=True) as running:
        running.wait_for("One sentence after")
        assert "completed in" not in running.said
        assert running.code() == 0
