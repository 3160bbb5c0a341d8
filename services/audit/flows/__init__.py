"""What the ledger does: take facts in, show them, prove them, and forget people."""

from services.audit.events import AuditResealed, AuditResealingStarted
from services.audit.store.people import PURPOSE, sealed_keys
from shared.cipher import Cipher, KeyRing
from shared.database import Database
from shared.resealing import Resealing


def build_resealing(db: Database, ring: KeyRing) -> Resealing:
    """Return what seals keys of people by the primary key of `ring` that its others have sealed."""
    return Resealing(
        db,
        [(sealed_keys(), Cipher(ring, PURPOSE))],
        primary=ring.primary,
        begun=AuditResealingStarted,
        ended=AuditResealed,
    )
