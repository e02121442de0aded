"""Loops of the curve domain, compiled for the processor; other devices take torch's way to them.

Arrays are float64 or int64 and contiguous. Results of both ways agree up to rounding; a number that is not
finite leaves no finite radius on either.
"""
