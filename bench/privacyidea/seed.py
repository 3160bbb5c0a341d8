"""Give privacyIDEA its tokens: a JSON list, on standard input, of serials and secrets in hex."""

import json
import sys

from privacyidea.lib.token import init_token

from bench.privacyidea.site import create

with create().app_context():
    for serial, secret, period in json.load(sys.stdin):
        init_token({"type": "totp", "serial": serial, "otpkey": secret, "timeStep": period})
