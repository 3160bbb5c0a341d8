"""A check of a TOTP code, measured beside privacyIDEA's.

privacyIDEA pins what it stands on, so it has an environment of its own, and what runs in that
(`seed`, `wsgi`) imports nothing of ours.
"""
