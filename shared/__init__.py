"""Plumbing that the services have in common, and the contracts between them."""
