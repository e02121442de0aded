"""Command line and SDK of the service; imports nothing else of this repository."""
