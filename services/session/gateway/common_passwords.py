"""The passwords that guessers try first, from a list that comes with the package.

common_passwords.txt is made of the frequency lists of zxcvbn 4.5.0 for Python (MIT, see NOTICE):
passwords from leaks, and what its authors moved from there to lists of names and words because it
is more frequent as such. One a line, in lower case, the most frequent first; what has fewer than
six characters is there if it is a word, for others are made by putting digits to it.
"""

from functools import cache
from importlib import resources

LIST = "common_passwords.txt"


@cache
def common_passwords() -> frozenset[str]:
    """Return the passwords of the list, in lower case; read from the package once a process."""
    file = resources.files(__package__).joinpath(LIST)
    return frozenset(file.read_text(encoding="ascii").splitlines())
