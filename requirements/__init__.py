"""What is installed: lock files, and the set-up that follows them on nothing but a bare Python."""
