"""Who stands behind a server name."""

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
    """All names below a domain that somebody can register are that domain's; ports do not count."""
    assert registrable_domain(ServerName(server_name)) == domain


@pytest.mark.parametrize("server_name", ["localhost", "co.uk", "org", "-", "evil..com"])
def test_names_that_nobody_registers(server_name: str) -> None:
    """A name that is no more than a public suffix, or that DNS cannot have, is its own domain."""
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
    """IP literals belong to the network that one person has, on whichever port."""
    assert registrable_domain(ServerName(server_name)) == network
