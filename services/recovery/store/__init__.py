"""Where recovery codes and trusted browsers are kept."""

from services.recovery.store.codes import CodeStore
from services.recovery.store.trust import BrowserStore

__all__ = ["BrowserStore", "CodeStore"]
