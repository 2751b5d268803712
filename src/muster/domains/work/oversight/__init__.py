"""Oversight: what policies need of the journal, and what they say of steps that were logged."""

from muster.domains.work.oversight.history import JournalHistory
from muster.domains.work.oversight.observer import PolicyObserver

__all__ = ["JournalHistory", "PolicyObserver"]
