"""The rules of accounts, logins and sessions: values in, values out."""
