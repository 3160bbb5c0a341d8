"""The public HTTP API, by resource, and the edge that all of it goes through."""
