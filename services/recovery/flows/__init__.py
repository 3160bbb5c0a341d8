"""What the recovery service does: with codes, and with trust in browsers."""

from services.recovery.flows.codes import CodeFlows
from services.recovery.flows.trust import TrustFlows

__all__ = ["CodeFlows", "TrustFlows"]
