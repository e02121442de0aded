"""Verification library: an inert graph and a request go in, a report comes out; no web, no database."""

__version__ = "0.1.0"
