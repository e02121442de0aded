"""Inert graph: canonical operators, importers, reference execution."""
