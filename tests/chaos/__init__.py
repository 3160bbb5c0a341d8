"""Faults, each made by really stopping a part with -9 under load: `make chaos-audit`.

The servers are the tests' own, started in a folder of theirs. What must hold in the end is the same
for all: what was acknowledged is in the ledger, once, and nothing is missing in between.
"""
