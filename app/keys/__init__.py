"""API keys and who calls."""
