"""base64url as WebAuthn's JSON has it: without padding, and one text for each value."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

from services.webauthn.domain.refusal import Reason, Refused, require


def encode(raw: bytes) -> str:
    """Return `raw` in base64url without padding (RFC 4648 section 5)."""
    return urlsafe_b64encode(raw).rstrip(b"=").decode()


def decode(text: object, *, at_most: int) -> bytes:
    """Return the bytes, at most so many, that `text` stands for. Raises Refused.

    The decoder overlooks characters and bits that do not count, so that many texts would be one
    value: what does not read back as it was written is refused.
    """
    require(isinstance(text, str), Reason.UNREADABLE)
    written = str(text)
    require(written.isascii() and len(written) <= at_most * 4 // 3 + 2, Reason.UNREADABLE)
    try:
        raw = urlsafe_b64decode(written + "=" * (-len(written) % 4))
    except ValueError:
        raise Refused(Reason.UNREADABLE) from None
    require(len(raw) <= at_most and encode(raw) == written, Reason.UNREADABLE)
    return raw
