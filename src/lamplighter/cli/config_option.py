"""The option of all commands that read the configuration."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["DEFAULT_CONFIG", "ConfigPath"]

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration file.")
]
DEFAULT_CONFIG = Path("lamplighter.yaml")
