"""Attacks on certified points, which must all fail: within its radius no input may receive another label."""
