"""Lamplighter: `lamplighter serve` of this checkout, with SQLite."""

import json
import os
import sys
from pathlib import Path

from bench.matrix import SERVER_NAME
from bench.party import MatrixWire
from bench.servers.matrix_config import modules_for, presence_for
from bench.servers.process import ROOT, Command
from bench.shapes import Shape

__all__ = ["Lamplighter"]


class Lamplighter:
    """One process; open registration, no rate limits."""

    name = "lamplighter"
    wire = MatrixWire()

    def absent(self) -> str | None:
        return None

    def command(self, folder: Path, port: int, shape: Shape) -> Command:
        config = {
            "server_name": SERVER_NAME,
            "listen": f"127.0.0.1:{port}",
            "data_dir": str(folder / "data"),
            "registration": "open",
            "rate_limits": "off",
            "presence": presence_for(shape),
            "log": {"level": "warning"},
            "modules": modules_for(shape),
        }
        file = folder / "lamplighter.yaml"
        file.write_text(json.dumps(config))  # JSON is YAML too
        # This checkout comes before an installed Lamplighter.
        found = f"{ROOT / 'src'}{os.pathsep}{ROOT}"
        serve = (sys.executable, "-m", "lamplighter", "serve", "--config", str(file))
        return Command(serve, {"PYTHONPATH": found})
