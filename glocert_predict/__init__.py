"""A small inference server for one wrapped network: class or bottom, margin and radius in one pass."""
