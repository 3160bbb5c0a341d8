"""The suite's tests, mirroring the source."""
