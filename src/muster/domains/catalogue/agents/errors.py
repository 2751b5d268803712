"""What can go wrong with agents."""

from muster.kernel.errors import BadRequest, Conflict, Forbidden, Invalid, NotFound


class AgentNotFound(NotFound):
    code, title = "agent_not_found", "No such agent in this project"


class AgentKeyTaken(Conflict):
    code, title = "agent_key_taken", "An agent with this key exists in the project"


class AgentInactive(Conflict):
    code, title = "agent_inactive", "The agent was deactivated"


class AgentAmbiguous(Conflict):
    code, title = "agent_ambiguous", "Several accounts have registered an agent with this key"


class AgentRunsElsewhere(Conflict):
    code, title = "agent_runs_elsewhere", "The agent runs elsewhere and cannot be run from here"


class AgentVersionNotFound(NotFound):
    code, title = "agent_version_not_found", "The agent has no such version"


class AgentNotReady(Conflict):
    code, title = "agent_not_ready", "The agent is not fully configured and cannot be used"


class AgentYamlInvalid(Invalid):
    code, title = "agent_yaml_invalid", "The YAML does not describe an agent"


class AgentSpecInvalid(BadRequest):
    code, title = "agent_spec_invalid", "The definition of the agent is not valid"


class AgentSecretsRefused(Forbidden):
    code, title = "agent_secrets_refused", "Your role may not store the secrets of tools"
