"""Dead letters: runs that failed for good, with what is needed to start them again."""

from muster.domains.work.dead_letters.burying import bury, bury_failed
from muster.domains.work.dead_letters.models import DeadLetter

__all__ = ["DeadLetter", "bury", "bury_failed"]
