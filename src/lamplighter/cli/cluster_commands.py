"""The options of `lamplighter cluster`."""

from pathlib import Path
from typing import Annotated

import typer

from lamplighter.cli.options import DEFAULT_CONFIG, AsJson, ConfigPath

__all__ = ["cluster_commands"]

_From = Annotated[
    Path | None,
    typer.Option(
        "--from", metavar="DATA_DIR", help="Where the SQLite files are, if not in data_dir."
    ),
]

cluster_commands = typer.Typer(help="Several nodes that serve as one.", no_args_is_help=True)


@cluster_commands.command("status")
def _status(config: ConfigPath = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Show the nodes, what each owns, and how far each is behind.

    The exit code is 1 if something is wrong. Valkey is asked, so no node needs to run here.
    """
    from lamplighter.cli.cluster_status import look_at_cluster, status_json, status_lines

    condition = look_at_cluster(config)
    for line in [status_json(condition)] if as_json else status_lines(condition):
        typer.echo(line)
    if condition.problems:
        raise typer.Exit(1)


@cluster_commands.command("migrate")
def _migrate(config: ConfigPath = DEFAULT_CONFIG, data_dir: _From = None) -> None:
    """Copy a stopped server's SQLite databases into the PostgreSQL of the configuration."""
    from lamplighter.cli.to_postgresql import copy_to_postgresql

    for line in copy_to_postgresql(config, data_dir):
        typer.echo(line)


@cluster_commands.command("migrate-modules")
def _migrate_modules(config: ConfigPath = DEFAULT_CONFIG, data_dir: _From = None) -> None:
    """Copy only the data of modules, of a stopped server that uses PostgreSQL already."""
    from lamplighter.cli.to_postgresql import copy_modules_to_postgresql

    for line in copy_modules_to_postgresql(config, data_dir):
        typer.echo(line)
