"""The owner of a server name."""

import pytest

from lamplighter.domains import registrable_domain
from lamplighter.ids import ServerName


@pytest.mark.parametrize(
    ("server_name", "domain"),
    [
        ("example.org", "example.org"),
        ("matrix.example.org", "example.org"),
        ("a.b.c.example.org:8448", "example.org"),
        ("A.Example.ORG.", "example.org"),
        ("matrix.example.co.uk", "example.co.uk"),
        ("someone.github.io", "github.io"),
        ("a.b.example.internal", "example.internal"),
    ],
)
def test_names_below_one_domain(server_name: str, domain: str) -> None:
    """A name belongs to the registered domain above it; the port does not matter."""
    assert registrable_domain(ServerName(server_name)) == domain


@pytest.mark.parametrize("server_name", ["localhost", "co.uk", "org", "-", "evil..com"])
def test_names_that_nobody_registers(server_name: str) -> None:
    """A public suffix, or a name that DNS cannot have, is its own domain."""
    assert registrable_domain(ServerName(server_name)) == server_name


@pytest.mark.parametrize(
    ("server_name", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:8448", "192.0.2.7"),
        ("[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:8448", "2001:db8:1:2::/64"),
        ("[::ffff:192.0.2.7]:1", "192.0.2.7"),
    ],
)
def test_literals(server_name: str, network: str) -> None:
    """An IP literal belongs to its owner's network; the port does not matter."""
    assert registrable_domain(ServerName(server_name)) == network
