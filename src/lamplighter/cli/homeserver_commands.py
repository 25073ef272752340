"""The options of `lamplighter homeserver`."""

import typer

from lamplighter.cli.options import DEFAULT_CONFIG, ConfigPath

__all__ = ["homeserver_commands"]

homeserver_commands = typer.Typer(help="The homeserver behind this server.")


@homeserver_commands.command("registration")
def _registration(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Write the registration as an application service of the homeserver."""
    from lamplighter.cli.homeserver import register

    for line in register(config):
        typer.echo(line)


@homeserver_commands.command("check")
def _check(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Look whether the homeserver is set up; exit with 1 if something is to be changed."""
    from lamplighter.cli.homeserver import check_homeserver

    if not check_homeserver(config, typer.echo):
        raise typer.Exit(1)
