"""The options of `lamplighter keys`."""

import typer

from lamplighter.cli.options import DEFAULT_CONFIG, ConfigPath

__all__ = ["keys_commands"]

keys_commands = typer.Typer(help="Show and change the keys with which the server signs.")


@keys_commands.command("show")
def _show_keys(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Print which key signs, and which have expired."""
    from lamplighter.cli import keys as command

    for line in command.show(config):
        typer.echo(line)


@keys_commands.command("rotate")
def _rotate_keys(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Make a new signing key; the old one stays published. Restart the server afterwards."""
    from lamplighter.cli import keys as command

    for line in command.rotate(config):
        typer.echo(line)


@keys_commands.command("retire")
def _retire_keys(config: ConfigPath = DEFAULT_CONFIG) -> None:
    """Give up a key that is lost: it stays published as an old one, and another one signs.

    That is the key in the file, or a new one if there is no file. Start the server afterwards.
    """
    from lamplighter.cli import keys as command

    for line in command.retire(config):
        typer.echo(line)
