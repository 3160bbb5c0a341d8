"""Where the ledger is kept. Every statement of the service is here."""
