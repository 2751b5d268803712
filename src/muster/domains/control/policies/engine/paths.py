"""Whether a path lies in a folder, by its text alone: the gate sees no file system of agents."""

import ntpath
import posixpath
import re
from types import ModuleType
from urllib.parse import unquote

_WINDOWS = re.compile(r"[A-Za-z]:|\\")
_HOME = re.compile(r"(~|\$HOME|\$\{HOME\}|%USERPROFILE%)(?=[/\\]|$)")
_HOMES = re.compile(r"(/home/[^/]+|/Users/[^/]+|/root|[A-Za-z]:[/\\]Users[/\\][^/\\]+)(?=[/\\]|$)")
_FILE = re.compile(r"file:(//localhost(?=/))?", re.IGNORECASE)
_VARIABLE = re.compile(r"[~$%]")


def is_within(path: str, root: str) -> bool:
    """Whether `path`, taken from `root` when it is relative, does not leave `root`.

    The home folder is read off the root (of `/Users/ann/project` it is `/Users/ann`); a path from
    the home is outside when the root does not show it, and so is one that begins with another
    variable or another's home, since nobody knows here where it leads.
    """
    if "\0" in path:
        return False
    file_url = _FILE.match(path)
    if file_url:
        path = unquote(path[file_url.end() :])
    rules: ModuleType = ntpath if _WINDOWS.match(root) else posixpath
    at_home = _HOME.match(path)
    if at_home:
        home = _HOMES.match(root) or _HOME.match(root)
        if home is None:
            return False
        path = home.group() + path[at_home.end() :]
    elif _VARIABLE.match(path):
        return False
    else:
        path = rules.join(root, path)
    top, full = _normal(rules, root), _normal(rules, path)
    return full == top or full.startswith(top.rstrip(rules.sep) + rules.sep)


def _normal(rules: ModuleType, path: str) -> str:
    plain: str = rules.normcase(rules.normpath(path))
    # POSIX leaves two leading slashes alone; no system that agents run on does.
    return plain[1:] if plain.startswith("//") else plain
