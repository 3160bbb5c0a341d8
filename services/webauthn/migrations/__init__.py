"""The tables of the WebAuthn service, as they came to be."""
