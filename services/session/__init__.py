"""The orchestrator: accounts, login stages, sessions and reauthentication."""
