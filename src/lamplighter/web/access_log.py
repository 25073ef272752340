"""Log-ins in the log and in the metrics, those that were refused included.

An attacker decides how many refusals there are, so their number of lines is limited; the next line
tells how many were left out. No password and no token is in any of them.
"""

from collections.abc import Callable
from typing import Final

import structlog
from starlette.requests import Request

from lamplighter.clock import Clock
from lamplighter.errors import LimitExceeded
from lamplighter.ids import DeviceId, UserId
from lamplighter.web.address import ClientAddress
from lamplighter.web.limits import RateLimiter

__all__ = ["AccessLog"]

_log = structlog.get_logger(__name__)

#: At most this many lines about one kind of refusal come at once, and one more each two seconds.
_BURST: Final = 20
_PER_SECOND: Final = 0.5


class AccessLog:
    """Logs and counts log-ins and refusals."""

    def __init__(
        self, clock: Clock, count: Callable[[str], None], client_address: ClientAddress
    ) -> None:
        """*count* is called with the outcome of each log-in: succeeded, refused or limited."""
        self._limiter = RateLimiter(_PER_SECOND, _BURST, clock)
        self._count = count
        self._client_address = client_address
        #: How many refusals of each kind were not written since the last line of that kind.
        self._left_out: dict[str, int] = {}

    def logged_in(self, user_id: UserId, device_id: DeviceId, request: Request) -> None:
        """The device has a new access token."""
        self._count("succeeded")
        address = self._client_address(request)
        _log.info("logged in", user=user_id, device=device_id, address=address)

    def login_refused(self, user_id: UserId | None, reason: str, request: Request) -> None:
        """A log-in was refused.

        *user_id* is None for a user that does not exist: people type passwords into the wrong
        field, and the log must not have them.
        """
        self._count("refused")
        self._refused("log-in refused", request, user=user_id, reason=reason)

    def login_limited(self, request: Request) -> None:
        """A log-in was refused without a look at the password: too many come from its address."""
        self._count("limited")
        self._refused("log-in refused", request, reason="too many from this address")

    def password_refused(self, user_id: UserId, request: Request) -> None:
        """A device that is logged in gave a wrong password where the password is asked again."""
        self._refused("password refused", request, user=user_id)

    def admin_refused(self, reason: str, request: Request) -> None:
        """A request to the admin API had no token, or a wrong one."""
        self._refused("admin token refused", request, reason=reason)

    def _refused(self, event: str, request: Request, **fields: object) -> None:
        try:
            self._limiter.take(event)
        except LimitExceeded:
            self._left_out[event] = self._left_out.get(event, 0) + 1
            return
        left_out = self._left_out.pop(event, 0)
        address = self._client_address(request)
        more = {"left_out_before": left_out} if left_out else {}
        _log.info(event, **fields, address=address, **more)
