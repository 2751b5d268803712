"""The marketplace: bundles of agents, crews and workflows that are installed as a whole."""
