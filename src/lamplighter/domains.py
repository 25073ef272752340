"""Who stands behind a server name: the domain that somebody has registered, or a network.

Whoever owns `example.org` can make as many names below it as they like, and whoever has one IPv6
address usually has 2^64 of them. Limits that must hold for one person count by these instead.
Which domains people register below (`org`, `co.uk`) is what the Public Suffix List says.
"""

import ipaddress
from functools import cache, lru_cache

from publicsuffixlist import PublicSuffixList

from lamplighter.ids import ServerName

__all__ = ["network_of", "registrable_domain"]


@lru_cache(maxsize=10_000)
def registrable_domain(server_name: ServerName) -> str:
    """Return the domain that somebody has registered in order to use *server_name*.

    For an IP literal it is the network that one person has, as `network_of` says. A name that
    stands below no public suffix is its own domain. The port never counts.
    """
    if server_name.startswith("["):
        return network_of(server_name[1:].partition("]")[0])
    host = server_name.partition(":")[0].lower().rstrip(".")
    if host.replace(".", "").isdecimal():
        return network_of(host)
    return _suffixes().privatesuffix(host) or host


def network_of(address: str) -> str:
    """Return the network that the owner of the IP *address* has: itself, or the /64 in IPv6.

    Other text is returned as it is.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), 64), strict=False))


@cache
def _suffixes() -> PublicSuffixList:
    # Loading the list takes a tenth of a second: only servers with federation need it. Names below
    # somebody's own domain (`github.io`) are theirs to answer for, so they are no suffixes here.
    return PublicSuffixList(only_icann=True)
