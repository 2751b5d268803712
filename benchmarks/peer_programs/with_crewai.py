"""Answers prompts with CrewAI: `python with_crewai.py BASE_URL`, a prompt on each input line.

Prints the milliseconds that each answer took and those that were computed. Runs in the peers'
environment, which knows nothing of this project.
"""

# pyright: reportMissingImports=false

import json
import sys
import time
from typing import TextIO

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool


@tool("calculator")
def calculator(expression: str) -> str:
    """Compute a sum."""
    return str(sum(int(part) for part in expression.split("+")))


def run_crew(llm: LLM) -> None:
    """Let three agents do a task each, one after the other."""
    agents = [
        Agent(role=name, goal="do it", backstory="You work.", llm=llm, verbose=False, cache=False)
        for name in ("reader", "thinker", "writer")
    ]
    tasks = [
        Task(description=f"Do part {number}.", expected_output="Anything", agent=agent)
        for number, agent in enumerate(agents)
    ]
    Crew(agents=agents, tasks=tasks, verbose=False, cache=False).kickoff()


def answer(answers: TextIO, cpu: float, begun: float) -> None:
    """Say how long it took and how much of it was computed."""
    elapsed = time.perf_counter() - begun
    taken = (elapsed * 1000, (time.process_time() - cpu) * 1000)
    print(json.dumps(taken), file=answers, flush=True)


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
        if line.strip() == "crew":
            run_crew(llm)
            answer(answers, cpu, begun)
            continue
        task = Task(description=line.strip(), expected_output="An answer", agent=agent)
        Crew(agents=[agent], tasks=[task], verbose=False, cache=False).kickoff()
        answer(answers, cpu, begun)


main()
