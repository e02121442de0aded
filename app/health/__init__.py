"""Whether the service lives, is ready, and how busy it is."""
