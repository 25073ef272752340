"""The owner of a server name."""

import pytest

from lamplighter.domains import registrable_domain
from lamplighter.ids import ServerName


@pytest.mark.parametrize(
    ("server_name", "owner"),
    [
        ("example.org", "example.org"),
        ("matrix.example.org", "example.org"),
        ("a.b.c.example.org:8448", "example.org"),
        ("A.Example.ORG.", "example.org"),
        ("matrix.example.co.uk", "example.co.uk"),
        ("someone.github.io", "github.io"),
        ("a.b.example.internal", "example.internal"),
        # Nobody registers a public suffix, or a name that DNS cannot have.
        *((it, it) for it in ("localhost", "co.uk", "org", "-", "evil..com")),
        ("192.0.2.7", "192.0.2.7"),
        ("192.0.2.7:8448", "192.0.2.7"),
        ("[2001:db8:1:2:3:4:5:6]", "2001:db8:1:2::/64"),
        ("[2001:db8:1:2::9]:8448", "2001:db8:1:2::/64"),
        ("[::ffff:192.0.2.7]:1", "192.0.2.7"),
    ],
)
def test_the_owner(server_name: str, owner: str) -> None:
    """The owner of a name is the registered domain above it, of an IP literal the network."""
    assert registrable_domain(ServerName(server_name)) == owner
