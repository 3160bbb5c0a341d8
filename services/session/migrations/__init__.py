"""How session's database came to be as it is."""
