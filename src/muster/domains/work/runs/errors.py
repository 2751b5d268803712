"""What can go wrong with runs."""

from muster.kernel.errors import BadRequest, Conflict, NotFound, UpstreamFailed


class RunNotFound(NotFound):
    code, title = "run_not_found", "No such execution in this project"


class RunTargetMissing(BadRequest):
    code = "run_target_missing"
    title = "Say what to run: agent_id, task_id, crew_id, workflow_id, or definitions"


class ForkPointInvalid(Conflict):
    code, title = "fork_point_invalid", "The run has no step with this number"


class RunStillActive(Conflict):
    code, title = "run_still_active", "The run has not ended"


class RunHasParent(Conflict):
    code, title = "run_has_parent", "Another run started this one; take that one up again"


class RunIsExternal(Conflict):
    code, title = "run_is_external", "The execution happens elsewhere and is only recorded here"


class RunOutputUnfit(UpstreamFailed):
    code, title = "output_unfit", "The model's answers do not fit the output schema"
