"""Oversight: what policies need of the journal, and what they say of logged steps and ends."""

from muster.domains.work.oversight.endings import PolicyEndings
from muster.domains.work.oversight.history import JournalHistory
from muster.domains.work.oversight.observer import PolicyObserver

__all__ = ["JournalHistory", "PolicyEndings", "PolicyObserver"]
