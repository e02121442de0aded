"""What this release offers."""
