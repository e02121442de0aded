"""The statement about a job that succeeded."""
