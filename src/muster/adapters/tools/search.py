"""Full-text search in folders of text files: ranked passages, without an index to keep."""

import asyncio
import math
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import lru_cache
from pathlib import Path
from typing import Any

from muster.adapters.tools.base import ToolInputInvalid

MAX_FILE_BYTES = 2_000_000
MAX_FILES = 20_000
MAX_TOTAL_BYTES = 200_000_000
_MAX_LIMIT = 100
_MAX_TERMS = 32
_PASSAGE_LINES = 12
_SHOWN_CHARS = 600
_SATURATION = 1.2
_LENGTH_WEIGHT = 0.6
_PHRASE_BONUS = 1.5
_NAME_BONUS = 0.3
_SHORTEST_STEM = 3
_TEXT_SUFFIXES = frozenset(
    [
        ".adoc",
        ".bat",
        ".c",
        ".cfg",
        ".conf",
        ".cpp",
        ".cs",
        ".css",
        ".csv",
        ".env",
        ".go",
        ".h",
        ".htm",
        ".html",
        ".ini",
        ".java",
        ".js",
        ".json",
        ".jsonl",
        ".jsx",
        ".kt",
        ".log",
        ".lua",
        ".markdown",
        ".md",
        ".mdx",
        ".php",
        ".pl",
        ".properties",
        ".ps1",
        ".py",
        ".r",
        ".rb",
        ".rs",
        ".rst",
        ".scala",
        ".sh",
        ".sql",
        ".svg",
        ".swift",
        ".tex",
        ".text",
        ".toml",
        ".ts",
        ".tsv",
        ".tsx",
        ".txt",
        ".vue",
        ".xml",
        ".yaml",
        ".yml",
    ]
)
_SKIPPED_FOLDERS = frozenset({".git", ".hg", ".svn", ".venv", "__pycache__", "node_modules"})
_WORD = re.compile(r"[^\W_]+")
COMMON = frozenset(
    _WORD.findall(
        """
    a an and are as at be by can could did do does for from had has have how i in is it its me my
    not of on or our should that the their them there they this to us was we were what when where
    which who why will with would you your
    """
    )
)
"""Words that say nothing about what a text is about."""


@dataclass(slots=True)
class _Passage:
    path: str
    line: int
    text: str
    counts: Counter[str]
    length: int
    has_phrase: bool


async def search_files(
    roots: Sequence[tuple[str, Path]], query: str, *, limit: int = 10, glob: str | None = None
) -> dict[str, Any]:
    """Search `(label, folder)` pairs; paths in the result begin with the label unless it is empty.

    Returns `{"results": [{"path", "line", "score", "text"}], "total"}`, best first; `total` counts
    every passage that matched. Links, binary files and files over 2 MB are passed over.
    """
    if not query.strip():
        raise ToolInputInvalid("The query is empty.")
    bounded = max(1, min(limit, _MAX_LIMIT))
    return await asyncio.to_thread(_search, list(roots), query, bounded, glob)


def matches_glob(path: str, glob: str | None) -> bool:
    """Whether a relative path fits; a pattern without a slash is held against the file name."""
    if not glob:
        return True
    if "/" not in glob:
        return fnmatchcase(path.rpartition("/")[2], glob)
    return fnmatchcase(path, glob) or fnmatchcase(path, glob.replace("**/", ""))


def _search(
    roots: list[tuple[str, Path]], query: str, limit: int, glob: str | None
) -> dict[str, Any]:
    words = _WORD.findall(query.casefold())
    telling = [word for word in words if word not in COMMON] or words
    terms = list(dict.fromkeys(stem(word) for word in telling))[:_MAX_TERMS]
    if not terms:
        return {"results": [], "total": 0}
    phrase = " ".join(words) if len(words) > 1 else None
    found: list[_Passage] = []
    passages, words_in_all = 0, 0
    for path, text in _texts(roots, glob):
        folded = text.casefold()
        if not any(term in folded for term in terms):
            # Every stem begins its words, so this file has none of them; it still counts.
            passages += 1
            words_in_all += min(len(text) // 6, 100)
            continue
        for line, passage in _passages(text):
            length = passage.count(" ") + passage.count("\n") + 1
            passages += 1
            words_in_all += length
            read = _read(path, line, passage, length, terms, phrase)
            if read is not None:
                found.append(read)
    ranked = _rank(found, terms, passages, words_in_all / max(passages, 1))
    results = [
        {"path": item.path, "line": item.line, "score": round(score, 4), "text": _shown(item.text)}
        for score, item in ranked[:limit]
    ]
    return {"results": results, "total": len(found)}


def _read(
    path: str, line: int, passage: str, length: int, terms: list[str], phrase: str | None
) -> _Passage | None:
    folded = passage.casefold()
    if not any(term in folded for term in terms):
        return None
    tokens = _WORD.findall(folded)
    counts = Counter(token for token in map(stem, tokens) if token in terms)
    if not counts:
        return None
    has_phrase = phrase is not None and phrase in " ".join(tokens)
    first = next(
        (index for index, text in enumerate(folded.split("\n")) if any(t in text for t in counts)),
        0,
    )
    return _Passage(path, line + first, passage, counts, length, has_phrase)


def _rank(
    found: list[_Passage], terms: list[str], passages: int, average: float
) -> list[tuple[float, _Passage]]:
    """BM25 over passages, with a bonus for the exact phrase and for terms in the file's name."""
    having = Counter(term for item in found for term in item.counts)
    weight = {
        term: math.log(1 + (passages - having[term] + 0.5) / (having[term] + 0.5)) for term in terms
    }
    names: dict[str, set[str]] = {}
    ranked: list[tuple[float, _Passage]] = []
    for item in found:
        relative = _LENGTH_WEIGHT * item.length / max(average, 1.0)
        norm = _SATURATION * (1 - _LENGTH_WEIGHT + relative)
        score = sum(
            weight[term] * count * (_SATURATION + 1) / (count + norm)
            for term, count in item.counts.items()
        )
        # More of the words asked for is worth more than one of them many times.
        score *= len(item.counts) / len(terms)
        if item.path not in names:
            names[item.path] = {stem(word) for word in _WORD.findall(item.path.casefold())}
        score += _NAME_BONUS * sum(weight[term] for term in terms if term in names[item.path])
        ranked.append((score * (_PHRASE_BONUS if item.has_phrase else 1.0), item))
    ranked.sort(key=lambda entry: (-entry[0], entry[1].path, entry[1].line))
    return ranked


@lru_cache(maxsize=50_000)
def stem(word: str) -> str:
    """Cut English endings: policies, policy -> polic; running, runs -> run; making, make -> mak.

    The stem is always a beginning of the word: the search relies on it to pass over files.
    """
    for ending in ("ies", "ing", "ed", "es", "s", "e", "y"):
        if not word.endswith(ending) or word.endswith("ss"):
            continue
        cut = word[: -len(ending)]
        if len(cut) < _SHORTEST_STEM or not re.search(r"[aeiouy]", cut):
            continue
        doubled = len(cut) > _SHORTEST_STEM and cut[-1] == cut[-2] and cut[-1] not in "lsz"
        return cut[:-1] if ending in {"ing", "ed"} and doubled else cut
    return word


def _passages(text: str) -> Iterator[tuple[int, str]]:
    """Paragraphs with the number of their first line; long ones in pieces."""
    lines: list[str] = []
    start = 1
    for number, line in enumerate(text.splitlines(), start=1):
        blank = not line.strip()
        if lines and (blank or len(lines) == _PASSAGE_LINES):
            yield start, "\n".join(lines)
            lines = []
        if not blank:
            if not lines:
                start = number
            lines.append(line)
    if lines:
        yield start, "\n".join(lines)


def _texts(roots: list[tuple[str, Path]], glob: str | None) -> Iterator[tuple[str, str]]:
    files, size = 0, 0
    for label, root in roots:
        for file, relative in _walk(root):
            if not matches_glob(relative, glob):
                continue
            if not glob and file.suffix.lower() not in _TEXT_SUFFIXES:
                continue
            text, length = _text_of(file)
            if text is None:
                continue
            files, size = files + 1, size + length
            if files > MAX_FILES or size > MAX_TOTAL_BYTES:
                return
            yield (f"{label}/{relative}" if label else relative), text


def _walk(root: Path) -> Iterator[tuple[Path, str]]:
    for folder, folders, names in os.walk(root, followlinks=False):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
        for name in sorted(names):
            file = Path(folder, name)
            yield file, file.relative_to(root).as_posix()


def _text_of(file: Path) -> tuple[str | None, int]:
    try:
        # A link could lead out of the folder; a pipe would block.
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None, 0
    with os.fdopen(descriptor, "rb") as handle:
        try:
            data = handle.read(MAX_FILE_BYTES + 1)
        except OSError:
            return None, 0
    if data is None or len(data) > MAX_FILE_BYTES or b"\x00" in data[:8_192]:  # pyright: ignore[reportUnnecessaryComparison] - a pipe without a writer
        return None, 0
    return data.decode("utf-8", errors="replace"), len(data)


def _shown(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}…"
