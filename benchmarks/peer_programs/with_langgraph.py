"""Answers prompts with LangGraph: `python with_langgraph.py BASE_URL`, a prompt on each input line.

Prints the milliseconds that each answer took and those that were computed. Runs in the peers'
environment, which knows nothing of this project.
"""

# pyright: reportMissingImports=false

import json
import sys
import time
from typing import Any

from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.prebuilt import create_react_agent


@tool
def calculator(expression: str) -> str:
    """Compute a sum."""
    return str(sum(int(part) for part in expression.split("+")))


def make_crew(model: Any) -> Any:
    """Return a graph of three agents, one after the other."""
    graph = StateGraph(MessagesState)
    before = START
    for number, name in enumerate(("reader", "thinker", "writer")):
        graph.add_node(name, create_react_agent(model, [], prompt=f"Do part {number}."))
        graph.add_edge(before, name)
        before = name
    graph.add_edge(before, END)
    return graph.compile()


def main() -> None:
    model = ChatOpenAI(model="gpt-4o-mini", base_url=sys.argv[1])
    agent = create_react_agent(model, [calculator], prompt="You are careful.")
    crew = make_crew(model)
    for line in sys.stdin:
        cpu, begun = time.process_time(), time.perf_counter()
        if line.strip() == "crew":
            crew.invoke({"messages": [("user", "Do it.")]})
        else:
            agent.invoke({"messages": [("user", line.strip())]})
        elapsed = time.perf_counter() - begun
        print(json.dumps((elapsed * 1000, (time.process_time() - cpu) * 1000)), flush=True)


main()
