"""Tests of the TOTP service."""
