"""Composition roots: the only place that mounts routers."""
