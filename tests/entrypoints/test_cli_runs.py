"""`muster runs`: looking at runs and acting on them, in this process."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.entrypoints.conftest import AGENT, CONTRACT, Local
from tests.support.model_scripts import Reply, Script
from tests.support.model_server import ScriptedServer


def newest(local: Local) -> dict[str, Any]:
    runs = json.loads(local.ok("runs", "list", "--json"))
    return dict(runs[0])


def test_the_list_has_a_line_for_each_run(local: Local) -> None:
    lines = local.ok("runs", "list").splitlines()
    assert lines[0].split() == ["ID", "STATUS", "NAME", "PROJECT", "TIME", "COST", "CREATED"]
    assert len(lines) == 2
    assert lines[1].startswith(str(newest(local)["id"]))
    assert "completed" in lines[1]


def test_the_list_is_filtered(local: Local) -> None:
    assert json.loads(local.ok("runs", "list", "--status", "failed,Stopped", "--json")) == []
    assert "no such runs" in local.call("runs", "list", "--status", "failed").stderr
    for arguments in (
        ["--status", "completed"],
        ["--agent", "document-analyst"],
        ["--agent", "Document analyst", "--project", "Admin's project"],
        ["--project", "Admin's project"],
        ["--limit", "1"],
    ):
        assert len(json.loads(local.ok("runs", "list", *arguments, "--json"))) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--status", "sleeping"], "There is no status 'sleeping'. Those that exist: pend"),
        (["list", "--agent", "nobody"], "There is no agent 'nobody'"),
        (["show", "ffffffff"], "There is no run 'ffffffff'"),
        (["show", ""], "Give the id"),
        (["show", "%"], "There is no run '%'"),
    ],
)
def test_what_is_not_there_is_told(arguments: list[str], said: str, local: Local) -> None:
    result = local.call("runs", *arguments)
    assert result.exit_code == 1
    assert said in result.stderr


def test_a_run_is_found_by_either_end_of_its_id(local: Local) -> None:
    run_id = str(newest(local)["id"])
    for reference in (run_id, run_id[:10], run_id[-6:], run_id[-6:].upper()):
        assert json.loads(local.ok("runs", "show", reference, "--json"))["id"] == run_id


def test_an_end_that_several_ids_share_is_refused(local: Local) -> None:
    local.ok("runs", "retry", str(newest(local)["id"]), "--no-live")
    result = local.call("runs", "show", "0")
    assert result.exit_code == 1
    assert "Several ids of runs" in result.stderr


def test_show_tells_what_happened(local: Local) -> None:
    text = local.ok("runs", "show", str(newest(local)["id"]))
    for part in ("Document analyst (version 1)", "builtin/extractive", "90 days", "input"):
        assert part in text
    assert "  2 ├─ ✓ builtin/extractive  calls search_files" in text


def test_the_trace_has_every_step_with_its_hash(local: Local) -> None:
    run_id = str(newest(local)["id"])
    shown = json.loads(local.ok("runs", "show", run_id, "--trace", "--json"))
    spans = shown["trace"]["spans"]
    assert [span["seq"] for span in spans] == list(range(1, shown["steps"] + 1))
    text = local.ok("runs", "show", run_id, "--trace")
    assert all(span["hash"] in text for span in spans)


def test_watching_a_run_that_has_ended_shows_its_answer(local: Local) -> None:
    result = local.call("runs", "watch", str(newest(local)["id"]))
    assert result.exit_code == 0
    assert "90 days" in result.stdout
    assert "search_files" in result.stderr
    assert "No process" not in result.stderr


def test_a_run_that_has_ended_is_not_cancelled(local: Local) -> None:
    result = local.call("runs", "cancel", str(newest(local)["id"]))
    assert result.exit_code == 1
    assert "cannot cancel" in result.stderr


def test_stopping_a_run_that_has_ended_says_so(local: Local) -> None:
    assert "not running" in local.ok("runs", "stop", str(newest(local)["id"]))


def test_a_completed_run_is_not_resumed(local: Local) -> None:
    result = local.call("runs", "resume", str(newest(local)["id"]))
    assert result.exit_code == 1
    assert "runs retry" in result.stderr


def test_retry_runs_the_same_again(local: Local) -> None:
    first = newest(local)
    result = local.call("runs", "retry", str(first["id"]), "--json")
    second = json.loads(result.stdout)
    assert (second["origin"], second["origin_run_id"]) == ("retry", first["id"])
    assert second["result"] == first["result"]


def test_a_fork_shares_the_first_steps(local: Local, scripted: ScriptedServer) -> None:
    scripted.script = Script(rounds=0, text="Another end.")
    first = newest(local)
    options = ["--from-seq", "3", "--model", "openai/scripted-large"]
    fork = json.loads(local.ok("runs", "fork", str(first["id"]), *options, "--json"))
    assert fork["origin_run_id"] == first["id"]
    assert fork["result"] == "Another end."
    assert fork["inputs"] == first["inputs"]
    assert fork["usage"]["model_calls"] == 2


def test_a_fork_with_other_inputs_keeps_those_that_are_not_given(local: Local) -> None:
    first = newest(local)
    options = ["--from-seq", "1", "--input", "more=1", "--json"]
    fork = json.loads(local.ok("runs", "fork", str(first["id"]), *options))
    assert fork["inputs"] == {**first["inputs"], "more": "1"}


def test_a_fork_after_the_last_step_is_refused(local: Local) -> None:
    result = local.call("runs", "fork", str(newest(local)["id"]), "--from-seq", "900")
    assert result.exit_code == 1
    assert "choose from_seq between" in result.stderr


def test_a_failed_run_is_resumed_where_it_was(local: Local, scripted: ScriptedServer) -> None:
    refusal = Reply(status=401, message="no such key")
    call = Reply(tool_calls=[{"name": "calculator", "arguments": {"expression": "6*7"}}])
    scripted.script = Script(select="call", replies=[call, refusal, Reply(text="It is 42.")])
    failed = local.run(str(AGENT), "--model", "openai/scripted-large", code=1)
    assert failed["status"] == "failed"
    result = local.call("runs", "resume", failed["id"])
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == "It is 42."
    assert scripted.count == 3


def test_agents_are_listed_shown_exported_and_imported(local: Local, tmp_path: Path) -> None:
    assert "document-analyst" in local.ok("agents", "list", "--project", "Admin's project")
    shown = local.ok("agents", "show", "document-analyst")
    assert "It can be run." in shown
    assert "Inputs: question" in shown
    exported = local.ok("agents", "export", "document-analyst")
    path = tmp_path / "copy.yaml"
    path.write_text(exported.replace("key: document-analyst", "key: copy"))
    assert "copy is version 1 in Admin's project" in local.ok("agents", "import", str(path))
    assert "copy is version 1" in local.ok("agents", "import", str(path))
    result = local.call("agents", "show", "Document analyst")
    assert result.exit_code == 1
    assert "2 agents are named" in result.stderr
    assert json.loads(local.ok("agents", "show", "copy", "--json"))["key"] == "copy"


def test_an_agent_says_what_it_lacks(local: Local, tmp_path: Path) -> None:
    path = tmp_path / "lacking.yaml"
    path.write_text("name: Lacking\nkey: lacking\ntools: [teleport]\n")
    local.ok("agents", "import", str(path))
    shown = local.ok("agents", "show", "lacking", "--project", "Admin's project")
    assert "Lacks: The agent names no model" in shown
    assert "teleport" in shown.split("Lacks:")[2]


def test_agents_start_and_stop(local: Local) -> None:
    assert "document-analyst is idle." in local.ok("agents", "start", "document-analyst")
    assert "document-analyst is offline." in local.ok("agents", "stop", "document-analyst")


def test_an_empty_installation_says_how_to_begin(empty: Local) -> None:
    empty.ok("db", "upgrade")
    assert "muster agents import FILE" in empty.call("agents", "list").stderr
    result = empty.call("agents", "import", str(AGENT))
    assert result.exit_code == 1
    assert "No account is superadmin here" in result.stderr


def test_a_text_that_is_no_agent_is_not_imported(local: Local) -> None:
    result = local.call("agents", "import", str(CONTRACT))
    assert result.exit_code == 1
    assert "line" in result.stderr
