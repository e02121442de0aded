"""Wrapped networks: files that answer a class where it is certified, and bottom elsewhere, in one pass."""
