"""The rules of the ledger: what an entry is, what of it is sealed, and how it is proved."""
