"""A factor of someone else's: one-time passwords as a YubiKey types them.

It is written as somebody would who has docs/factors.md and docs/factors.openapi.json and nothing
else of Countersign: nothing here imports `shared` or `services`.
"""
