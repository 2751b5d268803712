"""Clients of the outside world: model providers, tool transports, blob stores."""
