"""Directions of generators: what minings have found."""
