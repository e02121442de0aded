"""Mutations as paths: each turns one input into a segment that the engine can follow."""
