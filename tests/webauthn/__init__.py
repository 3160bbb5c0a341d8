"""Tests of the WebAuthn service."""
