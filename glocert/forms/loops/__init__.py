"""Compiled loops over forms: what torch would do in many calls, done in one pass over memory.

They follow the torch code of ``glocert.forms.ops`` operation by operation, so that its arguments about
rounding hold for them as well, and serve the CPU; other devices keep that code.
"""
