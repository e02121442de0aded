"""Generators: encoding, Jacobians, directions, measures of continuity and independency, training."""
