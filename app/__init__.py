"""HTTP service. This process never loads torch and never opens an upload."""
