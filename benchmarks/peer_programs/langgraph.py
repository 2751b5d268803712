"""Answers a prompt with LangGraph: `python langgraph.py BASE_URL PROMPT COUNT` prints milliseconds.

Runs in the peers' environment, which knows nothing of this project.
"""

import json
import sys
import time
import warnings

# This file has the name of what it imports.
sys.path.pop(0)
warnings.simplefilter("ignore")

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.prebuilt import create_react_agent


@tool
def calculator(expression: str) -> str:
    """Compute an arithmetic expression."""
    return str(len(expression))


def main() -> None:
    base_url, prompt, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
    model = ChatOpenAI(model="gpt-4o-mini", base_url=base_url, api_key="sk-benchmark")
    agent = create_react_agent(model, [calculator], prompt="You are careful.")
    times: list[float] = []
    for _ in range(count):
        begun = time.perf_counter()
        agent.invoke({"messages": [("user", prompt)]})
        times.append((time.perf_counter() - begun) * 1000)
    print(json.dumps(times))


main()
