"""Whether timm's hub can be reached: asked once, before its client tries for most of a minute."""

import logging
import os
import socket
from urllib.parse import urlparse
from urllib.request import getproxies

from huggingface_hub import constants

_log = logging.getLogger(__name__)
_TIMEOUT_S = 4.0


def skip_unreachable_hub() -> None:
    """Leave the client with weights that were downloaded before, if the hub's host cannot be reached.

    Behind a proxy nothing is tried, since a direct connection says nothing there.
    """
    if constants.HF_HUB_OFFLINE or getproxies():
        return
    address = urlparse(os.environ.get("HF_ENDPOINT") or constants.ENDPOINT)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), _TIMEOUT_S).close()
    except OSError as error:
        _log.info(
            "%s cannot be reached (%s): only weights that were downloaded before are tried", address.hostname, error
        )
        constants.HF_HUB_OFFLINE = True
