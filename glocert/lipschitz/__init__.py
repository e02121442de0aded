"""GloRo: proven bounds on Lipschitz constants, and what follows from them.

Everything here is an upper bound with rounding included, or is called an estimate.
"""
