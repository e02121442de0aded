"""Models in registries and object stores: from a URI to bytes, for the prefixes that the settings allow."""
