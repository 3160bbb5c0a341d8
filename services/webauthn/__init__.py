"""Security keys and passkeys (Web Authentication, Level 3)."""
