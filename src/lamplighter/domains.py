"""Who stands behind a server name: the domain that somebody has registered, or a network.

Whoever owns `example.org` can make as many names below it as they like, and whoever has one IPv6
address usually has 2^64 of them. Limits that must hold for one person count by these instead.
Which domains people register below (`org`, `co.uk`) is what the Public Suffix List says.
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
    """Return the domain that somebody has registered in order to use *server_name*.

    For an IP literal it is the network that one person has, as `network_of` says. A name that
    stands below no public suffix is its own domain. The port never counts.
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
    """Return the network that the owner of *address* has: itself, or the /64 in IPv6."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            return str(ipaddress.IPv6Network((address, _IPV6_PREFIX), strict=False))
        address = address.ipv4_mapped
    return str(address)


@cache
def _suffixes() -> PublicSuffixList:
    # Loading the list takes a tenth of a second: only servers with federation need it. Names below
    # somebody's own domain (`github.io`) are theirs to answer for, so they are no suffixes here.
    return PublicSuffixList(only_icann=True)
