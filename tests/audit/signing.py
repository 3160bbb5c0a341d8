"""Who signs checkpoints in tests, and who believes them."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from services.audit.domain.checkpoint import Verifier

ORIGIN = "ledger.example.org/tests"
CHECKPOINT_KEY = Ed25519PrivateKey.from_private_bytes(b"c" * 32)
VERIFIER = Verifier(ORIGIN, CHECKPOINT_KEY.public_key())
