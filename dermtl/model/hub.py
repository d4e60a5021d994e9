"""Whether timm's hub can be reached: asked once, before its client tries for most of a minute."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlparse
from urllib.request import getproxies

from huggingface_hub import constants

_log = logging.getLogger(__name__)
_TIMEOUT_S = 4.0


@contextmanager
def reachable_hub() -> Iterator[None]:
    """Leave the client with weights that were downloaded before, while the hub's host cannot be reached.

    Behind a proxy nothing is tried, since a direct connection says nothing there.
    """
    before = constants.HF_HUB_OFFLINE
    constants.HF_HUB_OFFLINE = before or not (getproxies() or _answers())
    try:
        yield
    finally:
        constants.HF_HUB_OFFLINE = before


def _answers() -> bool:
    address = urlparse(os.environ.get("HF_ENDPOINT") or constants.ENDPOINT)
    port = address.port or (443 if address.scheme == "https" else 80)
    try:
        socket.create_connection((address.hostname or "", port), _TIMEOUT_S).close()
    except OSError as error:
        _log.info("%s cannot be reached (%s): only weights downloaded before are tried", address.hostname, error)
        return False
    return True
