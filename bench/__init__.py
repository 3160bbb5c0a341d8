"""Measurements of the suite against its peer, django-allauth, and against its own limits.

`make bench` runs them all, side by side, and writes docs/performance.md; it says how.
"""
