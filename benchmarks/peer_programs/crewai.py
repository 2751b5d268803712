"""Answers a prompt with CrewAI: `python crewai.py BASE_URL PROMPT COUNT` prints milliseconds.

Runs in the peers' environment, which knows nothing of this project.
"""

import json
import sys
import time

# This file has the name of what it imports.
sys.path.pop(0)

from crewai import LLM, Agent, Crew, Task
from crewai.tools import tool


@tool("calculator")
def calculator(expression: str) -> str:
    """Compute an arithmetic expression."""
    return str(len(expression))


def main() -> None:
    base_url, prompt, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    llm = LLM(model="openai/gpt-4o-mini", base_url=base_url, api_key="sk-benchmark")
    agent = Agent(
        role="Calculator",
        goal="Answer questions about numbers",
        backstory="You are careful.",
        tools=[calculator],
        llm=llm,
        verbose=False,
        cache=False,
    )
    times: list[float] = []
    for _ in range(count):
        task = Task(description=prompt, expected_output="An answer", agent=agent)
        crew = Crew(agents=[agent], tasks=[task], verbose=False, cache=False)
        begun = time.perf_counter()
        crew.kickoff()
        times.append((time.perf_counter() - begun) * 1000)
    print(json.dumps(times))


main()
