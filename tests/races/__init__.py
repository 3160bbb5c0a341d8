"""Races between replicas: two processes of session and two of totp, on PostgreSQL."""
