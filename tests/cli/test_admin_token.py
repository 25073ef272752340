"""`lamplighter admin-token`."""

from pathlib import Path

from lamplighter.cli.admin_token import admin_token
from lamplighter.config import parse_config_text
from lamplighter.web.admin.auth import hash_of


def test_a_token_and_its_hash() -> None:
    """A new token is printed each time, and lines for the configuration that hold its hash."""
    one, other = list(admin_token()), list(admin_token())
    token = one[2].strip()
    assert token != other[2].strip()
    config = parse_config_text("\n".join(["server_name: a", *one[-2:]]), Path("x.yaml"))
    assert config.admin.token_hash == hash_of(token)
    assert not any(token in line for line in one[3:])
