"""What can go wrong with generation."""

from muster.kernel.errors import UpstreamFailed


class GenerationFailed(UpstreamFailed):
    code, title = "generation_failed", "The model gave no definition that can be used"
