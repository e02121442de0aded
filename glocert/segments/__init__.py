"""GCert segment engine: exact analysis of a one-dimensional path through a network."""
