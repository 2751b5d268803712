"""The guide's snippets and the example run as they stand, and the platform knows what they did."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from muster.sdk.client import close_all
from tests.sdk.conftest import Agent, Person
from tests.sdk.models import Models
from tests.sdk.served import Served
from tests.support.model_scripts import Reply, Script
from tests.support.provider_servers import AnthropicWire

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/guides/sdk.md").read_text(encoding="utf-8")
SNIPPETS = re.findall(r"```python\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture
def surroundings(
    served: Served, key: str, agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    with Models() as openai, Models(AnthropicWire()) as anthropic:
        openai.replies(script=Script(rounds=1, text="128.50"))
        anthropic.replies(Reply(text="128.50"))
        for name, value in {
            "MUSTER_URL": served.url,
            "MUSTER_AGENT_KEY": key,
            "OPENAI_BASE_URL": openai.url + "/v1",
            "OPENAI_API_KEY": "sk",
            "ANTHROPIC_BASE_URL": anthropic.url,
            "ANTHROPIC_API_KEY": "sk",
        }.items():
            monkeypatch.setenv(name, value)
        yield


@pytest.mark.usefixtures("surroundings")
@pytest.mark.parametrize("number", range(len(SNIPPETS)))
def test_a_snippet_of_the_guide(number: int, people: Person) -> None:
    people.forbid("step.message", "require_approval")
    people.forbid("step.resource", "warn", name="Watch")
    exec(compile(SNIPPETS[number], f"snippet {number}", "exec"), {"__name__": "__main__"})
    close_all()
    ends = people.get("/logs", kind="task.end")["items"]
    assert ends
    for end in ends:
        assert people.is_valid(end["task_id"])
        assert end["status"] == ("blocked" if "approve=ask" in SNIPPETS[number] else "ok")


def test_the_guide_has_snippets_for_every_adapter() -> None:
    for adapter in ("openai", "anthropic", "langchain", "pydantic_ai"):
        assert any(f"from muster.sdk.{adapter} import" in snippet for snippet in SNIPPETS)


@pytest.mark.usefixtures("surroundings")
def test_the_example(people: Person) -> None:
    limit = {
        "rule_type": "execution_max_steps",
        "params": {"step_type": "step.resource", "max_steps": 0, "verb": "POST"},
    }
    command = [sys.executable, str(ROOT / "examples/external_agent.py")]
    for blocked in (0, 3):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        assert f"12 steps told, {blocked} blocked" in done.stdout
        people.forbid("step.resource", "block", **limit)
    ends = people.get("/logs", kind="task.end")["items"]
    assert sorted(end["output"]["paid"] for end in ends) == [False] * 3 + [True] * 3
