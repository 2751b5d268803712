"""Code reviews: changes that agents submit and people decide about."""

from muster.domains.dialogue.reviews.acts import review_acts
from muster.domains.dialogue.reviews.models import CodeReview

__all__ = ["CodeReview", "review_acts"]
