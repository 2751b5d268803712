"""Answers prompts with LangGraph: `python with_langgraph.py BASE_URL`, a prompt on each input line.

Prints the milliseconds that each answer took and those that were computed. Runs in the peers'
environment, which knows nothing of this project.
"""

# pyright: reportMissingImports=false

import json
import sys
import time

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent


@tool
def calculator(expression: str) -> str:
    """Compute a sum."""
    return str(sum(int(part) for part in expression.split("+")))


def main() -> None:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=sys.argv[1], api_key="sk-benchmark")
    agent = create_react_agent(model, [calculator], prompt="You are careful.")
    for line in sys.stdin:
        cpu, begun = time.process_time(), time.perf_counter()
        agent.invoke({"messages": [("user", line.strip())]})
        elapsed = time.perf_counter() - begun
        print(json.dumps((elapsed * 1000, (time.process_time() - cpu) * 1000)), flush=True)


main()
