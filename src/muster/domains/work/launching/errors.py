"""What can go wrong with starting runs."""

from muster.kernel.errors import Invalid


class TargetAmbiguous(Invalid):
    code, title = "run_target_ambiguous", "Several things to run are named"


class TargetMistyped(Invalid):
    code, title = "run_target_mistyped", "What is to be run is not of the given kind"


class TargetInvalid(Invalid):
    code, title = "run_target_invalid", "What is defined in place cannot be run"
