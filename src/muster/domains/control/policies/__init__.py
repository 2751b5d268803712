"""Policies: what agents may do, judged before each step, over the whole course of a task."""

from muster.domains.control.policies.engine.vocabulary import (
    NormalStep,
    VocabularyError,
    normalise,
)

__all__ = ["NormalStep", "VocabularyError", "normalise"]
