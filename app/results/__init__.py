"""What a job found: rows, pictures and other files."""
