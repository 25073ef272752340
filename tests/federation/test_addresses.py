"""The IP addresses that may be contacted."""

import ipaddress
from typing import Final

import pytest

from lamplighter.federation.addresses import AddressRules

REFUSED: Final = """
0.0.0.0 0.255.255.255 10.0.0.1 100.64.0.1 100.127.255.255 127.0.0.1 127.255.255.254
169.254.169.254 172.16.0.1 172.31.255.255 192.0.0.8 192.0.2.1 192.168.1.1 198.18.0.1
198.19.255.255 198.51.100.1 203.0.113.1 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 ::
::1 ::7f00:1 ::ffff:127.0.0.1 ::ffff:10.0.0.1 ::ffff:0:127.0.0.1 64:ff9b::10.0.0.1
64:ff9b:1::808:808 100::1 2001::1 2001:db8::1 2002:7f00:1:: 3fff::1 4000::1 fc00::1 fd12:3456::1
fe80::1 fe80::1%eth0 fec0::1 ff02::1
"""
PUBLIC: Final = """
1.1.1.1 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0
172.15.255.255 172.32.0.0 192.167.255.255 192.169.0.0 223.255.255.255 ::ffff:1.1.1.1
64:ff9b::1.1.1.1 2001:200::1 2606:4700:4700::1111 2a00:1450::1
"""


def test_public_addresses() -> None:
    """Addresses of the public Internet are admitted, and all others refused, in any notation."""
    rules = AddressRules()
    for text in REFUSED.split():
        assert not rules.admits(ipaddress.ip_address(text)), text
    for text in PUBLIC.split():
        assert rules.admits(ipaddress.ip_address(text)), text


@pytest.mark.parametrize(
    ("text", "admitted"),
    [
        ("127.0.0.1", True),
        ("127.0.0.2", False),
        ("::ffff:127.0.0.1", True),
        ("10.1.2.3", True),
        ("11.1.2.3", True),
        ("192.168.0.1", False),
        ("::1", True),
        ("fd00::1", True),
        ("fe80::1", False),
        ("2606:4700:4700::1111", True),
    ],
)
def test_addresses_that_the_operator_admits(text: str, admitted: bool) -> None:
    """The operator's networks are admitted besides the public ones, and no others."""
    rules = AddressRules(["127.0.0.1", "10.0.0.0/8", "::1/128", "fd00::/8"])
    assert rules.admits(ipaddress.ip_address(text)) is admitted


@pytest.mark.parametrize("text", ["", "localhost", "10.0.0.1/8", "10.0.0.0/33"])
def test_what_is_not_a_network(text: str) -> None:
    """A text that is not a network is a `ValueError`."""
    with pytest.raises(ValueError):
        AddressRules([text])
