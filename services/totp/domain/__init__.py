"""The rules of TOTP, and the picture by which a secret gets into an app."""
