"""privacyIDEA as an application."""

import os
from typing import Any

from privacyidea.app import create_app


def create() -> Any:
    """Return the application, of the settings in the file that PRIVACYIDEA_CONFIGFILE names."""
    return create_app("production", os.environ["PRIVACYIDEA_CONFIGFILE"], silent=True)
