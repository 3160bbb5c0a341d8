"""The ledger: what happened, in order of arrival."""
