"""What the recovery service does: with codes, and with trust in browsers."""

from services.recovery.events.keys import RecoveryResealed, RecoveryResealingStarted
from services.recovery.flows.codes import CodeFlows
from services.recovery.flows.trust import TrustFlows
from services.recovery.store import codes, trust
from shared.cipher import Cipher, KeyRing
from shared.database import Database
from shared.resealing import Resealing

__all__ = ["CodeFlows", "TrustFlows", "build_resealing"]


def build_resealing(db: Database, ring: KeyRing) -> Resealing:
    """Return what seals and hashes by the primary key of `ring` what others of it have sealed."""
    return Resealing(
        db,
        [
            (codes.sealed_codes(ring), Cipher(ring, codes.PURPOSE)),
            (trust.sealed_tokens(), Cipher(ring, trust.PURPOSE)),
        ],
        primary=ring.primary,
        begun=RecoveryResealingStarted,
        ended=RecoveryResealed,
    )
