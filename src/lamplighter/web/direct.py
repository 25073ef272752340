"""Which requests are answered past the routes: polls and new statuses, the most frequent ones."""

import re
from collections.abc import Callable
from functools import partial
from typing import Final

from lamplighter.web.http.exchange import Direct, Exchange
from lamplighter.web.http.request import Request

__all__ = ["DirectEndpoints"]

_SYNC: Final = ("/_matrix/client/v3/sync", "/_matrix/client/r0/sync")
_STATUS: Final = re.compile(r"/_matrix/client/(?:v3|r0)/presence/([^/]+)/status")


class DirectEndpoints:
    """Finds the direct endpoint of a request; it is a `FindDirect`."""

    def __init__(self, *, sync: Direct, put_status: Callable[[str, Exchange], None]) -> None:
        """*put_status* is called with the path's user ID, percent-encoded as it was sent."""
        self._sync = dict.fromkeys(_SYNC, sync)
        self._put_status = put_status

    def __call__(self, request: Request) -> Direct | None:
        if request.method == "OPTIONS":
            return None
        sync = self._sync.get(request.target.path)
        if sync is not None or request.method != "PUT":
            return sync
        found = _STATUS.fullmatch(request.target.raw_path)
        return None if found is None else partial(self._put_status, found[1])
