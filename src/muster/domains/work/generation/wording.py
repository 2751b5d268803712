"""Reading a description without a model: what it is about, and into which steps it falls."""

import re
from dataclasses import dataclass

MOST_STEPS = 8
_SHORTEST_STEM = 3
_LONGEST_NAME = 60
_LONGEST_STEP = 5_000
_WORDS_OF_NAME = 4
_LEAD = re.compile(
    r"^\W*(?:(?:(?:please\s+)?(?:(?:i|we)\s+(?:need|want|would\s+like)|create|build|make|generate"
    r"|design|write|set\s+up|give\s+me|add|define)\b\s*(?:me\s+|us\s+)?(?:an?\s+|the\s+|some\s+)?)"
    r"|an?\s+)(?:new\s+)?(?P<kind>(?:[\w'/-]+\s+){0,5}?)"
    r"(?:agents?|assistants?|bots?|crews?|teams?|tasks?|workflows?|pipelines?|process(?:es)?)\b"
    r"\s*(?P<rest>.*)$",
    re.IGNORECASE | re.DOTALL,
)
_LINK = re.compile(
    r"^[\s,:-]*(?:(?:that|which|who|to|for|of|with|about|on|in\s+order\s+to)\b\s*)?"
    r"(?:(?:can|will|should|must|could|is\s+able\s+to|helps?\s+to)\b\s*)?",
    re.IGNORECASE,
)
_LISTING = re.compile(
    r"\b(?:including|includes|such\s+as|consisting\s+of|with\s+steps|steps?|namely)\b\s*:?|:\s",
    re.IGNORECASE,
)
_BULLET = re.compile(r"^\s*(?:[-*\u2022]|\(?\d{1,2}[.):])\s+(?P<step>\S.*)$")
_SENTENCE = re.compile(r"(?<=[.!?])\s+|\n+")
_CLAUSE = re.compile(
    r"\s*;\s*|\s*,?\s+(?:and\s+)?(?:then|afterwards|finally|after\s+that)\s+|\s*,\s+(?:and|or)\s+"
    r"|\s*,\s+|\s+and\s+",
    re.IGNORECASE,
)
_ORDINAL = re.compile(
    r"^(?:first|second|third|next|then|finally|lastly|and)\b[\s,:]*", re.IGNORECASE
)
_WORD = re.compile(r"[^\W_]+")
_IDLE = frozenset(
    """
    a an and any are as at be by can do for from give given has have how i if in into is it its let
    me my of on one or our so some that the their them then there these this to up us use used using
    was we what when which who will with you your another first last tell get make
    """.split()  # noqa: SIM905 - a list of eighty words is not read more easily
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a description says: its subject in words, the aim, the steps, and what is left."""

    name: str
    subject: str
    aim: str
    steps: list[str]
    details: str


def read(description: str) -> Reading:
    """Read a description."""
    text = description.strip()
    prose = "\n".join(line for line in text.splitlines() if not _BULLET.match(line))
    sentences = [s.strip() for s in _SENTENCE.split(prose) if _WORD.search(s)] or [text]
    lead = _LEAD.match(sentences[0])
    kind = lead["kind"].strip() if lead else ""
    rest = lead["rest"] if lead else sentences[0]
    aim = _LINK.sub("", rest, count=1).strip(" .,:;") or kind or sentences[0].strip(" .,:;") or text
    aim = " ".join(aim.split())
    listing = _LISTING.search(aim)
    subject = kind or (aim[: listing.start()] if listing else aim).strip(" ,:;")
    return Reading(
        name=titled(kind or _few_words(subject or aim)),
        subject=subject or aim,
        aim=aim,
        steps=_steps(text, aim, sentences),
        details=" ".join(sentences[1:]),
    )


def capitalised(text: str) -> str:
    """Return a text that begins with a capital."""
    return text[:1].upper() + text[1:]


def titled(text: str) -> str:
    """Return words as a title."""
    words = text.replace("_", " ").split()
    return " ".join(word if word.isupper() else capitalised(word) for word in words)[:_LONGEST_NAME]


def stems(text: str) -> set[str]:
    """Return the words of a text that mean something, without their commonest endings."""
    return {_stem(word) for word in _WORD.findall(text.lower()) if word not in _IDLE}


def is_about(text: str, name: str, description: str) -> bool:
    """Tell whether a text speaks of what a tool does: by all of its name, or by two words of
    its description.
    """
    said, called = stems(text), stems(name.replace("_", " "))
    return (bool(called) and called <= said) or len(said & stems(description)) > 1


def _steps(text: str, aim: str, sentences: list[str]) -> list[str]:
    bullets = [match["step"] for line in text.splitlines() if (match := _BULLET.match(line))]
    if len(bullets) > 1:
        return _tidied(bullets)
    listing = _LISTING.search(aim)
    clauses = _tidied(_CLAUSE.split(aim[listing.end() :] if listing else aim))
    others = _tidied(sentences[1:])
    found = _tidied([*clauses, *others])
    return found or [capitalised(aim)]


def _tidied(steps: list[str]) -> list[str]:
    tidy = [_ORDINAL.sub("", step.strip(" .,:;\t")).strip() for step in steps]
    kept = [
        capitalised(" ".join(step.split()))[:_LONGEST_STEP] for step in tidy if _WORD.search(step)
    ]
    return list(dict.fromkeys(kept))[:MOST_STEPS]


def _few_words(text: str) -> str:
    words = re.split(r"[,.;:]", text)[0].split()[:_WORDS_OF_NAME]
    while len(words) > 1 and words[-1].lower() in _IDLE:
        words.pop()
    return " ".join(words)


def _stem(word: str) -> str:
    for ending in (
        "ations",
        "ation",
        "ators",
        "ator",
        "ates",
        "ate",
        "ing",
        "ies",
        "es",
        "ed",
        "s",
    ):
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            word = word[: -len(ending)]
            break
    return word.rstrip("ey")
