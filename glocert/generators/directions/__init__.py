"""Directions of a latent space: found in a generator, in pairs, formulae or labels; named and measured."""
