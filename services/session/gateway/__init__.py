"""Calls to systems outside the suite: the mail server, or the inbox that stands in for one."""
