"""The IP addresses that may be contacted: public addresses, and the networks the operator allows.

Another server chooses the address to which we connect. It must not be able to choose a machine in
our own network. So the networks in IANA's registries of special-purpose addresses are refused
(<https://www.iana.org/assignments/iana-ipv4-special-registry>, and the same for IPv6).

`ipaddress.is_global` is not used: its answer depends on the version of Python, and it does not
know that an IPv6 address may lead to an IPv4 address by NAT64 or 6to4.
"""

import ipaddress
from collections.abc import Iterable
from typing import Final

from lamplighter.domains import IPAddress

__all__ = ["AddressRules"]

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_REFUSED: Final = tuple(
    ipaddress.ip_network(network)
    for network in [
        "0.0.0.0/8",  # this host
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # behind a carrier's NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, and the metadata services of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays to IPv6, no longer in use
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocols, such as Teredo
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which leads to any IPv4 address
        "3fff::/20",  # documentation
    ]
)
#: All other IPv6 addresses are loopback, local, multicast, or not assigned.
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
#: In a network without IPv4, this prefix followed by an IPv4 address leads to that address.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRules:
    """Admits public addresses, and the addresses in the networks *allow*.

    Raises `ValueError` if a text in *allow* is not a network.
    """

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._allowed: tuple[IPNetwork, ...] = tuple(ipaddress.ip_network(it) for it in allow)

    def admits(self, address: IPAddress) -> bool:
        """Return whether *address* may be contacted.

        If a packet to an IPv6 address would arrive at an IPv4 address, the IPv4 address counts too.
        """
        real = address
        if isinstance(address, ipaddress.IPv6Address):
            if address in _NAT64:
                real = ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
            else:
                real = address.ipv4_mapped or address
        if any(it in network for network in self._allowed for it in (address, real)):
            return True
        if isinstance(real, ipaddress.IPv6Address) and real not in _UNICAST:
            return False
        return not any(real in network for network in _REFUSED)
