"""Whole logins, as clients make them, through the suite in this process and in its own."""
