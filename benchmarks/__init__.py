"""Measurements, run by hand with ``python3 dev.py bench``; no test looks at a clock."""
