"""Other places that checkpoints are written to, so that who owns the tables does not own these."""
