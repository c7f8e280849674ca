"""libfabric: not yet."""
