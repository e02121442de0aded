"""Offline checker of proofs: NumPy only, shares no code with the engine that made them."""
