"""The HTTP edge of the ledger, by what a caller has to be allowed to do."""
