"""The tables of the TOTP service, as they came to be."""
