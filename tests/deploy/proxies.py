"""Real reverse proxies with the configuration in deploy/, on the ports of a test."""

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docs.commands import ROOT
from tests.federation_interop.certificates import Authority
from tests.interop.processes import reserved_port

__all__ = ["Places", "Proxy", "free_places", "running"]

_ATTEMPTS: Final = 6_000
_NGINX: Final = """\
daemon off;
{user}
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
    """The folder of a test, the port of the proxy, and the ports behind by those in the files."""

    folder: Path
    proxy: int
    behind: Mapping[int, int]


@dataclass(frozen=True)
class Proxy:
    """A kind of proxy, and its file in deploy/."""

    program: str
    file: str

    @property
    def is_here(self) -> bool:
        """Whether it is installed."""
        return shutil.which(self.program) is not None


def _write(proxy: Proxy, places: Places) -> None:
    """Write the configuration for the ports of a test."""
    text = (ROOT / "deploy" / proxy.file).read_text(encoding="utf-8")
    for shown, port in places.behind.items():
        text = text.replace(f"127.0.0.1:{shown}", f"127.0.0.1:{port}")
    for pattern, meant in _changes(proxy.program, places).items():
        text, changed = re.subn(pattern, meant, text)
        assert changed
    if proxy.program == "nginx":
        # Otherwise the process that serves is another user's, who cannot write below the folder.
        user = "" if os.geteuid() else "user root;"
        (places.folder / "site.conf").write_text(text)
        (places.folder / "nginx.conf").write_text(_NGINX.format(folder=places.folder, user=user))
    else:
        (places.folder / "Caddyfile").write_text(_CADDY + text)


def _changes(program: str, places: Places) -> Mapping[str, str]:
    """Return patterns of what is different in a test, and what stands there instead."""
    if program == "nginx":
        certificate = f"{places.folder}/certificate"
        return {
            r"(?m)^    listen (\[::\]:\d+|8448) ssl;\n": "",
            "listen 443 ssl;": f"listen 127.0.0.1:{places.proxy} ssl;",
            "/etc/ssl/certs/example.org.pem": f"{certificate}.pem",
            "/etc/ssl/private/example.org.key": f"{certificate}.key",
        }
    opening = f"https://localhost:{places.proxy} {{\n\ttls certificate.pem certificate.key\n"
    return {r"(?m)^example\.org\b.* {\n": opening}


def _command(program: str, *, check: bool) -> list[str]:
    if program == "nginx":
        return ["nginx", *(["-t"] if check else []), "-p", ".", "-c", "nginx.conf"]
    action = "validate" if check else "run"
    return ["caddy", action, "--adapter", "caddyfile", "--config", "Caddyfile"]


@contextmanager
def free_places(folder: Path, *shown: int) -> Iterator[Places]:
    """Give free ports for the proxy, and in the place of those *shown* in its file."""
    with ExitStack() as stack:
        ports = {it: stack.enter_context(reserved_port()) for it in shown}
        # Not reserved, for proxies share no port; it is not given away again so soon.
        with reserved_port() as proxy:
            pass
        yield Places(folder, proxy, ports)


@contextmanager
def running(proxy: Proxy, places: Places, authority: Authority) -> Iterator[None]:
    """Run *proxy* until the block ends. Its configuration must pass its own check."""
    authority.certificate(places.folder)
    _write(proxy, places)
    environment = {**os.environ, "HOME": str(places.folder), "XDG_DATA_HOME": str(places.folder)}
    checked = subprocess.run(
        _command(proxy.program, check=True),
        cwd=places.folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen(
        _command(proxy.program, check=False),
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
