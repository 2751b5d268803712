"""What can go wrong with generation."""

from muster.kernel.errors import Forbidden, UpstreamFailed


class GenerationFailed(UpstreamFailed):
    code, title = "generation_failed", "The model gave no definition that can be used"


class SavingRefused(Forbidden):
    code, title = "saving_refused", "You may write a crew here, but not store it"
