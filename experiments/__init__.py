"""Training runs whose figures the documentation quotes: commands, logs, results."""
