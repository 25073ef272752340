"""Real reverse proxies with the configuration in deploy/, on the ports of a test."""

import os
import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docs.commands import ROOT
from tests.federation_interop.certificates import Authority

__all__ = ["PROXIES", "Places", "Proxy", "running"]

_ATTEMPTS: Final = 6_000
_NGINX: Final = """\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 128; }}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/proxied;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
_CADDY: Final = "{\n\tadmin off\n\tauto_https disable_redirects\n}\n"


@dataclass(frozen=True)
class Places:
    """The folder of a test, and the ports of proxy and server."""

    folder: Path
    proxy: int
    clients: int
    federation: int


@dataclass(frozen=True)
class Proxy:
    """A kind of proxy: how to write, check and run its configuration in a test."""

    program: str
    write: Callable[[Places], None]
    check: Sequence[str]
    run: Sequence[str]

    @property
    def is_here(self) -> bool:
        """Whether it is installed."""
        return shutil.which(self.program) is not None


def _site(name: str, places: Places, changes: Mapping[str, str]) -> str:
    text = (ROOT / "deploy" / name).read_text(encoding="utf-8")
    upstream = {"127.0.0.1:8008": places.clients, "127.0.0.1:8448": places.federation}
    for shown, port in upstream.items():
        text = text.replace(shown, f"127.0.0.1:{port}")
    for shown, meant in changes.items():
        assert shown in text
        text = text.replace(shown, meant)
    return text


def _write_nginx(places: Places) -> None:
    certificate, key = f"{places.folder}/certificate.pem", f"{places.folder}/certificate.key"
    changes = {
        "listen 443 ssl;": f"listen 127.0.0.1:{places.proxy} ssl;",
        "    listen [::]:443 ssl;\n": "",
        "/etc/ssl/certs/example.org.pem": certificate,
        "/etc/ssl/private/example.org.key": key,
    }
    (places.folder / "site.conf").write_text(_site("nginx.conf", places, changes))
    (places.folder / "nginx.conf").write_text(_NGINX.format(folder=places.folder))


def _write_caddy(places: Places) -> None:
    opening = f"https://localhost:{places.proxy} {{\n\ttls certificate.pem certificate.key\n"
    text = _site("Caddyfile", places, {"example.org {\n": opening})
    (places.folder / "Caddyfile").write_text(_CADDY + text)


PROXIES: Final = (
    Proxy(
        "nginx",
        _write_nginx,
        ["nginx", "-t", "-p", ".", "-c", "nginx.conf"],
        ["nginx", "-p", ".", "-c", "nginx.conf"],
    ),
    Proxy(
        "caddy",
        _write_caddy,
        ["caddy", "validate", "--adapter", "caddyfile", "--config", "Caddyfile"],
        ["caddy", "run", "--adapter", "caddyfile", "--config", "Caddyfile"],
    ),
)


@contextmanager
def running(proxy: Proxy, places: Places, authority: Authority) -> Iterator[None]:
    """Run *proxy* until the block ends. Its configuration must pass its own check."""
    authority.certificate(places.folder)
    proxy.write(places)
    environment = {**os.environ, "HOME": str(places.folder), "XDG_DATA_HOME": str(places.folder)}
    checked = subprocess.run(
        proxy.check, cwd=places.folder, env=environment, capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen(
        proxy.run,
        cwd=places.folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(process, places.proxy)
        yield
    finally:
        process.terminate()
        process.wait()


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    for _ in range(_ATTEMPTS):
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        try:
            raise AssertionError(f"the proxy has ended: {process.wait(0.05)}")
        except subprocess.TimeoutExpired:
            continue
    raise AssertionError("the proxy does not answer")
