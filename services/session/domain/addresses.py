"""E-mail addresses: which texts are one, and the single form in which an account has it."""

import re
import unicodedata

MAX_ADDRESS = 254  # characters (RFC 5321 section 4.5.3.1.3, without the angle brackets)
MAX_LOCAL = 64  # RFC 5321 section 4.5.3.1.1
MAX_LABEL = 63  # RFC 1035 section 2.3.4

ATOM = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[a-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?")
TOP_LABEL = re.compile(r"[a-z][a-z0-9-]*[a-z0-9]")


def parse_address(text: str) -> str | None:
    """Return the canonical form of an address (NFKC, lower case, stripped), or None if it is none.

    Two spellings of one mailbox must not be two accounts, nor two counters; mail goes to the
    canonical form only, never to a look-alike of it. Quoted local parts and address literals are
    refused.
    """
    address = unicodedata.normalize("NFKC", text).strip().lower()
    local, at, host = address.rpartition("@")
    if not at or len(address) > MAX_ADDRESS or len(local) > MAX_LOCAL:
        return None
    if not ATOM.fullmatch(local) or not _is_host(host):
        return None
    return address


def display_of(address: str) -> str:
    """Return what a person is called who has given no name: what precedes the @."""
    return address.partition("@")[0]


def _is_host(host: str) -> bool:
    *labels, top = host.split(".")
    if not labels or any(len(label) > MAX_LABEL for label in (*labels, top)):
        return False
    return bool(TOP_LABEL.fullmatch(top)) and all(LABEL.fullmatch(label) for label in labels)
