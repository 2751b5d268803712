"""Workflows in each notation."""

from typing import Any

DOCUMENT = """\
name: Support triage
version: "2.0"
llm_model: openai/gpt-4o
data_types: {input: {type: object}, kind: {type: string}, answer: {type: string}}
templates: [{name: tone, value: Be kind.}]
nodes:
  - {name: start, type: start, next: classify}
  - name: classify
    type: llm
    prompt: "{{ templates.tone }} {{ context.input.text }}"
    output: kind
    next: route
  - name: route
    type: switch
    expr: "{{ context.kind }}"
    cases: {bug: search, yes: both}
    default: sure
  - name: search
    type: function
    tool: mcp://kb.search
    inputs:
      q: {type: context, value: input.text}
      n: {type: literal, value: "{{ as it is }}"}
      past: {type: history}
    output: answer
    next: sure
  - {name: both, type: parallel, branches: [helper], next: sure}
  - {name: helper, type: agent, prompt: Help., allowed_tools: ["python://calc"], next: sure}
  - {name: sure, type: if, condition: "{{ context.kind }} == 'x'", then: classify, else: end}
  - {name: end, type: end, output: answer}
"""

STEPS: list[dict[str, Any]] = [
    {"name": "ask", "step_type": "human_approval", "order": 1, "config": {"title": "Go on?"}},
    {"name": "collect", "step_type": "agent_task", "order": 2, "agent_id": "helper"},
    {
        "name": "write",
        "step_type": "llm_call",
        "order": 3,
        "config": {"prompt": "Write."},
        "depends_on": ["collect", "ask"],
    },
]

ACTIONS: dict[str, Any] = {
    "version": 2,
    "actions": [
        {
            "type": "get_user_input",
            "id": "ask",
            "name": "Ask",
            "prompt": "What?",
            "variables": [{"name": "q", "label": "Question", "type": "text", "required": True}],
        },
        {
            "type": "mcp_tool",
            "id": "find",
            "mcp_server_slug": "kb",
            "exposed_tool_name": "search",
            "prompt": "",
            "input_bindings": {"query": {"variable": "q"}},
            "output_variables": [{"name": "hits", "label": "Hits", "path": "$.data.hits"}],
        },
        {"type": "send_output", "id": "tell", "prompt": "Found:", "variable_refs": ["hits"]},
    ],
}
