"""Answers of the public API, held against django-allauth's document and our own."""
