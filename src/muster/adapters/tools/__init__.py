"""Transports that carry out tool calls, and the code behind some builtin tools."""
