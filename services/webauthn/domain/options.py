"""What a page hands to the browser, in the JSON forms of section 5.1."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from services.webauthn.domain.encoding import encode
from services.webauthn.domain.policy import Rules, Use

Json = dict[str, Any]
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class Descriptor:
    """A credential as it is named to browsers, and how they have reached it."""

    credential_id: bytes
    transports: tuple[str, ...] = ()

    def json(self) -> Json:
        """Return PublicKeyCredentialDescriptorJSON."""
        named: Json = {"type": "public-key", "id": encode(self.credential_id)}
        return named | {"transports": list(self.transports)} if self.transports else named


def timeout(lifetime: timedelta) -> int:
    """Return for how many milliseconds the browser may wait for the person."""
    return lifetime // MILLISECOND


def request_options(
    challenge: bytes, use: Use, allowed: Sequence[Descriptor], rules: Rules
) -> Json:
    """Return PublicKeyCredentialRequestOptionsJSON, in the shape in which allauth gives it.

    For a login nothing is listed, so that nobody learns what somebody has (section 14.6.2).
    """
    options: Json = {
        "challenge": encode(challenge),
        "timeout": timeout(rules.policy.challenge_lifetime),
        "rpId": rules.party.id,
        "allowCredentials": [descriptor.json() for descriptor in allowed],
        "userVerification": rules.verification.requirement(use),
    }
    if rules.policy.hints:
        options["hints"] = list(rules.policy.hints)
    return {"publicKey": options}


def unknown_credential(rp_id: str, credential_id: str) -> Mapping[str, Any]:
    """Return what a page may tell the browser with `signalUnknownCredential` (section 5.1.10)."""
    return {"unknown_credential": {"rpId": rp_id, "credentialId": credential_id}}
