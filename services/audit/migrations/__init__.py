"""The tables of the ledger, version by version."""
