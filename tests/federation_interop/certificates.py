"""Certificates for servers on loopback, from an authority of the tests' own."""

import ssl
from dataclasses import dataclass
from pathlib import Path

import trustme

__all__ = ["Authority", "Certificate"]


@dataclass(frozen=True)
class Certificate:
    """A server's certificate and private key, in PEM."""

    chain: Path
    private_key: Path

    def server_context(self) -> ssl.SSLContext:
        """Return the context of a server in this process."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.chain, self.private_key)
        return context


class Authority:
    """The authority that the servers of the tests must trust."""

    def __init__(self, file: Path) -> None:
        """Write the authority's own certificate to *file*."""
        self.file = file
        self._authority = trustme.CA()
        self._authority.cert_pem.write_to_path(file)

    def certificate(self, folder: Path) -> Certificate:
        """Make a certificate for `localhost` and `127.0.0.1`, as files in *folder*."""
        folder.mkdir(exist_ok=True)
        made = Certificate(folder / "certificate.pem", folder / "certificate.key")
        leaf = self._authority.issue_cert("localhost", "127.0.0.1")
        leaf.cert_chain_pems[0].write_to_path(made.chain)
        leaf.private_key_pem.write_to_path(made.private_key)
        return made

    def client_context(self) -> ssl.SSLContext:
        """Return the context of a client in this process."""
        return ssl.create_default_context(cafile=self.file)
