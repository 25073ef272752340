"""Which IP addresses may be contacted: those of the public Internet, and those the operator admits.

What another server says of itself must not make this one speak to a neighbour: so the networks
of the special-purpose registries of IANA are refused
(<https://www.iana.org/assignments/iana-ipv4-special-registry>, and the same for IPv6).
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
        "169.254.0.0/16",  # link-local, and where clouds tell their secrets
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocols
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # relays to IPv6, given up
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, and broadcast
        "2001::/23",  # protocols, Teredo among them
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which leads to any IPv4 address
        "3fff::/20",  # documentation
    ]
)
#: All other IPv6 addresses are loopback, local, multicast, or given to nobody yet.
_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
#: In a network without IPv4, this prefix before an IPv4 address leads there.
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")


class AddressRules:
    """Tells which addresses may be contacted: public ones, and those in the networks *allow*.

    Raises `ValueError` where a text in *allow* is not a network.
    """

    def __init__(self, allow: Iterable[str] = ()) -> None:
        self._allowed: tuple[IPNetwork, ...] = tuple(ipaddress.ip_network(it) for it in allow)

    def admits(self, address: IPAddress) -> bool:
        """Tell whether *address* may be contacted.

        An IPv6 address that stands for an IPv4 address is judged as the latter too.
        """
        meant = _meant(address)
        if any(it in network for network in self._allowed for it in (address, meant)):
            return True
        return _is_public(meant)


def _meant(address: IPAddress) -> IPAddress:
    """Return where a packet to *address* would arrive."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address


def _is_public(address: IPAddress) -> bool:
    if isinstance(address, ipaddress.IPv6Address) and address not in _UNICAST:
        return False
    return not any(address in network for network in _REFUSED)
