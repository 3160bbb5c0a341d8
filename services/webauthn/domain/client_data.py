"""What the browser says of a ceremony: its type, challenge and page."""

import hmac
import json
from dataclasses import dataclass
from hashlib import sha256

from services.webauthn.domain.encoding import encode
from services.webauthn.domain.policy import RelyingParty
from services.webauthn.domain.refusal import Reason, refusing, require

CREATE, GET = "webauthn.create", "webauthn.get"
MAX_BYTES = 4096


@dataclass(frozen=True)
class ClientData:
    """CollectedClientData, read. fido2's own class knows no `topOrigin`, and mends challenges."""

    type: str
    challenge: str
    origin: str
    cross_origin: bool
    top_origin: str | None
    hash: bytes

    @classmethod
    def parse(cls, raw: bytes) -> "ClientData":
        """Read the JSON that the authenticator has signed the hash of. Raises Refused."""
        with refusing():
            members = json.loads(raw.decode())
            type_, challenge, origin = members["type"], members["challenge"], members["origin"]
            cross_origin = members.get("crossOrigin", False)
            top_origin = members.get("topOrigin")
        texts = (type_, challenge, origin, "" if top_origin is None else top_origin)
        require(all(isinstance(text, str) for text in texts), Reason.UNREADABLE)
        require(isinstance(cross_origin, bool), Reason.UNREADABLE)
        # JSON can write half a character, which no encoding has.
        require(challenge.isascii(), Reason.UNREADABLE)
        return cls(type_, challenge, origin, cross_origin, top_origin, sha256(raw).digest())

    def check(self, type_: str, challenge: bytes, party: RelyingParty) -> None:
        """Raise Refused unless this is of that ceremony and of a page that may ask.

        Steps 7 to 11 of section 7.1, 10 to 14 of section 7.2.
        """
        require(self.type == type_, Reason.TYPE)
        ours = encode(challenge).encode()
        require(hmac.compare_digest(self.challenge.encode(), ours), Reason.CHALLENGE)
        require(party.expects(self.origin), Reason.ORIGIN)
        framed = self.cross_origin or self.top_origin is not None
        require(party.allow_cross_origin or not framed, Reason.CROSS_ORIGIN)
        # Only newer browsers name the page around the frame; one that is named has to be known.
        known = self.top_origin is None or self.top_origin in party.top_origins
        require(known, Reason.TOP_ORIGIN)
