"""Collaboration: sessions in which several agents share a context and what they say."""

from muster.domains.dialogue.collaboration.acts import collaboration_acts
from muster.domains.dialogue.collaboration.models import Collaboration

__all__ = ["Collaboration", "collaboration_acts"]
