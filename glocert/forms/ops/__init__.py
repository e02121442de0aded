"""Transfers of forms; importing the package fills the registry."""
