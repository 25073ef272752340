"""The network address that a request comes from, for rate limits."""

import ipaddress
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import chain
from typing import Final

from starlette.requests import Request

from lamplighter.domains import IPAddress, network_of

__all__ = ["ClientAddress"]

#: How many entries of X-Forwarded-For are read, from the last one: chains of proxies are shorter.
_MOST_PROXIES: Final = 16
#: For how many addresses it is remembered whether they are trusted.
_ADDRESSES_KEPT: Final = 1024
_IPV4_MAPPED: Final = ipaddress.IPv6Network("::ffff:0:0/96")


class ClientAddress:
    """Tells by which address a request is limited; *trusted_proxies* are networks.

    A trusted proxy adds to `X-Forwarded-For` the address from which its request came. So the
    entries are read from the last one to the first, and the first address that is not a trusted
    proxy's is the client's. The client itself may have written the entries before it.
    """

    def __init__(self, trusted_proxies: Sequence[str]) -> None:
        self._trusted = [_unmapped_network(ipaddress.ip_network(it)) for it in trusted_proxies]
        #: Tells whether a text is the address of a trusted proxy.
        self.trusts: Callable[[str], bool] = lru_cache(_ADDRESSES_KEPT)(self._is_proxys)

    def __call__(self, request: Request) -> str:
        """Return the IPv4 address, or the IPv6 network of 64 bits, or "" if neither is known.

        The text is never longer than an address.
        """
        client = _parsed(request.client.host) if request.client else None
        if client is None:
            return ""
        forwarded = reversed(_forwarded(request)) if self._is_proxy(client) else ()
        for entry in forwarded:
            address = _parsed(entry)
            if address is None:
                break  # the proxy does not know the client: the limit is the proxy's
            client = address
            if not self._is_proxy(client):
                break
        return network_of(client)

    def _is_proxys(self, host: str) -> bool:
        address = _parsed(host)
        return address is not None and self._is_proxy(address)

    def _is_proxy(self, address: IPAddress) -> bool:
        return any(address in network for network in self._trusted)


def _forwarded(request: Request) -> Sequence[str]:
    """Return the last entries of all headers X-Forwarded-For, which are one list."""
    values = request.headers.getlist("x-forwarded-for")[-_MOST_PROXIES:]
    entries = list(
        chain.from_iterable(it.rsplit(",", _MOST_PROXIES)[-_MOST_PROXIES:] for it in values)
    )
    return entries[-_MOST_PROXIES:]


def _parsed(text: str) -> IPAddress | None:
    """Return the address that *text* writes, with or without a port; None if it writes none."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address
    return address


def _unmapped_network(
    network: ipaddress.IPv4Network | ipaddress.IPv6Network,
) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    """Return an IPv4 network for one that is written as IPv6: addresses are compared as IPv4."""
    if isinstance(network, ipaddress.IPv6Network) and network.subnet_of(_IPV4_MAPPED):
        address = network.network_address.ipv4_mapped
        return ipaddress.IPv4Network(f"{address}/{network.prefixlen - _IPV4_MAPPED.prefixlen}")
    return network
