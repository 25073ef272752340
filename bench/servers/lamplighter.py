"""Lamplighter: `lamplighter serve` of this checkout, with SQLite; alone, or before a Synapse."""

import json
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from bench.matrix import SERVER_NAME
from bench.party import MatrixWire
from bench.servers.engines import are_absent, database_url
from bench.servers.matrix_config import modules_for, presence_for
from bench.servers.process import ROOT, Command
from bench.servers.stored import store
from bench.servers.synapse import Synapse
from bench.shapes import Shape
from lamplighter.homeserver.upstream.registration import write_registration
from lamplighter.ids import ServerName

__all__ = ["Front", "Lamplighter", "Nodes"]


class Lamplighter:
    """One process; open registration, no rate limits."""

    name = "lamplighter"
    wire = MatrixWire()
    addresses = 1

    def absent(self) -> str | None:
        return None

    def commands(self, folder: Path, port: int, shape: Shape) -> Sequence[Command]:
        command = _command(folder, port, shape, {"registration": "open"})
        if shape.is_stored:
            store(folder / f"data-{self.name}", shape)
        return [command]


class Front:
    """Lamplighter before a Synapse with presence off: two processes."""

    name = "front"
    wire = MatrixWire()
    addresses = 1

    def absent(self) -> str | None:
        return Synapse().absent()

    def commands(self, folder: Path, port: int, shape: Shape) -> Sequence[Command]:
        registration = folder / "registration.yaml"
        write_registration(registration, f"http://127.0.0.1:{port}", ServerName(SERVER_NAME))
        behind = _free_port()
        homeserver = {"url": f"http://127.0.0.1:{behind}", "registration": str(registration)}
        return [
            *Synapse(registration).commands(folder, behind, shape),
            _command(folder, port, shape, {"homeserver": homeserver}),
        ]


class Nodes:
    """Some nodes over one PostgreSQL and one Valkey; clients go to one after the other."""

    wire = MatrixWire()

    def __init__(self, count: int) -> None:
        self.name = f"nodes-{count}"
        self.addresses = count

    def absent(self) -> str | None:
        return are_absent()

    def commands(self, folder: Path, port: int, shape: Shape) -> Sequence[Command]:
        bus = _free_port()
        start = (sys.executable, "-m", "bench.servers.engines", str(folder), str(bus))
        engines = Command("engines", bus, start, {"PYTHONPATH": str(ROOT)})
        nodes = []
        for number in range(1, self.addresses + 1):
            more = {
                "registration": "open",
                "database": database_url(folder),
                "cluster": {"node": f"node-{number}", "bus": f"redis://127.0.0.1:{bus}"},
            }
            nodes.append(_command(folder, port, shape, more, f"127.0.0.{number}"))
        return [engines, *nodes]


def _command(
    folder: Path, port: int, shape: Shape, more: Mapping[str, Any], host: str = "127.0.0.1"
) -> Command:
    name = more["cluster"]["node"] if "cluster" in more else "lamplighter"
    config = {
        "server_name": SERVER_NAME,
        "listen": f"{host}:{port}",
        "data_dir": str(folder / f"data-{name}"),
        "rate_limits": "off",
        "presence": presence_for(shape),
        "log": {"level": "warning"},
        "modules": modules_for(shape),
        **more,
    }
    file = folder / f"{name}.yaml"
    file.write_text(json.dumps(config))  # JSON is YAML too
    # This checkout comes before an installed Lamplighter.
    found = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
    serve = (sys.executable, "-m", "lamplighter", "serve", "--config", str(file))
    return Command(name, port, serve, {"PYTHONPATH": found}, host)


def _free_port() -> int:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        return int(holder.getsockname()[1])
