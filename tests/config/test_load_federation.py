"""The section `federation`: what is accepted, and the exact text of each error."""

from pathlib import Path
from typing import Final

import pytest

from lamplighter.config import Address, FederationSettings, parse_config_text
from lamplighter.config.values import Network
from lamplighter.errors import ConfigError
from lamplighter.ids import ServerName

WHERE: Final = Path("/etc/lamplighter/lamplighter.yaml")
KEYS: Final = (
    "enabled, shared_rooms, listen, tls_certificate, tls_private_key, signing_key, "
    "verify_certificates, extra_ca_files, allow_addresses, allow_servers, deny_servers, notary, "
    "well_known_server"
)


def test_every_key_at_once() -> None:
    """Each key is read with its type; relative paths start at the configuration file."""
    config = parse_config_text(
        """
server_name: example.org
federation:
  enabled: true
  listen: "[::1]:8448"
  tls_certificate: tls/cert.pem
  tls_private_key: tls/key.pem
  signing_key: ../synapse/signing.key
  verify_certificates: false
  extra_ca_files: [ca.pem, /etc/ssl/ca.pem]
  allow_addresses: [10.0.0.0/8, "::1/128", 127.0.0.1]
  allow_servers: [example.com, "*.example.com", "example.net:8448", "[::1]:8448", "a?.example"]
  deny_servers: [evil.example.com]
  well_known_server: matrix.example.org:443
""",
        WHERE,
    )
    assert config.federation == FederationSettings(
        enabled=True,
        listen=Address("[::1]:8448"),
        tls_certificate=Path("/etc/lamplighter/tls/cert.pem"),
        tls_private_key=Path("/etc/lamplighter/tls/key.pem"),
        signing_key=Path("/etc/lamplighter/../synapse/signing.key"),
        verify_certificates=False,
        extra_ca_files=(Path("/etc/lamplighter/ca.pem"), Path("/etc/ssl/ca.pem")),
        allow_addresses=(Network("10.0.0.0/8"), Network("::1/128"), Network("127.0.0.1/32")),
        allow_servers=(
            "example.com",
            "*.example.com",
            "example.net:8448",
            "[::1]:8448",
            "a?.example",
        ),
        deny_servers=("evil.example.com",),
        well_known_server=ServerName("matrix.example.org:443"),
    )


def test_nobody_is_allowed() -> None:
    """An empty `allow_servers` allows no server, and an absent one allows all."""
    text = "{{server_name: a, federation: {{allow_servers: {}}}}}"
    written = [parse_config_text(text.format(it), WHERE).federation for it in ("[]", "null")]
    assert [it.allow_servers for it in written] == [(), None]


def test_keys_without_values() -> None:
    """A key without a value keeps its default."""
    text = "{server_name: a, federation: {listen: null, deny_servers: null, tls_certificate: null}}"
    assert parse_config_text(text, WHERE).federation == FederationSettings()


def test_an_address_of_clients() -> None:
    """Without federation, clients may be served at its address."""
    text = "{server_name: a, listen: '0.0.0.0:8448', federation: {enabled: false}}"
    assert parse_config_text(text, WHERE).listen == (Address("0.0.0.0:8448"),)


ADDRESS: Final = "host:port or [IPv6 address]:port, with a port from 1 to 65535"
FILE: Final = "the path of a file"
NETWORK: Final = "a network such as 10.0.0.0/8"
NETWORKS: Final = "a list of networks, such as 10.0.0.0/8 or ::1/128"
NAME: Final = "a server name, such as example.org, *.example.org or example.org:8448"
NAMES: Final = "a list of server names; * stands for anything"
DELEGATED: Final = "a host or host:port, such as matrix.example.org:443"


@pytest.mark.parametrize(
    ("written", "key", "shown", "allowed"),
    [
        ("{enabled: 1}", "enabled", "1", "true or false"),
        ("{listen: 8448}", "listen", "8448", ADDRESS),
        ("{listen: example.org}", "listen", '"example.org"', ADDRESS),
        ("{listen: ['a:1']}", "listen", '["a:1"]', ADDRESS),
        ("{listen: 'a:70000'}", "listen", '"a:70000"', ADDRESS),
        ("{tls_certificate: 5}", "tls_certificate", "5", FILE),
        ("{tls_private_key: ''}", "tls_private_key", '""', FILE),
        ("{signing_key: []}", "signing_key", "[]", FILE),
        ("{verify_certificates: 'no'}", "verify_certificates", '"no"', "true or false"),
        ("{extra_ca_files: ca.pem}", "extra_ca_files", '"ca.pem"', "a list of paths of files"),
        ("{extra_ca_files: [a, '']}", "extra_ca_files[1]", '""', FILE),
        ("{allow_addresses: 10.0.0.0/8}", "allow_addresses", '"10.0.0.0/8"', NETWORKS),
        ("{allow_addresses: [10.0.0.1/8]}", "allow_addresses[0]", '"10.0.0.1/8"', NETWORK),
        ("{allow_addresses: ['::/0', localhost]}", "allow_addresses[1]", '"localhost"', NETWORK),
        ("{allow_addresses: [5]}", "allow_addresses[0]", "5", NETWORK),
        ("{allow_servers: example.org}", "allow_servers", '"example.org"', NAMES),
        ("{allow_servers: [a, 5]}", "allow_servers[1]", "5", NAME),
        ("{deny_servers: '*'}", "deny_servers", '"*"', NAMES),
        ("{deny_servers: ['']}", "deny_servers[0]", '""', NAME),
        ("{deny_servers: ['a b']}", "deny_servers[0]", '"a b"', NAME),
        ('{deny_servers: ["a\\n"]}', "deny_servers[0]", '"a\\n"', NAME),
        ("{deny_servers: ['https://a.b']}", "deny_servers[0]", '"https://a.b"', NAME),
        ("{well_known_server: 'a b'}", "well_known_server", '"a b"', DELEGATED),
        ("{well_known_server: ''}", "well_known_server", '""', DELEGATED),
    ],
)
def test_what_is_not_allowed(written: str, key: str, shown: str, allowed: str) -> None:
    """The error for a wrong value names the key, the value and what is allowed."""
    assert refusal(written) == f"federation.{key}: {shown} is not allowed; give {allowed}"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("5", f"federation: 5 is not allowed; give a mapping with the keys {KEYS}"),
        ("{1: 2}", f"federation: every key must be text; give a mapping with the keys {KEYS}"),
        (
            "{tls_certifcate: a}",
            "federation.tls_certifcate: unknown key; did you mean tls_certificate?",
        ),
        (
            "{enabled: true, listen: '127.0.0.1:8008'}",
            'federation.listen: "127.0.0.1:8008" is not allowed; '
            "clients are served there: give another address",
        ),
        ("{xyz: 1}", f"federation.xyz: unknown key; allowed are {KEYS}"),
        (
            "{tls_certificate: a}",
            "federation.tls_private_key: missing; federation.tls_certificate needs it",
        ),
        (
            "{tls_private_key: a}",
            "federation.tls_certificate: missing; federation.tls_private_key needs it",
        ),
    ],
)
def test_what_does_not_fit(written: str, problem: str) -> None:
    """The error for an unknown key, or a key that contradicts another, names the key."""
    assert refusal(written) == problem


IN_FRONT: Final = "is not allowed; the homeserver behind this server serves federation"


@pytest.mark.parametrize(
    ("written", "problem"),
    [
        ("{enabled: true}", "homeserver.signing_key: missing; federation.enabled needs it"),
        ("{signing_key: a}", f"federation.signing_key: {IN_FRONT}"),
        ("{tls_certificate: a, tls_private_key: b}", f"federation.tls_certificate: {IN_FRONT}"),
        ("{well_known_server: a}", f"federation.well_known_server: {IN_FRONT}"),
    ],
)
def test_in_front_of_a_homeserver(written: str, problem: str) -> None:
    """In front of a homeserver, its key signs, and only it serves federation and its keys."""
    assert refusal(written, "homeserver: {url: 'http://a:1'}\n") == problem
    text = "{server_name: b, listen: 'c:8448', homeserver: {url: 'http://a:1', signing_key: its}, "
    config = parse_config_text(text + "federation: {enabled: true, listen: 'c:8448'}}", WHERE)
    assert config.homeserver is not None
    assert config.homeserver.signing_key == WHERE.parent / "its"


def refusal(written: str, more: str = "") -> str:
    """Return the error of a section `federation`, without the name of the file."""
    with pytest.raises(ConfigError) as refused:
        parse_config_text(f"server_name: example.org\n{more}federation: {written}", WHERE)
    return str(refused.value).removeprefix(f"{WHERE}: ")
