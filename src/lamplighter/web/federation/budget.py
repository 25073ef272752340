"""Limits on the work that other servers may cause: a price for each request.

**Price.** Parsing a body and verifying its signature takes time for each byte and, far more, for
each JSON value: 4 MiB of `[[],[],…]` take a second, 4 MiB of text a few milliseconds. So the price
of a body counts its bytes and its values.

**Who pays.** A price is paid twice. The network that sent the request pays before the body is
parsed, because the signature is not verified yet and anybody can claim any origin. The domain of
the origin pays once the signature is verified, because one domain may send from many networks.
Each has 8 MiB to spend, and gets back 256 KiB a second.

Example: a transaction of 5,000 presence entries has 700 KB and 40,000 values. It costs
700 KB + 40,000 x 20 bytes = 1.5 MB, so a domain may send five at once, and one every six seconds
from then on.
"""

from typing import Final

from starlette.requests import Request

from lamplighter.clock import Clock
from lamplighter.domains import registrable_domain
from lamplighter.errors import TooLarge
from lamplighter.ids import ServerName
from lamplighter.web.address import ClientAddress
from lamplighter.web.limits import RateLimiter

__all__ = ["MAX_VALUES", "FederationBudget", "price"]

#: The greatest number of JSON values in a body.
MAX_VALUES: Final = 150_000
#: The prices of a request without a body and of a JSON value, in bytes.
_REQUEST: Final = 1024
_VALUE: Final = 20
#: How much may be spent at once (one body of the largest size), and how much comes back a second.
_BURST: Final = 8 * 1024 * 1024
_PER_SECOND: Final = 256 * 1024


def price(body: bytes) -> int:
    """Return the price of a request with *body*. Raises `TooLarge` beyond `MAX_VALUES` values."""
    values = body.count(b",") + body.count(b"[") + body.count(b"{")
    if values > MAX_VALUES:
        raise TooLarge(f"The body holds more than {MAX_VALUES} values")
    return _REQUEST + len(body) + _VALUE * values


class FederationBudget:
    """The budgets of networks and domains, in bounded memory.

    Both methods raise `LimitExceeded` if the budget is too small for the amount.
    """

    def __init__(self, network: ClientAddress, clock: Clock) -> None:
        """*network* returns the network that sent a request."""
        self._network = network
        self._of_networks = RateLimiter(_PER_SECOND, _BURST, clock)
        self._of_domains = RateLimiter(_PER_SECOND, _BURST, clock)

    def pay_unverified(self, request: Request, amount: int) -> None:
        """Take *amount* from the budget of the network that sent *request*."""
        self._of_networks.take(self._network(request), amount)

    def pay_verified(self, origin: ServerName, amount: int) -> None:
        """Take *amount* from the budget of the domain of *origin*, which has signed the request."""
        self._of_domains.take(registrable_domain(origin), amount)
