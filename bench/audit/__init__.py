"""The audit trail from a commit to the ledger, held against the bare broker and database."""
