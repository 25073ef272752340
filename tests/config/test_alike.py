"""The keys in which the nodes of a server may not differ."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from lamplighter.config import parse_config_text
from lamplighter.config.alike import alike_keys, items_of_lists

#: Other values than the defaults.
EVERY_KEY = """
server_name: demo
listen: 127.0.0.1:1
data_dir: elsewhere
database: postgresql://u:p@localhost/d
cluster: {node: a, bus: 'redis://localhost/0'}
trusted_proxies: []
public_baseurl: https://demo/
registration: open
module_timeout: 1s
modules_not_of_presence: skip
modules: [{module: a.B}]
presence:
  enabled: untracked
  last_active_granularity: 10s
  sync_online_timeout: 20s
  idle_timeout: 2m
  busy: true
  busy_timeout: 2h
  federation_ping: 10m
  federation_timeout: 20m
  include_offline_users_on_sync: true
  sync_is_activity: always
  presence_router: {module: a.C}
routing:
  shared_rooms: false
  exclude_rooms: ['!b:demo', '!a:demo']
  largest_room: 100
  rooms: direct
  record: r
  record_size: 1MB
  record_files: 2
rate_limits: off
federation:
  enabled: true
  shared_rooms: false
  listen: 127.0.0.1:2
  tls_certificate: c
  tls_private_key: k
  signing_key: s
  verify_certificates: false
  extra_ca_files: [e]
  allow_addresses: [10.0.0.0/8]
  allow_servers: [b.demo, a.demo]
  deny_servers: [c.demo]
  notary: 'off'
  well_known_server: demo
admin: {token_hash: 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa'}
log: {level: debug, format: json}
"""


def alike(text: str) -> dict[str, str]:
    """Return what must be alike of a configuration."""
    return alike_keys(parse_config_text(text, Path("x.yaml")))


def test_every_key() -> None:
    """What decides who sees what, or what is written, must be alike, and nothing else."""
    assert alike(EVERY_KEY) == {
        "registration": "open",
        "presence.enabled": "untracked",
        "presence.last_active_granularity": "10s",
        "presence.sync_online_timeout": "20s",
        "presence.idle_timeout": "2m",
        "presence.busy": "true",
        "presence.busy_timeout": "2h",
        "presence.federation_ping": "10m",
        "presence.federation_timeout": "20m",
        "presence.include_offline_users_on_sync": "true",
        "presence.sync_is_activity": "always",
        "routing.shared_rooms": "false",
        "routing.exclude_rooms": "[!a:demo, !b:demo]",
        "routing.largest_room": "100",
        "routing.rooms": "direct",
        "federation.enabled": "true",
        "federation.shared_rooms": "false",
        "federation.allow_servers": "[a.demo, b.demo]",
        "federation.deny_servers": "[c.demo]",
        "module_timeout": "1s",
    }


def test_a_homeserver_behind() -> None:
    """Whether there is a homeserver behind must be alike; the way there may be each node's own."""
    text = "server_name: demo\nhomeserver: {url: 'http://localhost:8009'}"
    assert alike(text) == {"homeserver": "given"}


@pytest.mark.parametrize("text", ["", "module_timeout: 5s", "presence: {idle_timeout: 300s}"])
def test_defaults_are_not_told(text: str) -> None:
    """A default says nothing, written or not: a version that lacks the key does not differ."""
    assert alike(f"server_name: demo\n{text}") == {}


def exclude(numbers: Iterable[int]) -> dict[str, str]:
    """Return what must be alike where so many rooms are excluded."""
    rooms = ", ".join(f"'!{number}:demo'" for number in numbers)
    return alike(f"server_name: demo\nrouting: {{exclude_rooms: [{rooms}]}}")


def test_a_long_value_is_told_by_its_digest() -> None:
    """Of a long list the digest is told: the same for the same items, another one for others."""
    told = exclude(range(100))
    assert told == {"routing.exclude_rooms": "a value with the digest b07111c3d115ce89"}
    assert told == exclude(reversed(range(100)))
    assert told != exclude(range(101))


def test_the_items_of_lists() -> None:
    """Of each list the items are told, too, by what is told of the list."""
    config = parse_config_text(EVERY_KEY, Path("x.yaml"))
    assert items_of_lists(config) == {
        "[!a:demo, !b:demo]": ("!a:demo", "!b:demo"),
        "[a.demo, b.demo]": ("a.demo", "b.demo"),
        "[c.demo]": ("c.demo",),
    }
