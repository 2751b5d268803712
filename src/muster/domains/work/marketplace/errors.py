"""What can go wrong in the marketplace."""

from muster.kernel.errors import Conflict, Forbidden, Invalid, NotFound


class BundleNotFound(NotFound):
    code, title = "marketplace_template_not_found", "There is no such template in the marketplace"


class BundleNotInstalled(NotFound):
    code, title = "marketplace_template_not_installed", "The template is not installed here"


class BundleInstalled(Conflict):
    code, title = "marketplace_template_installed", "The template is installed already"


class NamesTaken(Conflict):
    code, title = "marketplace_names_taken", "The project has other things with these names"


class ParametersInvalid(Invalid):
    code, title = "marketplace_parameters_invalid", "The parameters do not fit the template"


class MarketplaceForbidden(Forbidden):
    code, title = "marketplace_scope_missing", "The caller may not make what the template makes"
