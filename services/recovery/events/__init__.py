"""What the audit trail learns of recovery codes and of trust. No event carries a secret."""
