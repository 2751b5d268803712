"""Threads that end while coverage is measured."""

import sys
import weakref
from typing import Any

from greenlet import greenlet


class _Keyed(weakref.WeakKeyDictionary[Any, Any]):
    """One that does not hear of the end of a greenlet, and keeps the little it has of it."""

    data: dict[weakref.ref[Any], Any]

    def __setitem__(self, key: Any, value: Any) -> None:
        if isinstance(key, greenlet):
            self.data[weakref.ref(key)] = value
        else:
            super().__setitem__(key, value)


def let_them_end() -> None:
    """Keep the main thread from turning round for ever where two threads end at once.

    The measuring keeps what it has of a thread by the thread's main greenlet, weakly. When that is
    freed, in a call that the end of the thread leaves pending, a function of Python would be
    called; if another thread ends in that moment, Python 3.11 never gets to the first line of a
    function that is traced. Newer ones do.
    """
    if sys.version_info < (3, 12):
        weakref.WeakKeyDictionary = _Keyed
