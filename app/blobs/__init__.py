"""Which stored files are still referred to."""
