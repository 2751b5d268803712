"""What the model says where there is nothing to extract from: greetings and what it is."""

import re
from collections.abc import Sequence

from muster.adapters.models.base import ToolSpec

_ECHO = re.compile(
    r"^(?:please\s+)?(?:just\s+)?(?:say|reply|respond|answer|repeat|output)"
    r"(?:\s+(?:only|just|exactly|with|the\s+(?:single\s+)?words?))*\s*(?P<colon>:)?\s+"
    r"(?P<quote>[\"'“])?(?P<text>[^\"'”\n]{1,80}?)[\"'”]?\s*[.!]?$",
    re.IGNORECASE,
)
_SAYS = re.compile(
    r"^(?:please\s+)?(?:just\s+)?(?:say\b|\w+\s+(?:only|just|exactly|with)\b)", re.IGNORECASE
)
_GREETING = re.compile(
    r"^\W*(?:hi|hello|hey|good (?:morning|day|afternoon|evening)|greetings|ping|test)"
    r"(?:\s+(?:there|all|again|you|world|agent|team|everyone))?\W*$",
    re.IGNORECASE,
)
_CAPABILITY = re.compile(
    r"\b(?:what can you do|what are you|who are you|how do you work|what do you do|"
    r"your (?:capabilities|abilities)|introduce yourself|are you (?:a|an) |"
    r"(?:which|what) model are you)\b|^\W*help\W*$",
    re.IGNORECASE,
)
_THANKS = re.compile(
    r"^\W*(?:(?:many )?thanks|thank you|ok|okay|great|bye|goodbye)"
    r"(?:[\s,]+(?:thanks|thank you|very much|so much|a lot|bye))*\W*$",
    re.IGNORECASE,
)
_LONGEST_TALK = 120
_LONGEST_ECHO = 8
_LONGEST_SHOWN = 160

NATURE = (
    "I am `builtin/extractive`, the built-in model. I am not a language model: I choose tools, "
    "find the sentences that fit a question best and quote them with their sources."
)


def small_talk(question: str, tools: Sequence[ToolSpec]) -> str | None:
    """Return the reply to a greeting, an echo or a question about the model, else None."""
    text = " ".join(question.split())
    if not text:
        return f"Nothing was asked. {NATURE} {abilities(tools)}"
    if len(text) > _LONGEST_TALK:
        return None
    if _CAPABILITY.search(text):
        return f"{NATURE} {abilities(tools)}"
    if _GREETING.match(text):
        return f"Hello! {NATURE} {abilities(tools)}"
    if _THANKS.match(text):
        return "You are welcome. Ask me something about the documents or tools I am given."
    return _echo(text)


def _echo(text: str) -> str | None:
    match = _ECHO.match(text)
    if match is None or text.endswith("?") or len(match["text"].split()) > _LONGEST_ECHO:
        return None
    if not (match["colon"] or match["quote"] or _SAYS.match(text)):
        return None
    said = match["text"].strip()
    return said[:1].upper() + said[1:]


def abilities(tools: Sequence[ToolSpec]) -> str:
    """Return what can be asked, given the offered tools."""
    can = (
        "I can answer questions from text in the prompt, summarise it, do sums and fill a schema "
        "from it."
    )
    if not tools:
        return can
    names = ", ".join(f"`{tool.name}`" for tool in tools[:12])
    return f"{can} Here I can also use {names}."


def nothing_to_say(question: str, looked_at: str, notes: Sequence[str]) -> str:
    """Return the honest reply where the material holds no answer."""
    asked = " ".join(question.split())
    if len(asked) > _LONGEST_SHOWN:
        asked = f"{asked[:_LONGEST_SHOWN].rsplit(' ', 1)[0]} …"
    if looked_at:
        first = f"I found nothing that answers “{asked}”. I looked at {looked_at}."
    elif notes:
        first = f"I could not answer “{asked}”."
    else:
        first = (
            f"I have no text to answer “{asked}” from. {NATURE} Put the text into the prompt, "
            f"give the agent a "
            "search or reading tool, or choose a language model for work that needs new writing."
        )
    return "\n\n".join([first, *(["\n".join(notes)] if notes else [])])
