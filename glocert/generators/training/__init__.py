"""Training generators that are continuous: recipes, networks, the families, checkpoints, reports."""
