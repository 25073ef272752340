"""Lamplighters that speak to other servers: TLS on loopback, certified by the tests' authority."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.federation_interop.certificates import Authority
from tests.interop.processes import ServerProcess

__all__ = ["federated"]

_CONFIG = """\
federation:
  enabled: true
  listen: 127.0.0.1:{port}
  tls_certificate: {certificate}
  tls_private_key: {private_key}
  extra_ca_files: [{authority}]
  allow_addresses: {allow_addresses}
modules:
  - module: lamplighter_examples.custom_presence_router.CustomPresenceRouter
    config:
      shows: {shows}
{more}
"""


def federated(
    folder: Path,
    name: str,
    client_port: int,
    authority: Authority,
    shows: Mapping[str, Sequence[str]],
    more: str = "",
    *,
    allow_addresses: Sequence[str] = ("127.0.0.0/8", "::1/128"),
) -> ServerProcess:
    """Return a server that is called *name*, `host:port`, and serves others at that port."""
    certificate = authority.certificate(folder)
    config = _CONFIG.format(
        port=name.rpartition(":")[2],
        certificate=certificate.chain,
        private_key=certificate.private_key,
        authority=authority.file,
        allow_addresses=json.dumps(allow_addresses),
        shows=json.dumps(dict(shows)),
        more=more,
    )
    return ServerProcess(folder, client_port, config, name)
