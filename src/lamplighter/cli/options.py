"""The options that several commands have."""

from pathlib import Path
from typing import Annotated

import typer

__all__ = ["DEFAULT_CONFIG", "AsJson", "ConfigPath", "TokenFile"]

ConfigPath = Annotated[
    Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration file.")
]
DEFAULT_CONFIG = Path("lamplighter.yaml")
TokenFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="What holds the admin token; else it is in LAMPLIGHTER_ADMIN_TOKEN.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print what the admin API answers.")]
