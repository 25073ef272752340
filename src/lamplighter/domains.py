"""The owner of a server name: a registered domain, or a network.

The owner of `example.org` can make any number of names below it, and the owner of one IPv6 address
usually has 2^64 addresses. A limit that must hold for one person therefore counts by registered
domain and by network. The Public Suffix List says below which names (`org`, `co.uk`) people
register domains.
"""

import ipaddress
from functools import cache, lru_cache
from typing import Final, TypeAlias

from publicsuffixlist import PublicSuffixList

from lamplighter.ids import ServerName

__all__ = ["IPAddress", "network_of", "registrable_domain"]


IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
#: A provider gives each customer at least one network of this size.
_IPV6_PREFIX: Final = 64


@lru_cache(maxsize=10_000)
def registrable_domain(server_name: ServerName) -> str:
    """Return the domain that the owner of *server_name* has registered.

    For an IP literal, return the owner's network (see `network_of`). A name that is not below a
    public suffix is returned as it is. The port does not matter.
    """
    if server_name.startswith("["):
        host = server_name[1:].partition("]")[0]
    else:
        host = server_name.partition(":")[0].lower().rstrip(".")
    try:
        return network_of(ipaddress.ip_address(host))
    except ValueError:
        return _suffixes().privatesuffix(host) or host


def network_of(address: IPAddress) -> str:
    """Return the network of the owner of *address*: an IPv4 address itself, an IPv6 /64."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((address, _IPV6_PREFIX), strict=False))
        address = address.ipv4_mapped
    return str(address)


@cache
def _suffixes() -> PublicSuffixList:
    # Loading the list takes a tenth of a second, and only servers with federation need it. The
    # owner of a private suffix (`github.io`) answers for all names below it: no suffix here.
    return PublicSuffixList(only_icann=True)
