"""TLS: which certificates and keys are taken, and how the others are refused."""

import datetime
import ssl
from pathlib import Path
from typing import Final

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)
from starlette.types import Message, Receive, Send

from lamplighter.clock import SystemClock
from lamplighter.config import Address
from lamplighter.errors import ConfigError
from lamplighter.web.listener import Certificate, Listener
from lamplighter.web.server import matrix_server
from tests.web.clients import free_port

Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey

RSA: Final = rsa.generate_private_key(65537, 2048)
P256: Final = ec.generate_private_key(ec.SECP256R1())
P384: Final = ec.generate_private_key(ec.SECP384R1())
P521: Final = ec.generate_private_key(ec.SECP521R1())
BITCOIN: Final = ec.generate_private_key(ec.SECP256K1())
ED25519: Final = ed25519.Ed25519PrivateKey.generate()

PKCS8: Final = PrivateFormat.PKCS8
#: `BEGIN RSA PRIVATE KEY`, `BEGIN EC PRIVATE KEY`.
OLDER: Final = PrivateFormat.TraditionalOpenSSL
BOM: Final = b"\xef\xbb\xbf"


def certificate_of(key: Key) -> bytes:
    """Return a certificate for *key*, by itself, in PEM."""
    name = x509.Name([])
    now = datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC)
    builder = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now)
        .not_valid_after(now + datetime.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=True)
    )
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM)


def pem(
    key: Key, form: PrivateFormat = PKCS8, under: KeySerializationEncryption | None = None
) -> bytes:
    """Return *key* in PEM, under a pass phrase if it is given one."""
    return key.private_bytes(Encoding.PEM, form, under or NoEncryption())


async def application(scope: Message, receive: Receive, send: Send) -> None:
    """Answer everything."""
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


def files(folder: Path, chain: bytes, private_key: bytes) -> Certificate:
    """Return what is given, as files in *folder*."""
    made = Certificate(folder / "cert.pem", folder / "key.pem")
    made.chain.write_bytes(chain)
    made.private_key.write_bytes(private_key)
    return made


def listener(certificate: Certificate, port: int = 8448) -> Listener:
    """Return what would serve with *certificate*."""
    address = Address(f"127.0.0.1:{port}")
    server = matrix_server(application, SystemClock())
    return Listener(server, address, certificate=certificate, section="federation.")


def refusal(certificate: Certificate) -> str:
    """Return what is wrong with *certificate*."""
    with pytest.raises(ConfigError) as refused:
        listener(certificate)
    return str(refused.value)


def trusting_all() -> ssl.SSLContext:
    """Return how a client connects to whom it need not know."""
    trust = ssl.create_default_context()
    trust.check_hostname = False
    trust.verify_mode = ssl.CERT_NONE
    return trust


async def answered(certificate: Certificate, trust: ssl.SSLContext) -> int:
    """Serve with *certificate*; return the status that a client is answered."""
    serving = listener(certificate, port := free_port())
    await serving.start()
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"https://127.0.0.1:{port}/", ssl=trust) as response,
        ):
            return response.status
    finally:
        await serving.stop()


# What stands before each block, `EC PARAMETERS` among it, is passed over.
PARAMETERS: Final = (
    b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
)


@pytest.mark.parametrize(
    ("chain", "private_key"),
    [
        pytest.param(certificate_of(RSA), pem(RSA), id="RSA"),
        pytest.param(certificate_of(RSA), pem(RSA, OLDER), id="RSA, older form"),
        pytest.param(certificate_of(P256), pem(P256), id="P-256"),
        pytest.param(certificate_of(P256), PARAMETERS + pem(P256, OLDER), id="P-256, older form"),
        pytest.param(certificate_of(P384), pem(P384), id="P-384"),
        pytest.param(certificate_of(ED25519), pem(ED25519), id="Ed25519"),
        pytest.param(b"Subject: me\n" + certificate_of(RSA), b"mine\n" + pem(RSA), id="comments"),
        pytest.param(certificate_of(RSA) + certificate_of(P521), pem(RSA), id="a chain"),
        pytest.param(certificate_of(RSA) + pem(RSA), certificate_of(RSA) + pem(RSA), id="one file"),
        pytest.param(
            certificate_of(RSA).replace(b"\n", b"\r\n"),
            pem(RSA).replace(b"\n", b"\r\n"),
            id="from Windows",
        ),
        pytest.param(
            certificate_of(RSA).replace(b"\n", b" \n"),
            pem(RSA).replace(b"\n", b" \n"),
            id="spaces",
        ),
    ],
)
async def test_what_is_served_with(tmp_path: Path, chain: bytes, private_key: bytes) -> None:
    """Certificates as authorities and tools write them serve TLS."""
    assert await answered(files(tmp_path, chain, private_key), trusting_all()) == 204


@pytest.mark.parametrize("name", ["tls_certificate", "tls_private_key"])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_file_that_cannot_be_read(tmp_path: Path, name: str, is_there: bool) -> None:
    """A file that is missing, or is no file, is named, with its key."""
    made = files(tmp_path, certificate_of(RSA), pem(RSA))
    path = made.chain if name == "tls_certificate" else made.private_key
    path.unlink()
    if is_there:
        path.mkdir()
    problem = "Is a directory" if is_there else "No such file or directory"
    assert refusal(made) == f"federation.{name}: {path} cannot be read: {problem}"


PASS_PHRASE: Final = BestAvailableEncryption(b"hunter2")


@pytest.mark.parametrize(
    ("chain", "private_key"),
    [
        pytest.param(certificate_of(RSA), pem(P256), id="another kind of key"),
        pytest.param(
            certificate_of(P256), pem(ec.generate_private_key(ec.SECP256R1())), id="other"
        ),
        pytest.param(certificate_of(RSA), pem(RSA, PKCS8, PASS_PHRASE), id="pass phrase"),
        pytest.param(certificate_of(RSA), pem(RSA, OLDER, PASS_PHRASE), id="older pass phrase"),
        pytest.param(pem(RSA), certificate_of(RSA), id="swapped"),
        pytest.param(certificate_of(RSA), b"a key", id="no key"),
        pytest.param(b"a certificate", pem(RSA), id="no certificate"),
        pytest.param(b"", b"", id="empty"),
        pytest.param(b"\0\xff" * 50, b"\0\xff" * 50, id="bytes"),
        pytest.param(certificate_of(RSA)[:-200], pem(RSA), id="cut off"),
    ],
)
def test_what_does_not_go_together(tmp_path: Path, chain: bytes, private_key: bytes) -> None:
    """Files that are no certificate and its key are refused, with no question for a pass phrase."""
    made = files(tmp_path, chain, private_key)
    refused = refusal(made)
    problem = f"{made.chain} and {made.private_key} do not go together: "
    assert refused.startswith(f"federation.tls_certificate: {problem}")
    assert "hunter2" not in refused


@pytest.mark.parametrize(
    ("chain", "private_key"),
    [
        pytest.param(certificate_of(P521), pem(P521), id="P-521"),
        pytest.param(certificate_of(BITCOIN), pem(BITCOIN), id="secp256k1"),
        pytest.param(BOM + certificate_of(RSA), pem(RSA), id="byte order mark"),
        pytest.param(
            certificate_of(RSA).replace(b" CERT", b" X509 CERT"), pem(RSA), id="X509 CERTIFICATE"
        ),
    ],
)
def test_what_is_rarer(tmp_path: Path, chain: bytes, private_key: bytes) -> None:
    """What OpenSSL knows is good enough, though few write certificates and keys so."""
    listener(files(tmp_path, chain, private_key))


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_versions_of_tls(tmp_path: Path, version: ssl.TLSVersion) -> None:
    """Other servers may speak TLS 1.2 as well as 1.3."""
    trust = trusting_all()
    trust.minimum_version = trust.maximum_version = version
    assert await answered(files(tmp_path, certificate_of(RSA), pem(RSA)), trust) == 204
