"""What can go wrong with policies."""

from muster.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class PolicyNotFound(NotFound):
    code, title = "policy_not_found", "No such policy in this project"


class PolicyRefused(Invalid):
    code, title = "policy_invalid", "The policy cannot be loaded"


class PolicyTrialRefused(Forbidden):
    code, title = "policy_trial_refused", "Only who may change policies can try unsaved ones"


class PolicyUnreadable(Conflict):
    code, title = "policy_unreadable", "A stored policy cannot be read by this release"


class ManifestImported(Conflict):
    code, title = "manifest_imported", "A manifest of this name was imported already"


class NothingToExport(NotFound):
    code, title = "nothing_to_export", "The project has no policy"


class TemplateNotFound(NotFound):
    code, title = "template_not_found", "There is no such policy template"
