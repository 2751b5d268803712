"""Answers prompts with CrewAI: `python with_crewai.py BASE_URL`, a prompt on each input line.

Prints the milliseconds that each answer took and those that were computed. Runs in the peers'
environment, which knows nothing of this project.
"""

# pyright: reportMissingImports=false

import json
import sys
import time

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool


@tool("calculator")
def calculator(expression: str) -> str:
    """Compute a sum."""
    return str(sum(int(part) for part in expression.split("+")))


def main() -> None:
    # What it prints for people must not stand between the answers.
    answers, sys.stdout = sys.stdout, sys.stderr
    llm = LLM(model="openai/gpt-4o-mini", base_url=sys.argv[1], api_key="sk-benchmark")
    agent = Agent(
        role="Calculator",
        goal="Answer questions about numbers",
        backstory="You are careful.",
        tools=[calculator],
        llm=llm,
        verbose=False,
        cache=False,
    )
    for line in sys.stdin:
        cpu, begun = time.process_time(), time.perf_counter()
        task = Task(description=line.strip(), expected_output="An answer", agent=agent)
        Crew(agents=[agent], tasks=[task], verbose=False, cache=False).kickoff()
        elapsed = time.perf_counter() - begun
        taken = (elapsed * 1000, (time.process_time() - cpu) * 1000)
        print(json.dumps(taken), file=answers, flush=True)


main()
