"""GloRo networks: layers whose Lipschitz constant is known while they learn, losses with ⊥, training."""
