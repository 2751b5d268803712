"""What can go wrong with code reviews."""

from muster.kernel.errors import Conflict, Invalid, NotFound


class ReviewNotFound(NotFound):
    code, title = "code_review_not_found", "No such code review in this project"


class ReviewDecided(Conflict):
    code, title = "code_review_decided", "The code review was decided already"


class ReviewSubmitted(Conflict):
    code, title = "code_review_submitted", "The code review was submitted already"


class ReviewFull(Conflict):
    code, title = "code_review_full", "The code review takes no more comments"


class ReviewEmpty(Invalid):
    code, title = "code_review_empty", "There is nothing to review"


class ReviewTooLarge(Invalid):
    code, title = "code_review_too_large", "The change is too large for one code review"


class ReviewFileUnknown(Invalid):
    code, title = "code_review_file_unknown", "The code review has no such file"
