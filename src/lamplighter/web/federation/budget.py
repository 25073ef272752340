"""How much work other servers may cause: by the size of what they send, and how often.

Reading a body and verifying its signature costs time for each byte and, far more, for each JSON
value: 4 MiB of `[[],[],…]` cost a second, 4 MiB of text a few milliseconds. So the price of a body
counts both. A price is paid twice: before the body is read as JSON by the network from which it
comes, since anybody can send a body in anybody's name; and once the signature is verified, by the
domain of the origin, which may have many networks.
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

#: How many JSON values a body may hold: a transaction of 5,000 presence entries holds 40,000.
MAX_VALUES: Final = 150_000
#: What a request costs without a body, and what a JSON value costs, in bytes that cost as much.
_REQUEST: Final = 1024
_VALUE: Final = 20
#: What may be paid at once: one body of the largest size. And how fast that comes back, a second.
_BURST: Final = 8 * 1024 * 1024
_PER_SECOND: Final = 256 * 1024


def price(body: bytes) -> int:
    """Return what a request with *body* costs; raise `TooLarge` beyond `MAX_VALUES` values."""
    values = body.count(b",") + body.count(b"[") + body.count(b"{")
    if values > MAX_VALUES:
        raise TooLarge(f"The body holds more than {MAX_VALUES} values")
    return _REQUEST + len(body) + _VALUE * values


class FederationBudget:
    """What each network and each domain has left; `LimitExceeded` is raised where it is too little.

    It holds for each in bounded memory, as `RateLimiter` does.
    """

    def __init__(self, network: ClientAddress, clock: Clock) -> None:
        """*network* tells from where a request comes."""
        self._network = network
        self._of_networks = RateLimiter(_PER_SECOND, _BURST, clock)
        self._of_domains = RateLimiter(_PER_SECOND, _BURST, clock)

    def pay_unverified(self, request: Request, amount: int) -> None:
        """Let the network pay from which *request* comes."""
        self._of_networks.take(self._network(request), amount)

    def pay_verified(self, origin: ServerName, amount: int) -> None:
        """Let the domain of *origin* pay, which has signed the request."""
        self._of_domains.take(registrable_domain(origin), amount)
