"""privacyIDEA as gunicorn serves it."""

from bench.privacyidea.site import create

application = create()
